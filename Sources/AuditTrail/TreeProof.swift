package import ChatelaineVocabulary

/// A subtree with all its leaves: those from `index << level`, `1 << level` of them.
package struct TreeNode: Hashable, Sendable {
  package let level: Int
  package let index: UInt64

  package init(level: Int, index: UInt64) {
    self.level = level
    self.index = index
  }
}

/// Proofs over an RFC 6962 tree: made from the hashes of whole subtrees (RFC 6962 §2.1.1, §2.1.2), checked with nothing
/// but leaf hash and roots (RFC 9162 §2.1.3.2, §2.1.4.2). Each asks for or takes at most a hundred or so hashes.
package enum TreeProof {
  /// What no tree of 64-bit sizes needs more of.
  package static let hashesMax = 65

  /// The largest power of two below `count`, which is at least 2.
  private static func split(_ count: UInt64) -> UInt64 { 1 << UInt64(63 - (count - 1).leadingZeroBitCount) }

  /// MTH of a run of leaves as the tree has them.
  private static func hash<Failure: Error>(
    from start: UInt64, count: UInt64, _ node: (TreeNode) throws(Failure) -> Digest
  ) throws(Failure) -> Digest {
    guard count.nonzeroBitCount > 1 else {
      let level = count.trailingZeroBitCount
      return try node(TreeNode(level: level, index: start >> UInt64(level)))
    }
    let left = split(count)
    return MerkleFrontier.node(
      try hash(from: start, count: left, node), try hash(from: start + left, count: count - left, node))
  }

  // MARK: Made

  package static func root<Failure: Error>(
    size: UInt64, node: (TreeNode) throws(Failure) -> Digest
  ) throws(Failure) -> Digest {
    size == 0 ? MerkleFrontier.emptyRoot : try hash(from: 0, count: size, node)
  }

  /// The siblings of leaf `index` in the tree of `size` leaves, from the leaf up.
  package static func inclusion<Failure: Error>(
    of index: UInt64, in size: UInt64, node: (TreeNode) throws(Failure) -> Digest
  ) throws(Failure) -> [Digest] {
    precondition(index < size, "a leaf of the tree")
    var (start, count) = (UInt64(0), size)
    var path: [Digest] = []
    while count > 1 {
      let left = split(count)
      if index - start < left {
        path.append(try hash(from: start + left, count: count - left, node))
        count = left
      } else {
        path.append(try hash(from: start, count: left, node))
        start += left
        count -= left
      }
    }
    return path.reversed()
  }

  /// What shows that the first `old` leaves of a tree of `new` are those of a tree of `old`.
  package static func consistency<Failure: Error>(
    from old: UInt64, to new: UInt64, node: (TreeNode) throws(Failure) -> Digest
  ) throws(Failure) -> [Digest] {
    precondition(old <= new, "an older tree first")
    guard old > 0, old < new else { return [] }
    var (start, count, isWhole) = (UInt64(0), new, true)
    var path: [Digest] = []
    while old - start < count {
      let left = split(count)
      if old - start <= left {
        path.append(try hash(from: start + left, count: count - left, node))
        count = left
      } else {
        path.append(try hash(from: start, count: left, node))
        start += left
        count -= left
        isWhole = false
      }
    }
    if !isWhole { path.append(try hash(from: start, count: count, node)) }
    return path.reversed()
  }

  // MARK: Checked

  /// Whether `leaf` is number `index` of the tree of that size and root.
  package static func isIncluded(
    leaf: Digest, index: UInt64, size: UInt64, root: Digest, proof: [Digest]
  ) -> Bool {
    guard index < size else { return false }
    var way = Way(first: index, last: size - 1)
    var hash = leaf
    for sibling in proof {
      guard way.last > 0 else { return false }
      hash = way.isRight ? MerkleFrontier.node(sibling, hash) : MerkleFrontier.node(hash, sibling)
      way.ascend()
    }
    return way.last == 0 && hash == root
  }

  /// Whether the tree of size `old` is the beginning of the tree of size `new`.
  package static func isConsistent(
    old: UInt64, oldRoot: Digest, new: UInt64, newRoot: Digest, proof: [Digest]
  ) -> Bool {
    guard old <= new else { return false }
    guard old < new else { return proof.isEmpty && oldRoot == newRoot }
    // why: there is one empty tree, and whoever names another root for it has another tree.
    guard old > 0 else { return proof.isEmpty && oldRoot == MerkleFrontier.emptyRoot }
    var hashes = proof[...]
    guard let first = old.nonzeroBitCount == 1 ? oldRoot : hashes.popFirst(), !proof.isEmpty else { return false }
    var way = Way(first: old - 1, last: new - 1)
    way.skipRights()
    var (oldHash, newHash) = (first, first)
    for sibling in hashes {
      guard way.last > 0 else { return false }
      if way.isRight {
        oldHash = MerkleFrontier.node(sibling, oldHash)
        newHash = MerkleFrontier.node(sibling, newHash)
      } else {
        newHash = MerkleFrontier.node(newHash, sibling)
      }
      way.ascend()
    }
    return way.last == 0 && oldHash == oldRoot && newHash == newRoot
  }

  /// The way from a leaf to the root, beside that of the last leaf (fn and sn of RFC 9162).
  private struct Way {
    var first: UInt64
    var last: UInt64

    /// Whether the next sibling stands to the left.
    var isRight: Bool { first & 1 == 1 || first == last }

    mutating func ascend() {
      if isRight {
        while first & 1 == 0, first != 0 {
          first >>= 1
          last >>= 1
        }
      }
      first >>= 1
      last >>= 1
    }

    mutating func skipRights() {
      while first & 1 == 1 {
        first >>= 1
        last >>= 1
      }
    }
  }
}
