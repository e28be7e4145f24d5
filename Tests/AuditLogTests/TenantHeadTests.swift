import ChatelaineAuditTrail
import ChatelaineLogTestSupport
import ChatelaineVocabulary
import Foundation
import Testing

@testable import ChatelaineAuditLog

/// Lives of a service that commits to its tenants' histories.
struct TenantHeadTests {
  private static let clock = LogClock.stepping()

  private static func start(_ signed: SignedLog, _ storage: MemoryStorage? = nil) throws -> SignedLog.Life {
    try signed.start(storage, cadence: SignedLog.hasty, clock: clock)
  }

  /// An entry of one of some tenants.
  private static func draft(_ number: UInt64) -> EntryDraft {
    var entry = AuditEntry(.keyUse, .encrypt)
    entry.outcome = number % 5 == 4 ? .failed : .ok
    entry.tenant = try? TenantID("tenant-\(number % 7)")
    entry.requestID = Identifier(high: 0, low: number)
    return EntryDraft(entry)
  }

  private static func append(_ count: UInt64, to life: SignedLog.Life) throws {
    for number in 0..<count { _ = try life.log.appendAndWait(draft(number)) }
  }

  /// As a service stops.
  private static func stop(_ life: SignedLog.Life) {
    life.keeper.end()
    life.close()
  }

  private static func live(_ signed: SignedLog, _ count: UInt64, _ storage: MemoryStorage? = nil) throws {
    let life = try start(signed, storage)
    try append(count, to: life)
    stop(life)
  }

  /// As a service does: the stop has something to cover, and leaves the file.
  private static func liveToFile(_ signed: SignedLog) throws {
    var cadence = HeadCadence()
    cadence.endingSeconds = 60
    let life = try signed.start(cadence: cadence, clock: clock)
    try append(95, to: life)
    for _ in 0..<5000 where (life.keeper.now.published?.checkpoint.size ?? 0) < 95 { usleep(2000) }
    try append(5, to: life)
    stop(life)
  }

  /// Tenant heads of a log that holds, oldest first.
  private static func heads(_ storage: MemoryStorage) throws -> [TenantHeads] {
    var reader = try LogReader(storage)
    var check = TenantHeadsCheck()
    var found: [TenantHeads] = []
    _ = try reader.readAvailable { bytes in
      check.take(bytes)
      if let heads = (try? AuditEntry(parsing: bytes)).flatMap(TenantHeads.init) { found.append(heads) }
    }
    #expect(check.wrong == nil && check.checked == UInt64(found.count))
    return found
  }

  /// But for the last tenant heads themselves.
  private static func expectAllCovered(_ storage: MemoryStorage, _ what: String = "") throws {
    #expect(try heads(storage).last?.size == Verification(storage).treeSize - 1, "\(what)")
  }

  // MUST: HIST-12, HIST-3
  @Test func `Every published head of a log has tenant heads before it, and they hold`() throws {
    let signed = try SignedLog()
    try Self.live(signed, 300)
    let heads = try Self.heads(signed.storage)
    #expect(heads.count > 1 && heads.last?.tenants == 8, "those of the entries, and the service")
    try Self.expectAllCovered(signed.storage)
    #expect(try signed.head().checkpoint.size == 300 + UInt64(heads.count))
  }

  // MUST: HIST-12
  @Test func `Nothing new makes no tenant heads, however long it lasts`() throws {
    let signed = try SignedLog()
    let life = try Self.start(signed)
    try Self.append(20, to: life)
    usleep(300_000)
    let size = life.log.head.nextSequence
    #expect(size > 20, "the control: there are some")
    usleep(300_000)
    #expect(life.log.head.nextSequence == size)
    Self.stop(life)
    try Self.expectAllCovered(signed.storage)
    let count = try Self.heads(signed.storage).count
    let again = try Self.start(signed)
    usleep(300_000)
    Self.stop(again)
    #expect(try Self.heads(signed.storage).count == count, "nor does a start")
  }

  @Test func `Without a clock there are none`() throws {
    let signed = try SignedLog()
    try signed.live(30)
    #expect(try Self.heads(signed.storage).isEmpty)
  }

  // MARK: Over restarts

  @Test func `A start goes on from the file, and without it or with a forged one from the entries`() throws {
    let signed = try SignedLog()
    for _ in 0..<3 { try Self.liveToFile(signed) }
    let files = signed.storage.files
    #expect(files[LogNames.tenants] != nil)
    let changes: [(String, (MemoryStorage) -> Void)] = [
      ("as it is", { _ in }), ("none", { $0[LogNames.tenants] = nil }),
      ("cut", { $0[LogNames.tenants]?.removeLast(40) }), ("empty", { $0[LogNames.tenants] = [] }),
      ("a byte changed", { $0.flip(LogNames.tenants, at: 150, mask: 1) }), ("forged", { Self.forge($0, signed.epoch) }),
    ]
    for (name, change) in changes {
      let storage = MemoryStorage(files: files)
      change(storage)
      try Self.live(signed, 50, storage)
      try Self.expectAllCovered(storage, name)
      #expect(try Self.heads(storage).last?.tenants == 8, "\(name)")
    }
  }

  /// A history with an entry less, under a checksum of its own.
  private static func forge(_ storage: MemoryStorage, _ epoch: EpochDescriptor) {
    guard let file = TenantFile(loadingFrom: storage, epoch) else { return }
    var histories = TenantHistories(size: file.histories.size)
    file.histories.forEach { tenant, history in
      _ = histories.add(
        tenant, TenantHistory(count: history.count - 1, lastSequence: history.lastSequence, hash: history.hash))
    }
    TenantFile(place: file.place, leaf: file.leaf, histories: histories).save(to: storage, epoch)
  }

  @Test func `The file gives what was kept, and only for its own log`() throws {
    let signed = try SignedLog()
    try Self.liveToFile(signed)
    let file = try #require(TenantFile(loadingFrom: signed.storage, signed.epoch))
    var histories = file.histories
    #expect(try Self.heads(signed.storage).last == histories.heads())
    #expect(TenantFile(loadingFrom: signed.storage, try SignedLog().epoch) == nil)
  }

  @Test func `A service that dies anywhere goes on with tenant heads that hold`() throws {
    let signed = try SignedLog()
    var files = signed.storage.files
    for round in 0..<8 {
      let storage = MemoryStorage(files: files)
      let life = try Self.start(signed, storage)
      try Self.append(UInt64(20 + 13 * round), to: life)
      // why: what is there now is what a kill leaves.
      files = storage.files
      Self.stop(life)
      let killed = MemoryStorage(files: files)
      _ = try Self.heads(killed)
    }
    let storage = MemoryStorage(files: files)
    try Self.live(signed, 10, storage)
    try Self.expectAllCovered(storage)
  }

  @Test func `Older segments that do not lead to the newer ones are committed to by nobody`() throws {
    let signed = try SignedLog()
    try Self.live(signed, 600)
    let storage = MemoryStorage(files: signed.storage.files)
    storage[LogNames.tenants] = nil
    let before = try Self.heads(storage).count
    storage.flip(LogNames.segment(epoch: 1, 0), at: 4096 + 48 + 4 + 90, mask: 1)
    let life = try Self.start(signed, storage)
    try Self.append(30, to: life)
    Self.stop(life)
    #expect(life.keeper.now.areHistoriesBroken)
    storage.flip(LogNames.segment(epoch: 1, 0), at: 4096 + 48 + 4 + 90, mask: 1)
    #expect(try Self.heads(storage).count == before)
    try Self.live(signed, 30, storage)
    #expect(try Self.heads(storage).count > before, "the control: as it was, they are again")
  }

  @Test func `A log that refuses gets its tenant heads once it takes entries again`() throws {
    let signed = try SignedLog()
    let life = try Self.start(signed)
    try Self.append(20, to: life)
    usleep(200_000)
    signed.storage.setPlan { call, name, _ in call == .write && name.hasSuffix(".seg") ? .fail(28) : nil }
    #expect(throws: AppendFailure.self) { try Self.append(1, to: life) }
    usleep(100_000)
    signed.storage.setPlan { _, _, _ in nil }
    try Self.append(20, to: life)
    Self.stop(life)
    #expect(try Self.heads(signed.storage).last.map { $0.size >= 40 } == true)
  }
}
