internal import ChatelaineAuditTrail
internal import ChatelainePrimitives
internal import ChatelaineVocabulary

/// The file `tenants`: all tenants' histories at a size that tenant heads cover, so that a start need not read the whole
/// log for them. Derived, and trusted by nobody: it counts where the root over it is the one that the log commits to.
///
///      0  8 "CHTENA" 00 01    8 16 log id    24  4 epoch    28  4 zero
///     32  8 size    40 8 segment   48 8 offset of the frame of entry `size`   56 32 leaf hash of entry `size` - 1
///     88  8 tenants; for each: u8 name   8 count   8 last sequence   32 hash
///     then 32 SHA-256 of all before
struct TenantFile {
  private static let magic = Array("CHTENA".utf8) + [0, 1]
  private static let recordByteCountMax = 1 + Limits.nameLengthMax + 48
  private static let stepByteCount = 1 << 20

  let place: LogFollower.Place
  /// Of the entry before that place.
  let leaf: Digest
  let histories: TenantHistories

  // MARK: Written

  /// Replaces what is there; a failure costs time at a later start, nothing else.
  func save(to storage: any LogStorage, _ epoch: EpochDescriptor) {
    try? storage.remove(LogNames.tenants)
    guard let file = try? storage.create(LogNames.tenants) else { return }
    var writer = Writer(file)
    do throws(StorageFailure) {
      writer.bytes.raw(Self.magic)
      writer.bytes.identifier(epoch.logID)
      writer.bytes.u32(epoch.epoch)
      writer.bytes.u32(0)
      for number in [histories.size, place.segment, place.offset] { writer.bytes.u64(number) }
      writer.bytes.digest(leaf)
      writer.bytes.u64(UInt64(histories.count))
      try histories.forEach { (tenant, history) throws(StorageFailure) in
        writer.bytes.u8Prefixed(tenant.copied())
        writer.bytes.u64(history.count)
        writer.bytes.u64(history.lastSequence)
        writer.bytes.digest(history.hash)
        try writer.flush(from: Self.stepByteCount)
      }
      try writer.finish()
    } catch { try? storage.remove(LogNames.tenants) }
  }

  private struct Writer {
    let file: any LogFile
    var bytes = ByteWriter(capacity: 2 * TenantFile.stepByteCount)
    var hash = SHA256()
    var offset: UInt64 = 0

    init(_ file: any LogFile) { self.file = file }

    mutating func flush(from byteCount: Int) throws(StorageFailure) {
      guard bytes.bytes.count >= byteCount else { return }
      hash.update(bytes.bytes)
      let written = bytes.bytes
      try file.write(written.span, at: offset)
      offset += UInt64(written.count)
      bytes = ByteWriter(capacity: 2 * TenantFile.stepByteCount)
    }

    mutating func finish() throws(StorageFailure) {
      try flush(from: 0)
      let whole = hash
      bytes.digest(whole.finish())
      try flush(from: 0)
    }
  }

  init(place: LogFollower.Place, leaf: Digest, histories: TenantHistories) {
    (self.place, self.leaf, self.histories) = (place, leaf, histories)
  }

  // MARK: Read

  /// nil where there is none of this epoch, or it is not whole.
  init?(loadingFrom storage: any LogStorage, _ epoch: EpochDescriptor) {
    guard let file = try? storage.open(LogNames.tenants, forWriting: false), var reader = Reader(file) else { return nil }
    var start = ByteWriter(capacity: 32)
    start.raw(Self.magic)
    start.identifier(epoch.logID)
    start.u32(epoch.epoch)
    start.u32(0)
    guard reader.take(32) == start.bytes, let size = reader.number(), let segment = reader.number(),
      let offset = reader.number(), let leaf = reader.digest(), let tenants = reader.number()
    else { return nil }
    (place, self.leaf) = (LogFollower.Place(segment: segment, offset: offset), leaf)
    var histories = TenantHistories(size: size)
    for _ in 0..<tenants {
      guard let length = reader.take(1), let name = reader.take(Int(length[0])), let count = reader.number(),
        let last = reader.number(), let hash = reader.digest(),
        histories.add(name.span, TenantHistory(count: count, lastSequence: last, hash: hash))
      else { return nil }
    }
    guard reader.isWhole else { return nil }
    self.histories = histories
  }

  /// Reads on in pieces, and hashes what it reads.
  private struct Reader {
    private let file: any LogFile
    private let end: UInt64
    private var offset: UInt64 = 0
    private var buffer: [UInt8] = []
    private var at = 0
    private var hash = SHA256()

    init?(_ file: any LogFile) {
      guard let size = try? file.size(), size >= 96 + 32 else { return nil }
      self.file = file
      end = size - 32
    }

    mutating func take(_ count: Int) -> [UInt8]? {
      while buffer.count - at < count, offset < end {
        let step = min(end - offset, UInt64(TenantFile.stepByteCount))
        guard let more = try? file.read(at: offset, count: Int(step)), more.count == Int(step) else { return nil }
        hash.update(more)
        offset += step
        buffer = Array(buffer[at...]) + more
        at = 0
      }
      guard buffer.count - at >= count else { return nil }
      defer { at += count }
      return Array(buffer[at..<at + count])
    }

    mutating func number() -> UInt64? {
      guard let bytes = take(8) else { return nil }
      return bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }

    mutating func digest() -> Digest? { take(32).map { Digest($0.span) } }

    /// Whether nothing is left over, and the hash behind it is the one computed.
    var isWhole: Bool {
      guard offset == end, at == buffer.count, let stored = try? file.read(at: end, count: 32), stored.count == 32 else {
        return false
      }
      let whole = hash
      return whole.finish() == Digest(stored.span)
    }
  }
}
