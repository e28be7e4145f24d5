import ChatelaineAuditLog
import ChatelaineAuditTrail
import ChatelaineLogTestSupport
import ChatelainePrimitives
import ChatelaineTestSupport
import ChatelaineVocabulary
import Testing

/// Interrupted writes made by hand, in each form of FORMATS.md §5, and what may not pass for one.
struct TornTailTests {
  static let frameBytesMax = 128 << 10

  /// A log of one segment that can hold more than one largest frame, and its last frame taken off.
  struct Stage {
    let name: String
    /// Where the log ends without its last frame.
    let end: Int
    let lastFrame: [UInt8]
    let files: [String: [UInt8]]
    let entriesBefore: UInt64

    init() throws {
      let log = try SampleLog(entries: 40, options: .small(first: 192 << 10, grown: 192 << 10))
      let last = try #require(log.frames().last)
      name = last.file
      end = last.offset
      lastFrame = Array(try #require(log.files[name])[last.offset..<last.offset + last.byteCount])
      var bytes = try #require(log.files[name])
      bytes.overwrite([UInt8](repeating: 0, count: last.byteCount).span, at: last.offset)
      files = log.files.merging([name: bytes]) { $1 }
      entriesBefore = last.header.firstSequence
    }

    /// The log with bytes behind its end.
    func storage(tail: [UInt8], at offset: Int = 0) -> MemoryStorage {
      let storage = MemoryStorage(files: files)
      storage[name]?.overwrite(tail.span, at: end + offset)
      return storage
    }
  }

  enum Form: String, CaseIterable {
    case firstSector, allButTheLastSector, zerosThenTheRest, holeInside, allButTheTrailersLastByte, bitChanged
    case garbage, oneByteJustBehind, lastByteWithinOneFrame, headerOnly

    func tail(_ frame: [UInt8], _ random: inout SeededRandom) -> (bytes: [UInt8], offset: Int) {
      let body = frame.lastIndex { $0 != 0 } ?? 0
      switch self {
      case .firstSector: return (Array(frame[..<512]), 0)
      case .allButTheLastSector: return (Array(frame[..<(frame.count - 512)]), 0)
      case .zerosThenTheRest: return (Array(frame[512...]), 512)
      case .holeInside: return (frame[..<256] + [UInt8](repeating: 0, count: 256) + frame[512...], 0)
      case .allButTheTrailersLastByte: return (Array(frame[..<body]), 0)
      case .bitChanged: return (frame.enumerated().map { $0 == 300 ? $1 ^ 4 : $1 }, 0)
      case .garbage: return (random.bytes(700), 0)
      case .oneByteJustBehind: return ([1], 0)
      case .lastByteWithinOneFrame: return ([1], TornTailTests.frameBytesMax - 1)
      case .headerOnly: return (Array(frame[..<48]), 0)
      }
    }
  }

  // MUST: END-6, END-7, END-8
  @Test(arguments: Form.allCases)
  func `A torn tail is kept aside, zeroed and noted, and the log is valid again`(_ form: Form) throws {
    let stage = try Stage()
    var random = SeededRandom(seed: 5)
    let (tail, offset) = form.tail(stage.lastFrame, &random)
    let storage = stage.storage(tail: tail, at: offset)
    let torn = Array(try #require(storage[stage.name])[stage.end...])
    #expect(Verification(storage).verdict == .torn)

    let (writer, recovery) = try LogWriter.open(in: storage, options: .small(), clock: .stepping())
    let tear = try #require(recovery.tear)
    #expect(tear.offset == UInt64(stage.end))
    let kept = try #require(storage[tear.quarantineFile])
    #expect(kept == Array(torn.prefix { _ in true }[..<(try #require(torn.lastIndex { $0 != 0 }) + 1)]))
    #expect(tear.byteCount == UInt64(kept.count))

    let found = Verification(storage, keepingEntries: true)
    #expect(found.verdict == .valid)
    #expect(found.treeSize == stage.entriesBefore + 1)
    #expect(found.entries.last?.entryClass == .recovered)
    #expect(writer.nextSequence == stage.entriesBefore + 1)
    let note = try #require(storage.frameCount(stage.name))
    #expect(try #require(storage[stage.name])[(stage.end + note)...].allSatisfy { $0 == 0 })
  }

  @Test func `A second start finds nothing more to mend`() throws {
    let stage = try Stage()
    let storage = stage.storage(tail: Array(stage.lastFrame[..<512]))
    _ = try LogWriter.open(in: storage, options: .small(), clock: .stepping())
    let (_, again) = try LogWriter.open(in: storage, options: .small(), clock: .stepping())
    #expect(again.tear == nil)
    #expect(Verification(storage, keepingEntries: true).entries.count { $0.entryClass == .recovered } == 1)
  }

  @Test func `A note that the log and the quarantine do not bear out is not taken`() throws {
    let stage = try Stage()
    let kept = "quarantine/segment-0-at-\(stage.end)-1"
    for (segment, offset, count, name) in [
      (7, .max, 1 << 63, "nowhere"), (0, UInt64(stage.end), 512, kept + "1"), (0, UInt64(stage.end), 511, kept),
      (0, UInt64(stage.end) - 4096, 512, kept), (0, UInt64(stage.end), 512, kept),
    ] as [(UInt64, UInt64, UInt64, String)] {
      let storage = stage.storage(tail: [])
      try storage.create(kept).write([UInt8](repeating: 1, count: 512).span, at: 0)
      var writer = ByteWriter()
      writer.raw(Array("CHTEAR".utf8) + [0, 1])
      for number in [segment, offset, count] { writer.u64(number) }
      writer.u16Prefixed(Array(name.utf8))
      writer.digest(SHA256.hash(writer.bytes))
      try storage.create("tear").write(writer.bytes.span, at: 0)
      let (_, recovery) = try LogWriter.open(in: storage, options: .small(), clock: .stepping())
      // The control: the last one is what a crash leaves.
      let isTrue = (segment, offset, count, name) == (0, UInt64(stage.end), 512, kept)
      #expect((recovery.tear != nil) == isTrue)
      #expect(storage["tear"] == nil)
    }
  }

  @Test func `A whole frame that nobody was answered for is part of the log`() throws {
    let stage = try Stage()
    let storage = stage.storage(tail: stage.lastFrame)
    let (writer, recovery) = try LogWriter.open(in: storage, options: .small(), clock: .stepping())
    #expect(recovery.tear == nil)
    #expect(writer.nextSequence > stage.entriesBefore)
  }

  // MUST: END-8
  @Test func `A crash after the zeros and before the note leaves no unnoted recovery`() throws {
    let stage = try Stage()
    let clock = LogClock.stepping()
    for step in 1...40 {
      let storage = stage.storage(tail: Array(stage.lastFrame[..<512]))
      let calls = CallCounter(failing: step)
      storage.setPlan { call, _, _ in calls.isDue(call) ? .fail(5) : nil }
      let first = try? LogWriter.open(in: storage, options: .small(), clock: clock)
      storage.setPlan { _, _, _ in nil }
      _ = try LogWriter.open(in: storage, options: .small(), clock: clock)
      let found = Verification(storage, keepingEntries: true)
      #expect(found.verdict == .valid, "call \(step)")
      #expect(found.entries.contains { $0.entryClass == .recovered }, "call \(step)")
      if first != nil, step > 20 { return }
    }
    Issue.record("40 calls do not open a log")
  }

  // MARK: What no crash leaves

  // MUST: END-3
  @Test func `A byte further behind than one frame reaches is refused, with file, offset and sequence`() throws {
    let stage = try Stage()
    for distance in [Self.frameBytesMax, Self.frameBytesMax + 1, (192 << 10) - stage.end - 1] {
      let storage = stage.storage(tail: [1], at: distance)
      let fault = LogFault(
        .bytesBeyondTear, segment: 0, offset: UInt64(stage.end + distance), sequence: stage.entriesBefore)
      #expect(throws: LogError.corrupt(fault, file: stage.name)) {
        _ = try LogWriter.open(in: storage, options: .small())
      }
    }
  }

  // MUST: END-2
  @Test func `A damaged frame before a whole one is refused, with file, offset and sequence`() throws {
    let log = try SampleLog(entries: 40, options: .small(first: 192 << 10))
    let frames = log.frames()
    for (index, frame) in frames.enumerated().dropLast() {
      let storage = log.storage
      storage.flip(frame.file, at: frame.offset + 100, mask: 1)
      let error = #expect(throws: LogError.self, "frame \(index)") {
        _ = try LogWriter.open(in: storage, options: .small())
      }
      guard case .corrupt(let fault, let file) = error else { continue }
      #expect(file == frame.file)
      #expect(fault.offset == UInt64(frame.offset))
      #expect(fault.sequence == frame.header.firstSequence)
    }
  }

  // MUST: END-4
  @Test func `A tear before a later segment is refused`() throws {
    let log = try SampleLog(entries: 300)
    let storage = log.storage
    let seal = try #require(log.frames().first { $0.header.kind == .seal })
    storage[seal.file]?.overwrite([UInt8](repeating: 0, count: 256).span, at: seal.offset + 100)
    #expect(Verification(storage).isTampered)
    // With the tree file a start reads the newest segment only, and that one is whole.
    #expect(throws: Never.self) {
      _ = try LogWriter.open(in: MemoryStorage(files: storage.files), options: .small())
    }
    storage["tree"] = nil
    let error = #expect(throws: LogError.self) { _ = try LogWriter.open(in: storage, options: .small()) }
    guard case .corrupt(let fault, let file) = error else { return }
    #expect(file == seal.file)
    #expect(fault.offset == UInt64(seal.offset))
  }

  // MUST: END-5
  @Test func `A log that ends before a head known from elsewhere is refused`() throws {
    let stage = try Stage()
    let storage = stage.storage(tail: [])
    let head = KnownHead(sequence: stage.entriesBefore)
    let fault = LogFault(
      .behindKnownHead, segment: 0, offset: UInt64(stage.end), sequence: stage.entriesBefore)
    #expect(throws: LogError.corrupt(fault, file: stage.name)) {
      _ = try LogWriter.open(in: storage, options: .small(), knownHead: head)
    }
    #expect(throws: Never.self) {
      _ = try LogWriter.open(
        in: stage.storage(tail: stage.lastFrame), options: .small(), knownHead: head)
    }
  }
}

extension MemoryStorage {
  /// Bytes of the last frame of a segment.
  fileprivate func frameCount(_ name: String) -> Int? {
    guard let bytes = self[name] else { return nil }
    var offset = SegmentHeader.byteCount
    var last: Int?
    while offset < bytes.count, let header = Frame.parseHeader(bytes.span.extracting(offset...)) {
      last = header.paddedByteCount(alignment: 512)
      offset += header.paddedByteCount(alignment: 512)
    }
    return last
  }
}
