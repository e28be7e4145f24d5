internal import ChatelainePrimitives
internal import ChatelaineVocabulary

/// MACs rows and gathers them into buckets.
struct RowAuthenticator: ~Copyable, Sendable {
  private let rowKey: DerivationKey

  init(storeKey: borrowing DerivationKey) { rowKey = storeKey.deriveKey(.row) }

  /// `HMAC-SHA-512(row key, table ‖ fields ‖ SHA-256(wrapped bytes))`, first half.
  borrowing func mac(of row: some StoreRow) -> Digest {
    var head = row.canonicalFields
    head.insert(type(of: row).table.rawValue, at: 0)
    guard let wrapped = row.wrappedBytes else { return rowKey.authenticate(head.span, Span()) }
    return rowKey.authenticate(head.span, SHA256.hash(wrapped).inlineBytes.span)
  }
}

enum Bucket {
  static let count = 65_536

  /// First two bytes of `SHA-256("chatelaine/v1/bucket" ‖ 0x00 ‖ table ‖ primary key)`.
  static func number(_ table: StoreTable, _ primaryKey: [UInt8]) -> Int {
    var writer = ByteWriter(capacity: 160)
    writer.raw("chatelaine/v1/bucket")
    writer.u8(0)
    writer.u8(table.rawValue)
    writer.raw(primaryKey)
    return Int(SHA256.hash(writer.bytes).words.0 >> 48)
  }

  /// SHA-256 of the bucket's row MACs, sorted, concatenated.
  static func digest(_ macs: [Digest]) -> Digest {
    var hash = SHA256()
    for mac in macs.sorted() { hash.update(mac.inlineBytes.span) }
    return hash.finish()
  }

  static let emptyDigest = digest([])
}

/// The RFC 6962 tree over the digests of all 65,536 buckets, kept whole: 4 MiB, a change costs 17 hashes.
struct BucketTree: Sendable {
  /// Heap order: node 1 is the root, leaves from `Bucket.count`.
  private var nodes: [Digest]
  private(set) var digests: [Digest]

  init(digests: [Digest]) {
    precondition(digests.count == Bucket.count, "one digest a bucket")
    self.digests = digests
    nodes = [Digest](repeating: .zero, count: 2 * Bucket.count)
    // why: a new store has few rows; the hash over two empty halves is the same all over a level.
    var empty = Self.leaf(Bucket.emptyDigest)
    for (number, digest) in digests.enumerated() {
      nodes[Bucket.count + number] = digest == Bucket.emptyDigest ? empty : Self.leaf(digest)
    }
    var level = Bucket.count / 2
    while level >= 1 {
      let emptyParent = Self.node(empty, empty)
      for index in level..<2 * level {
        let (left, right) = (nodes[2 * index], nodes[2 * index + 1])
        nodes[index] = left == empty && right == empty ? emptyParent : Self.node(left, right)
      }
      empty = emptyParent
      level /= 2
    }
  }

  var root: Digest { nodes[1] }

  mutating func set(_ number: Int, _ digest: Digest) {
    digests[number] = digest
    var index = Bucket.count + number
    nodes[index] = Self.leaf(digest)
    while index > 1 {
      index /= 2
      nodes[index] = Self.node(nodes[2 * index], nodes[2 * index + 1])
    }
  }

  /// What setting several buckets would make of the tree, which stays as it is.
  ///
  /// Buckets side by side share nearly all of their nodes: about two hashes a bucket instead of 17.
  func preparing(_ digests: [Int: Digest]) -> Prepared {
    var nodes: [Int: Digest] = [:]
    for (number, digest) in digests { nodes[Bucket.count + number] = Self.leaf(digest) }
    var level = nodes.keys.sorted()
    while let first = level.first, first > 1 {
      var parents: [Int] = []
      for index in level where parents.last != index / 2 {
        let (left, right) = (index & ~1, index | 1)
        nodes[index / 2] = Self.node(nodes[left] ?? self.nodes[left], nodes[right] ?? self.nodes[right])
        parents.append(index / 2)
      }
      level = parents
    }
    return Prepared(digests: digests, nodes: nodes, root: nodes[1] ?? root)
  }

  struct Prepared {
    fileprivate let digests: [Int: Digest]
    fileprivate let nodes: [Int: Digest]
    let root: Digest
  }

  mutating func apply(_ prepared: Prepared) {
    for (number, digest) in prepared.digests { digests[number] = digest }
    for (index, node) in prepared.nodes { nodes[index] = node }
  }

  private static func leaf(_ digest: Digest) -> Digest { SHA256.hash(prefix: 0, digest.inlineBytes.span) }

  private static func node(_ left: Digest, _ right: Digest) -> Digest {
    var pair = InlineArray<64, UInt8>(repeating: 0)
    var bytes = pair.mutableSpan
    bytes.put(left, at: 0)
    bytes.put(right, at: Digest.byteCount)
    return SHA256.hash(prefix: 1, pair.span)
  }
}
