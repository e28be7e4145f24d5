import ChatelaineAuditLog
import ChatelaineAuditTrail
import ChatelaineLogTestSupport
import ChatelainePrimitives
import ChatelaineTestSupport
import ChatelaineVocabulary
import Testing

/// Segments that follow each other, frames that split, starts in every state that a roll can be left in.
struct RollingTests {
  static let small = LogOptions.small(first: 8 << 10, grown: 8 << 10)

  static func open(_ storage: MemoryStorage, _ options: LogOptions = small) throws -> (LogWriter, LogRecovery)
  {
    try LogWriter.open(in: storage, options: options, clock: .stepping())
  }

  static func create(_ options: LogOptions = small) throws -> MemoryStorage {
    let storage = MemoryStorage()
    _ = try LogWriter.create(in: storage, name: "rolling", options: options, clock: .stepping())
    return storage
  }

  /// A log of 60 entries in many segments, the spare left as the writer left it.
  static func rolled(_ count: UInt64 = 60) throws -> MemoryStorage {
    let storage = try create()
    let (writer, _) = try open(storage)
    for id in 0..<count { try writer.commit([[.sample(id)]]) { _, _ in } }
    return storage
  }

  @Test func `A log that rolls every few entries verifies, and every sealed file ends with its seal`() throws
  {
    let storage = try Self.rolled(200)
    let found = Verification(storage, keepingEntries: true)
    #expect(found.verdict == .valid)
    #expect(found.entries.map(\.requestID.low) == Array(0..<200))
    let segments = storage.files.keys.filter { $0.hasSuffix(".seg") }.sorted()
    #expect(segments.count > 20)
    for name in segments.dropLast() {
      let bytes = try #require(storage[name])
      #expect(Frame.parseHeader(bytes.span.extracting((bytes.count - 512)...))?.kind == .seal)
    }
  }

  @Test func `Entries that do not fit one frame are split over frames, in order, under one receipt`() throws {
    let options = LogOptions.small(first: 1 << 20, grown: 1 << 20)
    let storage = try Self.create(options)
    let (writer, _) = try Self.open(storage, options)
    let sizes = [300, 5000, 3]
    let groups = sizes.map { size in (0..<size).map { EntryDraft.sample(UInt64($0), padding: 40) } }
    var next: UInt64 = 0
    var leaves: [Digest] = []
    try writer.commit(groups) { index, receipt in
      #expect(receipt.firstSequence == next)
      #expect(receipt.leafHashes.count == sizes[index])
      next += UInt64(sizes[index])
      leaves += receipt.leafHashes
    }
    let found = Verification(storage, keepingEntries: true)
    #expect(found.verdict == .valid)
    #expect(found.entries.map(\.leafHash) == leaves)
    let frames = SampleFrames(storage)
    #expect(frames.headers.count > 8)
    #expect(frames.headers.allSatisfy { $0.paddedByteCount(alignment: 512) <= 128 << 10 && $0.count <= 4096 })
  }

  @Test func `The largest entry fits a segment of the default size, and rolls a small one`() throws {
    var entry = AuditEntry(.service, .serviceStart)
    entry.purpose = [UInt8](repeating: 1, count: 40_000)
    entry.actor = [UInt8](repeating: 1, count: 25_000)
    let options = LogOptions.small(first: 128 << 10, grown: 128 << 10)
    let storage = try Self.create(options)
    let (writer, _) = try Self.open(storage, options)
    for _ in 0..<5 { try writer.commit([[EntryDraft(entry)]]) { _, _ in } }
    #expect(writer.segmentNumber == 4)
    #expect(Verification(storage).verdict == .valid)
  }

  // MARK: Starts

  @Test func `A start reads only the newest segment, and comes to the same state as a full reading`() throws {
    let storage = try Self.rolled()
    let (resumed, recovery) = try Self.open(MemoryStorage(files: storage.files))
    #expect(recovery.segmentsRead == 1)
    storage["tree"] = nil
    let (full, fullRecovery) = try Self.open(storage)
    #expect(fullRecovery.segmentsRead > 5)
    #expect(resumed.tree == full.tree)
    #expect(resumed.nextSequence == full.nextSequence)
    #expect(resumed.previousLeaf == full.previousLeaf)
    #expect(resumed.incarnation == full.incarnation)
  }

  // MUST: END-10, END-11
  @Test func `A newest segment of another version is not written to, with or without the tree file`() throws {
    let storage = try Self.rolled()
    let newest = try #require(storage.files.keys.filter { $0.hasSuffix(".seg") }.max())
    var covered = Array(try #require(storage[newest])[..<4064])
    covered[7] = 2
    let page = covered + SHA256.hash(covered).bytes
    storage[newest]?.overwrite(page.span, at: 0)
    for tree in [storage["tree"], nil] {
      let copy = MemoryStorage(files: storage.files)
      copy["tree"] = tree
      let before = copy.files
      let error = #expect(throws: LogError.self) { _ = try Self.open(copy) }
      guard case .corrupt(_, let file) = error, file == newest else { return #expect(Bool(false), "\(String(describing: error))") }
      #expect(copy.files == before)
    }
  }

  @Test func `A damaged tree file is not used: the start reads everything`() throws {
    let storage = try Self.rolled()
    let tree = try #require(storage["tree"])
    let segments = storage.files.keys.count { $0.hasSuffix(".seg") }
    for index in tree.indices {
      let copy = MemoryStorage(files: storage.files)
      copy.flip("tree", at: index, mask: 0x10)
      let (writer, recovery) = try Self.open(copy)
      #expect(recovery.segmentsRead == segments, "byte \(index)")
      try writer.commit([[.sample(1)]]) { _, _ in }
      #expect(Verification(copy).verdict == .valid)
    }
    for count in 0..<tree.count {
      let copy = MemoryStorage(files: storage.files)
      copy["tree"] = Array(tree[..<count])
      #expect(try Self.open(copy).1.segmentsRead == segments)
    }
  }

  @Test func `A tree file with a wrong frame number and a hash that fits harms nothing`() throws {
    // With frames in the newest segment, and in a newest segment without any.
    for cutsFrames in [false, true] {
      let storage = try Self.rolled()
      let newest = try #require(storage.files.keys.filter { $0.hasSuffix(".seg") }.max())
      if cutsFrames {
        storage[newest]?.overwrite([UInt8](repeating: 0, count: 4096).span, at: 4096)
      }
      var tree = Array(try #require(storage["tree"]).dropLast(32))
      tree.replaceSubrange(16..<24, with: ByteWriter.u64Bytes(7))
      storage["tree"] = tree + SHA256.hash(tree).bytes
      let (writer, recovery) = try Self.open(storage)
      #expect(recovery.segmentsRead > 1)
      try writer.commit([[.sample(1)]]) { _, _ in }
      #expect(Verification(storage).verdict == .valid)
    }
  }

  @Test func `A start after a seal without a successor goes on in a new segment`() throws {
    let storage = try Self.rolled()
    let newest = try #require(storage.files.keys.filter { $0.hasSuffix(".seg") }.max())
    storage[newest] = nil
    for isCut in [true, false] {
      let copy = MemoryStorage(files: storage.files)
      let sealed = try #require(copy.files.keys.filter { $0.hasSuffix(".seg") }.max())
      if !isCut { copy[sealed]?.resize(to: 8 << 10) }
      #expect(Verification(copy).verdict == .valid)
      let before = Verification(copy).treeSize
      let (writer, recovery) = try Self.open(copy)
      #expect(recovery.tear == nil)
      try writer.commit([[.sample(1)]]) { _, _ in }
      let found = Verification(copy)
      #expect(found.verdict == .valid)
      #expect(found.treeSize == before + 1)
      #expect(copy[newest] != nil)
    }
  }

  @Test func `A spare that was left over is thrown away, whatever is in it`() throws {
    for content in [
      [], [UInt8](repeating: 0xff, count: 5000), try #require(Self.rolled()["000001-0000000000.seg"]),
    ] {
      let storage = try Self.create()
      storage["spare"] = content
      let (writer, _) = try Self.open(storage)
      for id in 0..<60 { try writer.commit([[.sample(UInt64(id))]]) { _, _ in } }
      #expect(Verification(storage).verdict == .valid)
    }
  }

  @Test func `A spare that the writer has taken grows no more`() throws {
    // Taken after its first piece of 256 KiB, half of what it was to be.
    let options = LogOptions.small(first: 64 << 10, grown: 1 << 20)
    let storage = try Self.create(options)
    let (writer, _) = try Self.open(storage, options)
    let filler = writer.spare
    while writer.segmentNumber == 0 { try writer.commit([[.sample(1)]]) { _, _ in } }
    // What the filler's thread does until it learns of the next spare.
    try filler.fillPiece()
    #expect(filler.isFilled)
    #expect(Verification(storage).verdict == .valid)
    #expect(throws: Never.self) { try Self.open(storage, options) }
  }

  @Test func `A log is never created over segments that hold frames`() throws {
    let storage = try Self.rolled()
    storage["epoch-000001"] = nil
    let before = storage.files
    #expect(throws: LogError.self) { try LogWriter.create(in: storage, name: "again", options: Self.small) }
    #expect(storage.files == before)
  }

  @Test func `A creation that failed at any call can be begun again`() throws {
    for step in 1...30 {
      let storage = MemoryStorage()
      let calls = CallCounter(failing: step)
      storage.setPlan { call, _, _ in calls.isDue(call) ? .fail(5) : nil }
      let isDone = (try? LogWriter.create(in: storage, name: "once", options: Self.small)) != nil
      storage.setPlan { _, _, _ in nil }
      if !isDone, !storage.files.keys.contains("epoch-000001") {
        _ = try LogWriter.create(in: storage, name: "twice", options: Self.small)
      }
      let (writer, _) = try Self.open(storage)
      try writer.commit([[.sample(1)]]) { _, _ in }
      #expect(Verification(storage).verdict == .valid)
      if isDone { return }
    }
    Issue.record("30 calls do not create a log")
  }
}

/// The frame headers of all segments of a storage.
private struct SampleFrames {
  var headers: [Frame.Header] = []

  init(_ storage: MemoryStorage) {
    for (name, bytes) in storage.files.sorted(by: { $0.key < $1.key }) where name.hasSuffix(".seg") {
      var offset = SegmentHeader.byteCount
      while offset < bytes.count, let header = Frame.parseHeader(bytes.span.extracting(offset...)) {
        headers.append(header)
        offset += header.paddedByteCount(alignment: 512)
      }
    }
  }
}
