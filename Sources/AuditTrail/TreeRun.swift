package import ChatelaineVocabulary

/// The largest whole subtrees over a run of leaves, wherever it begins: what joins a tree and leaves behind it that were
/// hashed apart from it. At most 128 hashes.
package struct TreeRun: Sendable {
  /// The number of the first leaf in the tree.
  package let first: UInt64
  package private(set) var count: UInt64 = 0
  /// From the left.
  private(set) var subtrees: [(level: UInt64, hash: Digest)] = []

  package init(first: UInt64) { self.first = first }

  package mutating func append(_ leaf: Digest) {
    var (level, index, hash) = (UInt64(0), first + count, leaf)
    while index & 1 == 1, let left = subtrees.last, left.level == level {
      hash = MerkleFrontier.node(left.hash, hash)
      subtrees.removeLast()
      (level, index) = (level + 1, index >> 1)
    }
    subtrees.append((level, hash))
    count += 1
  }
}

extension MerkleFrontier {
  /// Appends the leaves of a run, which must begin where this tree ends.
  package mutating func append(_ run: TreeRun) {
    precondition(run.first == size, "a run of leaves that does not begin where the tree ends")
    for subtree in run.subtrees { append(subtree.hash, level: subtree.level) }
  }
}
