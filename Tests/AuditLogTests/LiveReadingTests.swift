import ChatelaineAuditLog
import ChatelaineAuditTrail
import ChatelaineLogTestSupport
import Synchronization
import Testing

/// A reading that a writer overtakes: the first look at a file shows an older state of a part of it.
struct LiveReadingTests {
  @Test func `A frame seen before the one before it is looked at again, and is no tampering`() throws {
    let log = try SampleLog(entries: 60, options: .small(first: 192 << 10, grown: 192 << 10))
    for frame in log.frames().dropLast() {
      let late = frame.offset..<frame.offset + frame.byteCount
      let found = Verification(OvertakenStorage(log.storage, late: late))
      #expect(found.verdict == .valid)
      #expect(found.treeSize == 60)
    }
  }

  @Test func `Control: the same bytes for good are tampering`() throws {
    let log = try SampleLog(entries: 60, options: .small(first: 192 << 10, grown: 192 << 10))
    for frame in log.frames().dropLast() {
      let storage = log.storage
      storage[frame.file]?.overwrite([UInt8](repeating: 0, count: frame.byteCount).span, at: frame.offset)
      #expect(Verification(storage).isTampered)
    }
  }

  @Test func `A sealed file that is cut while it is read stays valid`() throws {
    // Frames of 1,024 bytes, which do not fill a segment to its last sector.
    let written = MemoryStorage()
    _ = try LogWriter.create(in: written, name: "cut", options: .small(), clock: .stepping())
    let (writer, _) = try LogWriter.open(in: written, options: .small(), clock: .stepping())
    for id in 0..<60 { try writer.commit([[.sample(UInt64(id), padding: 500)]]) { _, _ in } }
    var cut = 0
    for name in written.files.keys.sorted() where name.hasSuffix(".seg") {
      let storage = MemoryStorage(files: written.files)
      let sealed = try #require(storage[name])
      let made = Int(try SegmentHeader(parsing: sealed.span.extracting(0..<4096)).fileSize)
      guard sealed.count < made else { continue }
      cut += 1
      storage[name]?.resize(to: made)
      let overtaken = OvertakenStorage(storage, late: nil, of: name) { storage[name] = sealed }
      #expect(Verification(overtaken).verdict == .valid)
    }
    #expect(cut > 0)
  }
}

/// Shows zeros in a range at the first reading, or does something just before it.
private final class OvertakenStorage: LogStorage {
  private let storage: MemoryStorage
  private let late: Mutex<Range<Int>?>
  private let name: String?
  private let overtake: Mutex<(@Sendable () -> Void)?>

  init(
    _ storage: MemoryStorage, late: Range<Int>?, of name: String? = nil,
    overtake: (@Sendable () -> Void)? = nil
  ) {
    self.storage = storage
    self.name = name
    self.late = Mutex(late)
    self.overtake = Mutex(overtake)
  }

  var path: String { storage.path }
  var sectorBytes: Int { storage.sectorBytes }
  func list() throws(StorageFailure) -> [String] { try storage.list() }
  func create(_ name: String) throws(StorageFailure) -> any LogFile { try storage.create(name) }
  func rename(_ name: String, to newName: String) throws(StorageFailure) {
    try storage.rename(name, to: newName)
  }
  func remove(_ name: String) throws(StorageFailure) { try storage.remove(name) }
  func syncDirectory() throws(StorageFailure) { try storage.syncDirectory() }

  func open(_ name: String, forWriting: Bool) throws(StorageFailure) -> any LogFile {
    let file = try storage.open(name, forWriting: forWriting)
    return name.hasSuffix(".seg") && (self.name ?? name) == name ? OvertakenFile(file, self) : file
  }

  fileprivate func read(_ file: any LogFile, at offset: UInt64, count: Int) throws(StorageFailure) -> [UInt8]
  {
    let act = overtake.withLock { act in
      defer { act = nil }
      return act
    }
    act?()
    var bytes = try file.read(at: offset, count: count)
    late.withLock { late in
      guard let range = late, Int(offset) <= range.lowerBound, range.upperBound <= Int(offset) + bytes.count
      else { return }
      bytes.overwrite([UInt8](repeating: 0, count: range.count).span, at: range.lowerBound - Int(offset))
      late = nil
    }
    return bytes
  }
}

private final class OvertakenFile: LogFile {
  private let file: any LogFile
  private let storage: OvertakenStorage

  init(_ file: any LogFile, _ storage: OvertakenStorage) {
    self.file = file
    self.storage = storage
  }

  func size() throws(StorageFailure) -> UInt64 { try file.size() }
  func write(_ bytes: Span<UInt8>, at offset: UInt64) throws(StorageFailure) {
    try file.write(bytes, at: offset)
  }
  func sync() throws(StorageFailure) { try file.sync() }
  func truncate(to size: UInt64) throws(StorageFailure) { try file.truncate(to: size) }
  func isLinked() throws(StorageFailure) -> Bool { try file.isLinked() }

  func read(at offset: UInt64, count: Int) throws(StorageFailure) -> [UInt8] {
    try storage.read(file, at: offset, count: count)
  }
}
