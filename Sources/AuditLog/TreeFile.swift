internal import ChatelaineAuditTrail
internal import ChatelainePrimitives
internal import ChatelaineVocabulary

/// The tree at a segment's first entry, kept so that a start reads one segment instead of all.
///
/// Derived and trusted by nobody: taken only where its root is the one in the segment's header.
struct TreeFile {
  let segment: UInt64
  let firstFrame: UInt64
  let incarnation: UInt32
  let tree: MerkleFrontier

  private static let magic = Array("CHTREE".utf8) + [0, 1]
  private static let byteCountMax = 4096

  init(segment: UInt64, firstFrame: UInt64, incarnation: UInt32, tree: MerkleFrontier) {
    self.segment = segment
    self.firstFrame = firstFrame
    self.incarnation = incarnation
    self.tree = tree
  }

  init?(loadingFrom storage: any LogStorage) {
    guard let file = try? storage.open(LogNames.tree, forWriting: false),
      let bytes = try? file.read(at: 0, count: Self.byteCountMax), bytes.count > 64,
      SHA256.hash(bytes.span.extracting(0..<bytes.count - 32)) == Digest(bytes.span.extracting((bytes.count - 32)...)),
      bytes.span.extracting(0..<8).equals(Self.magic)
    else { return nil }
    var cursor = ByteCursor(at: 8)
    guard let segment = try? cursor.u64(bytes.span), let frame = try? cursor.u64(bytes.span),
      let incarnation = try? cursor.u32(bytes.span), let size = try? cursor.u64(bytes.span)
    else { return nil }
    var subtrees: [Digest] = []
    for _ in 0..<size.nonzeroBitCount {
      guard let hash = try? cursor.digest(bytes.span) else { return nil }
      subtrees.append(hash)
    }
    guard cursor.offset == bytes.count - 32, let tree = MerkleFrontier(size: size, subtrees: subtrees) else { return nil }
    self.init(segment: segment, firstFrame: frame, incarnation: incarnation, tree: tree)
  }

  func save(to storage: any LogStorage) {
    var writer = ByteWriter(capacity: 512)
    writer.raw(Self.magic)
    writer.u64(segment)
    writer.u64(firstFrame)
    writer.u32(incarnation)
    writer.u64(tree.size)
    for hash in tree.subtrees { writer.digest(hash) }
    writer.digest(SHA256.hash(writer.bytes))
    try? storage.remove(LogNames.tree)
    guard let file = try? storage.create(LogNames.tree) else { return }
    try? file.write(writer.bytes.span, at: 0)
    try? file.sync()
  }
}
