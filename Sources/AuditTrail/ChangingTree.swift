internal import ChatelaineVocabulary

/// An RFC 6962 tree whose leaves change: only what stands above a changed leaf is computed again, when it is asked for.
///
/// Keeps whole subtrees of four leaves and more, half a hash a leaf; smaller ones are computed from their leaves.
struct ChangingTree: Sendable {
  private static let levelMin = 2

  private(set) var leafCount = 0
  /// From `levelMin` up, the whole subtrees of each level.
  private var levels: [[Digest]] = []
  private var isStale: [Bool] = []
  private var stale: [Int] = []

  /// A leaf was added behind the others.
  mutating func grow() {
    leafCount += 1
    note(leafCount - 1)
  }

  /// A leaf is another one now.
  mutating func note(_ leaf: Int) {
    let block = leaf >> Self.levelMin
    if block == isStale.count { isStale.append(false) }
    guard !isStale[block] else { return }
    isStale[block] = true
    stale.append(block)
  }

  mutating func root(leaf: (Int) -> Digest) -> Digest {
    settle(leaf)
    return TreeProof.root(size: UInt64(leafCount)) { node($0, leaf) }
  }

  /// The siblings of a leaf, from it up.
  mutating func path(of index: Int, leaf: (Int) -> Digest) -> [Digest] {
    settle(leaf)
    return TreeProof.inclusion(of: UInt64(index), in: UInt64(leafCount)) { node($0, leaf) }
  }

  private func node(_ node: TreeNode, _ leaf: (Int) -> Digest) -> Digest {
    guard node.level < Self.levelMin else { return levels[node.level - Self.levelMin][Int(node.index)] }
    return small(level: node.level, Int(node.index), leaf)
  }

  private func small(level: Int, _ index: Int, _ leaf: (Int) -> Digest) -> Digest {
    guard level > 0 else { return leaf(index) }
    return MerkleFrontier.node(small(level: level - 1, 2 * index, leaf), small(level: level - 1, 2 * index + 1, leaf))
  }

  /// Computes again what is stale, level by level.
  private mutating func settle(_ leaf: (Int) -> Digest) {
    var nodes = stale.sorted()
    for block in nodes { isStale[block] = false }
    stale = []
    var level = Self.levelMin
    while leafCount >> level > 0 {
      if levels.count == level - Self.levelMin { levels.append([]) }
      var above: [Int] = []
      for node in nodes where node < leafCount >> level {
        put(level == Self.levelMin ? small(level: level, node, leaf) : joined(level, node), level, node)
        if above.last != node >> 1 { above.append(node >> 1) }
      }
      nodes = above
      level += 1
    }
  }

  private func joined(_ level: Int, _ index: Int) -> Digest {
    let below = levels[level - Self.levelMin - 1]
    return MerkleFrontier.node(below[2 * index], below[2 * index + 1])
  }

  private mutating func put(_ hash: Digest, _ level: Int, _ index: Int) {
    let place = level - Self.levelMin
    if index == levels[place].count { levels[place].append(hash) } else { levels[place][index] = hash }
  }
}
