internal import ChatelaineAuditTrail
internal import ChatelaineVocabulary

/// What entries that follow one another come to in an index: values of the parts that they belong to, the tree, its
/// larger subtrees.
struct IndexPartBuilder {
  private static let blockEntries = StoredNode.leavesMin

  private(set) var tree: MerkleFrontier
  private let partEntries: UInt64
  private var values: [UInt64: IndexValues] = [:]
  private var nodes: [StoredNode] = []
  /// Of the frame under way, but for its last entry's.
  private var leaves: [Digest] = []
  private var frameEntries: UInt64 = 0
  /// Of each kind, the last value: most entries have what the one before had.
  private var last = [Last?](repeating: nil, count: IndexTerm.Kind.allCases.count)

  private struct Last {
    let value: [UInt8]
    let hash: UInt64
    var block: UInt64
  }

  /// Goes on behind the entries of a tree.
  init(_ tree: MerkleFrontier, partEntries: UInt64) { (self.tree, self.partEntries) = (tree, partEntries) }

  /// Whether a part came to its end.
  var isFull: Bool { values.count > 1 || values.keys.contains { ($0 + 1) * partEntries <= tree.size } }

  /// Takes the next entry of a frame.
  mutating func take(_ entry: Span<UInt8>, _ hash: IndexHash) {
    if frameEntries > 0 { leaves.append(AuditEntry.previous(in: entry)) }
    let sequence = tree.size + frameEntries
    frameEntries += 1
    let (part, block) = (sequence / partEntries, sequence / Self.blockEntries)
    let place = block % (partEntries / Self.blockEntries)
    var own = values.removeValue(forKey: part) ?? IndexValues()
    AuditEntry.forEachTerm(in: entry) { kind, value in
      let index = Int(kind.rawValue) - 1
      if let known = last[index], value.equals(known.value) {
        guard known.block != block else { return }
        last[index]?.block = block
        return own.add(known.hash, block: place)
      }
      let new = hash.of(kind, value)
      last[index] = Last(value: value.copied(), hash: new, block: block)
      own.add(new, block: place)
    }
    values[part] = own
  }

  /// The frame has come to its end, whose last entry has this hash.
  mutating func complete(_ leaf: Digest, in place: LogFollower.Place) {
    guard frameEntries > 0 else { return }
    leaves.append(leaf)
    for leaf in leaves {
      tree.append(leaf, completing: StoredNode.levelMin) { node, hash in
        nodes.append(StoredNode(node: node, hash: hash, segment: place.segment, offset: place.offset))
      }
    }
    drop()
  }

  /// The frame turned out to be none: what stands of it in the values points at nothing, and does no harm.
  mutating func drop() { (leaves, frameEntries) = ([], 0) }

  mutating func takeNodes() -> [StoredNode] {
    defer { nodes = [] }
    return nodes
  }

  /// By the number of the part.
  mutating func takeValues() -> [(part: UInt64, values: IndexValues)] {
    defer {
      values = [:]
      // why: values that were given away are no longer there to be left out for.
      last = last.map { _ in nil }
    }
    return values.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
  }
}
