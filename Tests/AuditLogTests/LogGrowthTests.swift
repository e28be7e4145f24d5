import ChatelaineAuditLog
import ChatelaineAuditTrail
import ChatelaineLogTestSupport
import ChatelaineVocabulary
import Testing

/// How fast a log grows is told by the times in its entries, whatever this run of the service wrote.
struct LogGrowthTests {
  private static let hour: UInt64 = 3_600_000_000_000
  private static let start: UInt64 = 1_700_000_000_000_000_000

  /// A log with an entry an hour, or all at once.
  private func log(entries: UInt64, every step: UInt64) throws -> (storage: MemoryStorage, head: AuditLog.Head) {
    let storage = MemoryStorage()
    _ = try LogWriter.create(in: storage, name: "grows", options: .small(), clock: .stepping())
    let (writer, _) = try LogWriter.open(in: storage, options: .small(), clock: .stepping())
    for number in 0..<entries {
      var entry = AuditEntry(.keyUse, .encrypt)
      entry.outcome = .ok
      entry.wall = WallTime(nanoseconds: Self.start + number * step)
      let draft = EntryDraft(entry)
      try writer.commit([[draft]]) { _, _ in }
    }
    let log = AuditLog(writer)
    let head = log.head
    log.close()
    return (storage, head)
  }

  @Test func `Of a long log the last week counts, and what stands in a segment beside it`() throws {
    let (storage, head) = try log(entries: 1000, every: Self.hour)
    let now = WallTime(nanoseconds: Self.start + 1000 * Self.hour)
    let growth = try #require(LogGrowth(storage, upTo: head, now: now))
    let hours = (now.nanoseconds - growth.since.nanoseconds) / Self.hour
    #expect((7 * 24...12 * 24).contains(hours) && growth.entries == hours)
    #expect((512...700).contains(growth.bytesPerEntry), "a frame an entry, and a header page a segment")
    #expect(abs(growth.bytesPerDay(until: now) - 24 * growth.bytesPerEntry) < 1)
    #expect(growth.reserveBytes >= head.segmentBytes - head.segmentUsedBytes)
  }

  @Test func `Of a young log all counts, and a few minutes say nothing of a day`() throws {
    let (storage, head) = try log(entries: 20, every: Self.hour)
    let now = WallTime(nanoseconds: Self.start + 20 * Self.hour)
    let growth = try #require(LogGrowth(storage, upTo: head, now: now))
    #expect(growth.entries == 20 && growth.since.nanoseconds == Self.start)
    let (young, itsHead) = try log(entries: 20, every: 1)
    let soon = WallTime(nanoseconds: Self.start + 60_000_000_000)
    let none = try #require(LogGrowth(young, upTo: itsHead, now: soon))
    #expect(none.bytesPerDay(until: soon) == 0 && none.bytesPerEntry > 0)
    #expect(growth.bytesPerDay(until: now) > 0, "the control: hours do")
  }

  @Test func `Of a log without files nothing is told`() throws {
    let (_, head) = try log(entries: 1, every: 1)
    #expect(LogGrowth(MemoryStorage(), upTo: head, now: WallTime(nanoseconds: Self.start)) == nil)
  }
}
