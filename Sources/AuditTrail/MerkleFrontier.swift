internal import ChatelainePrimitives
package import ChatelaineVocabulary

/// The right edge of an RFC 6962 tree: all that appending and the root need, at most 64 hashes.
package struct MerkleFrontier: Equatable, Sendable {
  /// Leaves so far.
  package private(set) var size: UInt64 = 0
  /// Roots of the perfect subtrees that make up the tree, largest first.
  package private(set) var subtrees: [Digest] = []

  package init() {}

  /// Takes up a tree that was left; nil where the hashes cannot belong to that size.
  package init?(size: UInt64, subtrees: [Digest]) {
    guard subtrees.count == size.nonzeroBitCount else { return nil }
    self.size = size
    self.subtrees = subtrees
  }

  package mutating func append(_ leaf: Digest) {
    var hash = leaf
    var level = size
    while level & 1 == 1 {
      hash = Self.node(subtrees.removeLast(), hash)
      level >>= 1
    }
    subtrees.append(hash)
    size += 1
  }

  /// The same, and tells of each subtree of at least `1 << level` leaves that this one completed, the smallest first.
  package mutating func append(_ leaf: Digest, completing level: Int, tell: (TreeNode, Digest) -> Void) {
    var hash = leaf
    var height = 0
    while size >> UInt64(height) & 1 == 1 {
      hash = Self.node(subtrees.removeLast(), hash)
      height += 1
      if height >= level { tell(TreeNode(level: height, index: size >> UInt64(height)), hash) }
    }
    subtrees.append(hash)
    size += 1
  }

  /// Appends a whole subtree of `1 << level` leaves, of which the tree must have a multiple.
  mutating func append(_ subtree: Digest, level: UInt64) {
    var (hash, height) = (subtree, level)
    while size >> height & 1 == 1 {
      hash = Self.node(subtrees.removeLast(), hash)
      height += 1
    }
    subtrees.append(hash)
    size += 1 << level
  }

  /// RFC 6962 §2.1: SHA-256 of nothing for the empty tree.
  package var root: Digest {
    guard var hash = subtrees.last else { return Self.emptyRoot }
    for subtree in subtrees.dropLast().reversed() { hash = Self.node(subtree, hash) }
    return hash
  }

  package static let emptyRoot = SHA256.hash([])

  /// `SHA-256(0x01 ‖ left ‖ right)`.
  package static func node(_ left: Digest, _ right: Digest) -> Digest { hash(1, left, right) }

  /// `SHA-256(prefix ‖ left ‖ right)`.
  static func hash(_ prefix: UInt8, _ left: Digest, _ right: Digest) -> Digest {
    var both = InlineArray<64, UInt8>(repeating: 0)
    var bytes = both.mutableSpan
    bytes.put(left, at: 0)
    bytes.put(right, at: 32)
    return SHA256.hash(prefix: prefix, both.span)
  }
}
