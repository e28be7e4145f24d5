internal import ChatelaineAuditTrail
internal import ChatelainePrimitives
internal import ChatelaineVocabulary

/// Says that a tear was found and not yet noted in the log: durable before the torn area is zeroed,
/// removed once the note is, so that a second crash in between cannot lose the note.
///
/// Trusted by nobody: it makes a start write a note, nothing else.
enum TearMarker {
  private static let magic = Array("CHTEAR".utf8) + [0, 1]
  private static let byteCountMax = 512

  static func load(from storage: any LogStorage) -> LogRecovery.Tear? {
    guard let file = try? storage.open(LogNames.tear, forWriting: false),
      let bytes = try? file.read(at: 0, count: byteCountMax), bytes.count > 64,
      SHA256.hash(bytes.span.extracting(0..<bytes.count - 32)) == Digest(bytes.span.extracting((bytes.count - 32)...)),
      bytes.span.extracting(0..<8).equals(magic)
    else { return nil }
    var cursor = ByteCursor(at: 8)
    guard let segment = try? cursor.u64(bytes.span), let offset = try? cursor.u64(bytes.span),
      let count = try? cursor.u64(bytes.span), let name = try? cursor.u16Prefixed(bytes.span)
    else { return nil }
    return LogRecovery.Tear(
      segment: segment, offset: offset, byteCount: count,
      quarantineFile: String(copying: bytes.span.extracting(name)))
  }

  static func save(_ tear: LogRecovery.Tear, to storage: any LogStorage) throws(StorageFailure) {
    var writer = ByteWriter(capacity: 256)
    writer.raw(magic)
    writer.u64(tear.segment)
    writer.u64(tear.offset)
    writer.u64(tear.byteCount)
    writer.u16Prefixed(Array(tear.quarantineFile.utf8))
    writer.digest(SHA256.hash(writer.bytes))
    remove(from: storage)
    let file = try storage.create(LogNames.tear)
    try file.write(writer.bytes.span, at: 0)
    try file.sync()
    try storage.syncDirectory()
  }

  static func remove(from storage: any LogStorage) { try? storage.remove(LogNames.tear) }
}
