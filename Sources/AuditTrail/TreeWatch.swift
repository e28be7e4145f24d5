package import ChatelaineVocabulary

/// Who wants to know the root at certain sizes, while a log is read.
package protocol TreeWatch: AnyObject, Sendable {
  /// Told the root at the size that was asked for; gives the next size, a larger one, or the largest number for none.
  func reached(_ root: Digest) -> UInt64
}

/// A subtree whose leaves are all there, and where the log has the last of them.
package struct StoredNode: Equatable, Sendable {
  /// Smaller subtrees are computed from their entries.
  package static let levelMin = 8
  /// Leaves of the smallest that is kept.
  package static let leavesMin: UInt64 = 1 << 8

  package let node: TreeNode
  package let hash: Digest
  package let segment: UInt64
  /// Of the frame that holds its last leaf.
  package let offset: UInt64

  package init(node: TreeNode, hash: Digest, segment: UInt64, offset: UInt64) {
    self.node = node
    self.hash = hash
    self.segment = segment
    self.offset = offset
  }

  /// How many such subtrees a tree of that size has completed.
  package static func count(size: UInt64) -> UInt64 {
    let blocks = size >> UInt64(levelMin)
    return 2 * blocks - UInt64(blocks.nonzeroBitCount)
  }

  /// Its place among all of them, in the order in which they are completed.
  package static func position(of node: TreeNode) -> UInt64 {
    let height = UInt64(node.level - levelMin)
    let blocks = (node.index + 1) << height
    return count(size: (blocks - 1) << UInt64(levelMin)) + height
  }
}
