import ChatelaineAuditLog
import ChatelaineAuditTrail
import ChatelaineLogTestSupport
import ChatelainePrimitives
import ChatelaineTestSupport
import ChatelaineVocabulary
import Testing

/// Each rule of a segment, broken alone: the header page's own hash always matches.
struct SegmentRuleTests {
  let log: SampleLog
  /// A segment with others on both sides, made larger than its seal needs; and its first sequence.
  let name: String
  let firstSequence: UInt64

  init() throws {
    let log = try SampleLog(entries: 60, padding: 1500...2500)
    let seals = log.frames().filter { $0.header.kind == .seal }
    let seal = try #require(
      seals.dropFirst().first { $0.offset + $0.byteCount + 1024 < log.storage.fileSizeInHeader($0.file) })
    let name = seal.file
    firstSequence = try #require(log.frames().first { $0.file == name }).header.firstSequence
    (self.log, self.name) = (log, name)
    #expect(log.segmentNames.count > 3)
    #expect(Verification(log.storage).verdict == .valid)
  }

  /// The log with a header page changed, and its hash made again.
  private func editing(_ name: String, _ edit: (inout SegmentHeader) -> Void) throws -> MemoryStorage {
    let storage = log.storage
    let bytes = try #require(storage[name])
    var header = try SegmentHeader(parsing: bytes.span.extracting(0..<SegmentHeader.byteCount))
    edit(&header)
    let page = header.encoded()
    storage[name]?.overwrite(page.span, at: 0)
    return storage
  }

  private func expectTampered(
    _ storage: MemoryStorage, _ kind: LogFault.Kind, at sequence: UInt64, _ comment: Comment,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let verdict = Verification(storage).verdict
    guard case .tampered(let fault, _) = verdict else {
      Issue.record("\(comment): \(verdict)", sourceLocation: sourceLocation)
      return
    }
    #expect(fault.kind == kind, comment, sourceLocation: sourceLocation)
    #expect(fault.sequence == sequence, comment, sourceLocation: sourceLocation)
  }

  // MUST: SEG-1
  @Test func `A missing segment is told, wherever it is missing`() throws {
    for name in log.segmentNames.dropLast() {
      let storage = log.storage
      storage[name] = nil
      let first = try #require(log.frames().first { $0.file == name }).header.firstSequence
      expectTampered(storage, .missingSegment, at: first, "\(name)")
    }
  }

  // MUST: SEG-3
  @Test func `Log, epoch and number are those of the descriptor and the file's name`() throws {
    let edits: [(Comment, (inout SegmentHeader) -> Void)] = [
      ("log", { $0.logID = Identifier(high: $0.logID.high ^ 1, low: $0.logID.low) }), ("epoch", { $0.epoch = 2 }),
      ("number", { $0.number += 1 }), ("number", { $0.number = 0 }),
    ]
    for (comment, edit) in edits {
      expectTampered(try editing(name, edit), .headerState, at: firstSequence, comment)
    }
    expectTampered(try editing(log.segmentNames[0]) { $0.number = 1 }, .headerState, at: 0, "number 0")
  }

  // MUST: SEG-4
  @Test func `First sequence, link and root are those of the entries before`() throws {
    let edits: [(Comment, (inout SegmentHeader) -> Void)] = [
      ("first sequence", { $0.firstSequence += 1 }), ("first sequence", { $0.firstSequence -= 1 }),
      ("link", { $0.previousLeaf = Digest(1, 2, 3, 4) }), ("root", { $0.treeRoot = Digest(1, 2, 3, 4) }),
      ("root of nothing", { $0.treeRoot = MerkleFrontier.emptyRoot }),
    ]
    for (comment, edit) in edits {
      expectTampered(try editing(name, edit), .headerState, at: firstSequence, comment)
    }
    expectTampered(
      try editing(log.segmentNames[0]) { $0.treeRoot = .zero }, .headerState, at: 0, "root in segment 0")
  }

  // MUST: SEG-5
  @Test func `The hash of the header page before matches`() throws {
    expectTampered(try editing(name) { $0.previousHeaderHash = .zero }, .headerLink, at: firstSequence, "zeros")
    let first = try editing(log.segmentNames[0]) { $0.previousHeaderHash = Digest(1, 2, 3, 4) }
    expectTampered(first, .headerLink, at: 0, "something before segment 0")
  }

  // MUST: SEG-8
  @Test func `Every segment but the last ends in a seal`() throws {
    let seals = log.frames().filter { $0.header.kind == .seal }
    #expect(seals.count == log.segmentNames.count - 1)
    for seal in seals {
      for isCut in [false, true] {
        let storage = log.storage
        storage[seal.file]?.overwrite([UInt8](repeating: 0, count: seal.byteCount).span, at: seal.offset)
        if isCut { storage[seal.file]?.resize(to: seal.offset) }
        expectTampered(storage, .notSealed, at: seal.header.firstSequence, "\(seal.file), cut \(isCut)")
      }
    }
  }

  // MUST: SEG-9
  @Test func `A file has its header's size, or ends where its seal does`() throws {
    let sealed = try #require(log.frames().first { $0.file == name && $0.header.kind == .seal })
    let end = sealed.offset + sealed.byteCount
    let next = sealed.header.firstSequence
    let made = Int(log.storage.fileSizeInHeader(name))
    #expect(made > end + 1024)
    for size in [end, made] {
      #expect(Verification(resized(name, to: size)).verdict == .valid, "\(size) bytes")
    }
    for size in [end + 1, end + 512, made - 512, made - 1, made + 1, made + 512] {
      expectTampered(resized(name, to: size), .fileSize, at: next, "\(size) bytes")
    }
    for size in [end - 1, end - 512, sealed.offset] {
      #expect(Verification(resized(name, to: size)).isTampered, "\(size) bytes")
    }
    let last = try #require(log.segmentNames.last)
    let count = try #require(log.files[last]).count
    for size in [count - 512, count - 1, count + 1, count + 512] {
      expectTampered(resized(last, to: size), .fileSize, at: 60, "the last segment, \(size) bytes")
    }
  }

  // MUST: SEG-10
  @Test func `Every byte behind a seal is zero`() throws {
    let sealed = try #require(log.frames().first { $0.file == name && $0.header.kind == .seal })
    let end = sealed.offset + sealed.byteCount
    let made = Int(log.storage.fileSizeInHeader(name))
    for offset in [end, end + 1, end + 511, end + 512, made - 1] {
      let storage = resized(name, to: made)
      storage.flip(name, at: offset, mask: 1)
      expectTampered(storage, .afterSeal, at: sealed.header.firstSequence, "byte \(offset)")
    }
  }

  // MUST: FRAME-3
  @Test func `A frame that reaches beyond its file is no frame`() throws {
    let storage = MemoryStorage()
    _ = try LogWriter.create(in: storage, name: "short", options: .small(), clock: .stepping())
    let (writer, _) = try LogWriter.open(in: storage, options: .small(), clock: .stepping())
    try writer.commit([[.sample(1)]]) { _, _ in }
    let start = Int(writer.segmentFill.used)
    try writer.commit([(2...9).map { .sample($0) }]) { _, _ in }
    let end = Int(writer.segmentFill.used)
    let name = "000001-0000000000.seg"
    for (size, count) in [(end, 9), (end - 512, 1), (start + 512, 1)] as [(Int, UInt64)] {
      let copy = MemoryStorage(files: storage.files)
      let bytes = try #require(copy[name])
      var header = try SegmentHeader(parsing: bytes.span.extracting(0..<SegmentHeader.byteCount))
      header.fileSize = UInt64(size)
      let page = header.encoded()
      copy[name]?.overwrite(page.span, at: 0)
      copy[name]?.resize(to: size)
      let found = Verification(copy)
      #expect(found.treeSize == count, "\(size) bytes")
      #expect((found.verdict == .valid) == (size == end), "\(size) bytes")
    }
  }

  private func resized(_ name: String, to size: Int) -> MemoryStorage {
    let storage = log.storage
    storage[name]?.resize(to: size)
    return storage
  }
}

extension MemoryStorage {
  fileprivate func fileSizeInHeader(_ name: String) -> UInt64 {
    guard let bytes = self[name],
      let header = try? SegmentHeader(parsing: bytes.span.extracting(0..<SegmentHeader.byteCount))
    else { return 0 }
    return header.fileSize
  }
}
