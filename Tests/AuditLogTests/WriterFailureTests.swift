import ChatelaineAuditLog
import ChatelaineAuditTrail
import ChatelaineLogTestSupport
import ChatelaineTestSupport
import ChatelaineVocabulary
import Testing

/// What the writer does when the disk does not: nothing is acknowledged that is not durable.
struct WriterFailureTests {
  static let first = "000001-0000000000.seg"
  static let second = "000001-0000000001.seg"

  struct Stage {
    let storage = MemoryStorage()
    let writer: LogWriter
    var acknowledged: [Digest] = []

    init(options: LogOptions = .small()) throws {
      _ = try LogWriter.create(in: storage, name: "failing", options: options, clock: .stepping())
      writer = try LogWriter.open(in: storage, options: options, clock: .stepping()).0
    }

    /// One group of so many entries, each `padding` bytes longer than the smallest.
    mutating func append(_ count: Int = 1, padding: Int = 0, from id: UInt64 = 0) -> AppendFailure? {
      let drafts = (0..<count).map { EntryDraft.sample(id + UInt64($0), padding: padding) }
      var leaves: [Digest] = []
      do throws(AppendFailure) {
        try writer.commit([drafts]) { _, receipt in leaves = receipt.leafHashes }
        acknowledged += leaves
        return nil
      } catch { return error }
    }

    /// The log as the next start finds it: every acknowledged entry, in order, and nothing else but notes.
    func expectAcknowledgedAfterRestart(extra: Int = 0) throws {
      let copy = MemoryStorage(files: storage.files)
      _ = try LogWriter.open(in: copy, options: .small(), clock: .stepping())
      let found = Verification(copy, keepingEntries: true)
      #expect(found.verdict == .valid)
      let leaves = found.entries.filter { $0.entryClass != .recovered }.map(\.leafHash)
      // A refused group can have left its first entries in a frame of their own: there, and not answered.
      #expect(leaves.filter(Set(acknowledged).contains) == acknowledged)
      #expect(leaves.count <= acknowledged.count + extra)
    }
  }

  static func isUnavailable(_ failure: AppendFailure?) -> Bool {
    if case .unavailable = failure { true } else { false }
  }

  static func isPoisoned(_ failure: AppendFailure?) -> Bool {
    if case .poisoned = failure { true } else { false }
  }

  // MARK: Space

  @Test func `A full disk at a roll refuses, acknowledges nothing, and goes on when space returns`() throws {
    var stage = try Stage()
    stage.storage.capacity = stage.storage.files.values.reduce(0) { $0 + $1.count }
    var refused = 0
    for id in 0..<100 {
      let before = stage.acknowledged.count
      guard let failure = stage.append(from: UInt64(id)) else { continue }
      #expect(Self.isUnavailable(failure))
      #expect(stage.acknowledged.count == before)
      refused += 1
    }
    #expect(refused > 10)
    try stage.expectAcknowledgedAfterRestart()
    stage.storage.capacity = .max
    for id in 100..<200 { #expect(stage.append(from: UInt64(id)) == nil) }
    #expect(stage.writer.segmentNumber > 0)
    try stage.expectAcknowledgedAfterRestart()
  }

  @Test func `Every call of a roll may fail once: refused or poisoned, and nothing is lost`() throws {
    for step in 1...14 {
      var stage = try Stage()
      while stage.writer.segmentNumber == 0,
        stage.writer.segmentFill.used + 1024 < stage.writer.segmentFill.size
      {
        #expect(stage.append() == nil)
      }
      let calls = CallCounter(failing: step)
      let hasFailed = Collected<Int>()
      stage.storage.setPlan { call, _, _ in
        guard hasFailed.values.isEmpty, calls.isDue(call) else { return nil }
        hasFailed.append(step)
        return .fail(28)
      }
      for _ in 0..<8 {
        if Self.isPoisoned(stage.append(2, padding: 100)) { break }
      }
      try stage.expectAcknowledgedAfterRestart(extra: 3)
    }
  }

  @Test(arguments: [0, 1, 511, 512, 700, 1500])
  func `After a write that failed half way, a shorter frame leaves none of the old bytes`(_ bytes: Int) throws
  {
    var stage = try Stage()
    #expect(stage.append() == nil)
    let offset = Int(stage.writer.segmentFill.used)
    stage.storage.setPlan { call, name, _ in call == .write && name == Self.first ? .short(bytes, 28) : nil }
    #expect(Self.isUnavailable(stage.append(8, padding: 100)))
    #expect(try #require(stage.storage[Self.first])[offset...].prefix { $0 != 0 }.isEmpty == (bytes == 0))
    stage.storage.setPlan { _, _, _ in nil }
    #expect(stage.append() == nil)
    let end = Int(stage.writer.segmentFill.used)
    #expect(try #require(stage.storage[Self.first])[end...].allSatisfy { $0 == 0 })
    #expect(Verification(stage.storage).verdict == .valid)
    try stage.expectAcknowledgedAfterRestart()
  }

  @Test func `A write that failed half way, then a crash, is a tear`() throws {
    var stage = try Stage()
    #expect(stage.append() == nil)
    stage.storage.setPlan { call, name, _ in call == .write && name == Self.first ? .short(700, 28) : nil }
    #expect(Self.isUnavailable(stage.append(8, padding: 100)))
    #expect(Verification(stage.storage).verdict == .torn)
    stage.storage.setPlan { _, _, _ in nil }
    try stage.expectAcknowledgedAfterRestart()
  }

  // MARK: Poison

  @Test func `A failed sync poisons the writer: every later append is refused, and it never syncs again`()
    throws
  {
    var stage = try Stage()
    #expect(stage.append() == nil)
    stage.storage.setPlan { call, name, _ in call == .sync && name == Self.first ? .fail(5) : nil }
    #expect(Self.isPoisoned(stage.append()))
    stage.storage.setPlan { _, _, _ in nil }
    let calls = stage.storage.calls.count
    for _ in 0..<20 { #expect(Self.isPoisoned(stage.append(3))) }
    #expect(stage.storage.calls.count == calls)
    try stage.expectAcknowledgedAfterRestart(extra: 1)
  }

  @Test func `A sync that is interrupted is a failed sync`() throws {
    var stage = try Stage()
    stage.storage.setPlan { call, name, _ in call == .sync && name == Self.first ? .fail(4) : nil }
    #expect(Self.isPoisoned(stage.append()))
  }

  @Test func `Groups before a failed sync have receipts, those behind have none`() throws {
    var stage = try Stage()
    // Each group is bigger than half a frame's room, so each has a frame of its own.
    let groups = (0..<4).map { group in
      (0..<20).map { EntryDraft.sample(UInt64(group * 20 + $0), padding: 250) }
    }
    let syncs = stage.storage.count(.sync, Self.first)
    stage.storage.setPlan { call, name, count in
      call == .sync && name == Self.first && count == syncs + 1
        ? nil : call == .sync && name == Self.first ? .fail(5) : nil
    }
    var delivered: [Int] = []
    #expect(throws: AppendFailure.self) {
      try stage.writer.commit(groups) { index, receipt in
        delivered.append(index)
        stage.acknowledged += receipt.leafHashes
      }
    }
    #expect(delivered == [0])
    stage.storage.setPlan { _, _, _ in nil }
    try stage.expectAcknowledgedAfterRestart(extra: 60)
  }

  @Test func `No receipt is minted for a segment that lost its name`() throws {
    var stage = try Stage()
    #expect(stage.append() == nil)
    stage.storage[Self.first] = nil
    #expect(Self.isPoisoned(stage.append()))
    #expect(Self.isPoisoned(stage.append()))
  }

  @Test func `A failed directory sync at a roll poisons, and the next start has everything`() throws {
    var stage = try Stage()
    stage.storage.setPlan { call, name, count in call == .sync && name.isEmpty ? .fail(5) : nil }
    var failure: AppendFailure?
    while failure == nil { failure = stage.append() }
    #expect(Self.isPoisoned(failure))
    stage.storage.setPlan { _, _, _ in nil }
    try stage.expectAcknowledgedAfterRestart(extra: 1)
  }

  @Test func `A spare whose sync failed is never synced again`() throws {
    // The first segment was a spare too, written and headed: two syncs.
    let stage = try Stage()
    stage.storage.setPlan { call, name, count in
      call == .sync && name == "spare" && count == 3 ? .fail(5) : nil
    }
    #expect(throws: StorageFailure.self) { try stage.writer.spare.fillPiece() }
    #expect(stage.storage["spare"] == nil)
    try stage.writer.spare.fillPiece()
    #expect(stage.writer.spare.isFilled)
    let calls = stage.storage.calls.filter { $0.name == "spare" }
    let failed = try #require(calls.firstIndex { $0.failed })
    let after = calls.dropFirst(failed + 1).map(\.call)
    #expect(after.starts(with: [.remove, .create]))
  }
}
