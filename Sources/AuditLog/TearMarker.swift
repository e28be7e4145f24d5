internal import ChatelaineAuditTrail
internal import ChatelainePrimitives
internal import ChatelaineVocabulary

/// Says that a tear was found and not yet noted in the log: durable before the torn area is zeroed,
/// removed once the note is, so that a second crash in between cannot lose the note.
///
/// Trusted by nobody: it makes a start write a note, nothing else, and only of a tear that the log and the quarantine
/// bear out.
enum TearMarker {
  private static let magic = Array("CHTEAR".utf8) + [0, 1]
  private static let byteCountMax = 512

  /// Where the log ends.
  struct Place {
    let segment: UInt64
    let offset: UInt64
    /// Of the segment.
    let hasFrames: Bool
  }

  static func load(from storage: any LogStorage, ofLogEndingAt end: Place) -> LogRecovery.Tear? {
    guard let file = try? storage.open(LogNames.tear, forWriting: false),
      let bytes = try? file.read(at: 0, count: byteCountMax), bytes.count > 64,
      SHA256.hash(bytes.span.extracting(0..<bytes.count - 32)) == Digest(bytes.span.extracting((bytes.count - 32)...)),
      bytes.span.extracting(0..<8).equals(magic)
    else { return nil }
    var cursor = ByteCursor(at: 8)
    guard let segment = try? cursor.u64(bytes.span), let offset = try? cursor.u64(bytes.span),
      let count = try? cursor.u64(bytes.span), let name = try? cursor.u16Prefixed(bytes.span)
    else { return nil }
    let tear = LogRecovery.Tear(
      segment: segment, offset: offset, byteCount: count,
      quarantineFile: String(copying: bytes.span.extracting(name)))
    return isBorneOut(tear, by: end, in: storage) ? tear : nil
  }

  /// Nothing was written since, and what was torn off lies in quarantine.
  private static func isBorneOut(
    _ tear: LogRecovery.Tear, by end: Place, in storage: any LogStorage
  ) -> Bool {
    let isAtEnd = tear.segment == end.segment && tear.offset == end.offset
    // why: the note may have needed a new segment, and the power gone before it was in it.
    let isBeforeEmpty = end.segment > 0 && tear.segment == end.segment - 1 && !end.hasFrames
    guard isAtEnd || isBeforeEmpty, LogNames.isQuarantine(tear.quarantineFile, of: tear.segment, at: tear.offset),
      let copy = try? storage.open(tear.quarantineFile, forWriting: false)
    else { return false }
    return (try? copy.size()) == tear.byteCount
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
