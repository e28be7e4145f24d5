internal import ChatelaineAuditTrail
internal import ChatelainePrimitives
internal import ChatelaineVocabulary

/// How far an index of an epoch has come: what its file `index-N` has.
///
///     "CHINST" 00 01   16 log id   4 epoch   16 secret   8 entries of a part   8 entries   8 segment   8 offset of the next frame
///     32 leaf hash of the last entry   32 each: the tree's subtrees, the largest first   32 SHA-256 of all before
struct IndexState: Sendable {
  private static let magic = Array("CHINST".utf8) + [0, 1]
  private static let byteCountMax = 100 + 64 * Digest.byteCount + Digest.byteCount + 32

  private let epoch: EpochDescriptor
  /// Under which terms are hashed.
  let secret: Identifier
  let partEntries: UInt64
  var tree = MerkleFrontier()
  /// Where the frame of the next entry begins.
  var place = LogFollower.Place.first
  /// Which the next entry names.
  var leaf: Digest

  static func name(_ epoch: EpochDescriptor) -> String { "index-\(epoch.epoch)" }

  /// Of nothing yet.
  init(_ epoch: EpochDescriptor, partEntries: UInt64) {
    (self.epoch, self.partEntries, secret, leaf) = (epoch, partEntries, SecureRandom.identifier(), epoch.hash)
  }

  /// nil where it is not one of this epoch, or not whole.
  init?(loadingFrom storage: any LogStorage, _ epoch: EpochDescriptor) {
    guard let file = try? storage.open(Self.name(epoch), forWriting: false),
      let bytes = try? file.read(at: 0, count: Self.byteCountMax), bytes.count > Digest.byteCount
    else { return nil }
    let body = bytes.span.extracting(0..<bytes.count - Digest.byteCount)
    guard SHA256.hash(body) == Digest(bytes.span.extracting((bytes.count - Digest.byteCount)...)) else { return nil }
    var cursor = ByteCursor(at: Self.magic.count)
    guard body.count >= Self.magic.count, body.extracting(0..<Self.magic.count).equals(Self.magic),
      (try? cursor.identifier(body)) == epoch.logID, (try? cursor.u32(body)) == epoch.epoch,
      let secret = try? cursor.identifier(body), let partEntries = try? cursor.u64(body),
      IndexPart.entriesRange.contains(partEntries), partEntries.isMultiple(of: StoredNode.leavesMin), let size = try? cursor.u64(body), let segment = try? cursor.u64(body),
      let offset = try? cursor.u64(body), let leaf = try? cursor.digest(body)
    else { return nil }
    var subtrees: [Digest] = []
    while let subtree = try? cursor.digest(body) { subtrees.append(subtree) }
    guard (try? cursor.finish(body)) != nil, let tree = MerkleFrontier(size: size, subtrees: subtrees) else { return nil }
    (self.epoch, self.secret, self.partEntries, self.tree, self.leaf) = (epoch, secret, partEntries, tree, leaf)
    place = LogFollower.Place(segment: segment, offset: offset)
  }

  /// In the place of what is there.
  func save(to storage: any LogStorage) throws(StorageFailure) {
    var writer = ByteWriter(capacity: Self.byteCountMax)
    writer.raw(Self.magic)
    writer.identifier(epoch.logID)
    writer.u32(epoch.epoch)
    writer.identifier(secret)
    for number in [partEntries, tree.size, place.segment, place.offset] { writer.u64(number) }
    writer.digest(leaf)
    for subtree in tree.subtrees { writer.digest(subtree) }
    let bytes = writer.bytes
    writer.digest(SHA256.hash(bytes.span))
    let name = Self.name(epoch)
    try? storage.remove(name + ".new")
    let file = try storage.create(name + ".new")
    let whole = writer.bytes
    try file.write(whole.span, at: 0)
    try? storage.remove(name)
    try storage.rename(name + ".new", to: name)
  }
}
