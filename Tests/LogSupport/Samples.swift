package import ChatelaineAuditLog
package import ChatelaineAuditTrail
internal import ChatelaineTestSupport
package import ChatelaineVocabulary
internal import Synchronization

extension EntryDraft {
  /// An entry that no other sample is: its request id is `id`. About 200 to 300 bytes.
  package static func sample(_ id: UInt64, padding: Int = 0) -> EntryDraft {
    var entry = AuditEntry(id % 7 == 6 ? .refusal : .keyUse, id.isMultiple(of: 2) ? .encrypt : .decrypt)
    entry.outcome = id % 7 == 6 ? .denied : .ok
    entry.requestID = Identifier(high: 0x5a5a, low: id)
    entry.wall = WallTime(nanoseconds: 1_700_000_000_000_000_000 + id)
    entry.tenant = try? TenantID(id % 3 == 0 ? "acme" : "globex")
    entry.keyName = try? KeyName("records")
    entry.principal = Array("uid:1000".utf8)
    entry.items = [.init(outcome: .ok, byteCount: UInt32(truncatingIfNeeded: id))]
    entry.purpose = [UInt8](repeating: 0x70, count: padding)
    return EntryDraft(entry)
  }
}

extension LogOptions {
  /// Segments of a few frames.
  package static func small(first: UInt64 = 16 << 10, grown: UInt64 = 32 << 10, alignment: Int = 512)
    -> LogOptions
  {
    var options = LogOptions()
    options.firstSegmentBytes = first
    options.segmentBytes = grown
    options.frameBytesMax = 128 << 10
    options.alignment = alignment
    return options
  }
}

extension LogClock {
  /// A clock that goes on by a second whenever it is asked.
  package static func stepping() -> LogClock {
    let seconds = Atomic<UInt64>(1_700_000_000)
    let box = AtomicBox(seconds)
    return LogClock(
      wall: { WallTime(nanoseconds: box.next() * 1_000_000_000) },
      bootNanoseconds: { box.next() * 1_000_000_000 })
  }
}

private final class AtomicBox: Sendable {
  private let value: Atomic<UInt64>

  init(_ value: consuming Atomic<UInt64>) { self.value = value }

  func next() -> UInt64 { value.wrappingAdd(1, ordering: .relaxed).newValue }
}

/// One entry as a reader finds it.
package struct ReadEntry: Equatable, Sendable {
  package let sequence: UInt64
  package let leafHash: Digest
  package let entryClass: EntryClass
  package let requestID: Identifier

  package init?(_ bytes: Span<UInt8>) {
    guard let entry = try? AuditEntry(parsing: bytes) else { return nil }
    sequence = entry.sequence
    leafHash = AuditEntry.leafHash(bytes)
    entryClass = entry.entryClass
    requestID = entry.requestID
  }
}

/// What a whole reading of a log comes to.
package struct Verification: Sendable {
  package enum Verdict: Equatable, Sendable {
    case valid
    case torn
    case tampered(LogFault, file: String)
    case unsupported(LogFault, file: String)
    case unreadable(StorageFailure)
  }

  package var verdict: Verdict
  package var treeSize: UInt64 = 0
  package var root: Digest = MerkleFrontier.emptyRoot
  package var entries: [ReadEntry] = []

  package var isTampered: Bool {
    if case .tampered = verdict { true } else { false }
  }

  package var firstBadSequence: UInt64? {
    if case .tampered(let fault, _) = verdict { fault.sequence } else { nil }
  }

  /// Reads everything through LogReader; keeps the entries only where asked to.
  package init(_ storage: any LogStorage, keepingEntries: Bool = false, ahead: ReadAhead? = nil) {
    self.init(
      reader: { () throws(LogError) in try LogReader(storage, ahead: ahead) }, keepingEntries: keepingEntries)
  }

  /// Goes on where a reader stands.
  package init(continuing reader: LogReader) { self.init(reader: { reader }, keepingEntries: false) }

  private init(reader: () throws(LogError) -> LogReader, keepingEntries: Bool) {
    verdict = .valid
    do throws(LogError) {
      var reader = try reader()
      var kept: [ReadEntry] = []
      defer {
        treeSize = reader.verifier.tree.size
        root = reader.verifier.tree.root
        entries = kept
      }
      let end = try reader.readAvailable(visit: { bytes in
        if keepingEntries, let entry = ReadEntry(bytes) { kept.append(entry) }
      })
      if case .torn = end.tail { verdict = .torn }
    } catch {
      switch error {
      case .corrupt(let fault, let file): verdict = .tampered(fault, file: file)
      case .unsupported(let fault, let file): verdict = .unsupported(fault, file: file)
      case .noLog(let path): verdict = .unreadable(StorageFailure(.open, path: path, errno: 2))
      case .storage(let failure): verdict = .unreadable(failure)
      }
    }
  }
}

/// A log in memory with so many sample entries in frames of one to seven, and where its frames are.
package struct SampleLog: Sendable {
  package struct FramePlace: Sendable {
    package let file: String
    package let offset: Int
    package let byteCount: Int
    package let header: Frame.Header
  }

  package let files: [String: [UInt8]]
  package let leafHashes: [Digest]

  package init(
    entries count: Int, options: LogOptions = .small(), seed: UInt64 = 1, padding: ClosedRange<Int> = 0...60
  ) throws {
    let storage = MemoryStorage()
    var random = SeededRandom(seed: seed)
    _ = try LogWriter.create(in: storage, name: "sample", options: options, clock: .stepping())
    let (writer, _) = try LogWriter.open(in: storage, options: options, clock: .stepping())
    var leaves: [Digest] = []
    var next: UInt64 = 0
    while next < count {
      let size = min(UInt64(count) - next, .random(in: 1...7, using: &random))
      let group = (next..<next + size).map { EntryDraft.sample($0, padding: Int.random(in: padding, using: &random)) }
      try writer.commit([group]) { _, receipt in leaves += receipt.leafHashes }
      next += size
    }
    try? storage.remove("spare")
    files = storage.files
    leafHashes = leaves
  }

  package var storage: MemoryStorage { MemoryStorage(files: files) }

  package var segmentNames: [String] { files.keys.filter { $0.hasSuffix(".seg") }.sorted() }

  /// Every frame, in order, by a plain walk over the bytes.
  package func frames(alignment: Int = 512) -> [FramePlace] {
    var places: [FramePlace] = []
    for name in segmentNames {
      guard let bytes = files[name] else { continue }
      var offset = SegmentHeader.byteCount
      while offset < bytes.count, let header = Frame.parseHeader(bytes.span.extracting(offset...)) {
        let count = header.paddedByteCount(alignment: alignment)
        places.append(FramePlace(file: name, offset: offset, byteCount: count, header: header))
        offset += count
      }
    }
    return places
  }
}
