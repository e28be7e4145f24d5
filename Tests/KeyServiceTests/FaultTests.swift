import ChatelaineAuditLog
import ChatelaineAuditTrail
import ChatelaineVocabulary
import GRDB
import Synchronization
import Testing

@testable import ChatelaineKeyService
@testable import ChatelaineKeyStore

/// The log or the store fails in the middle of a change.
@Suite struct FaultTests {
  let shop: Workshop
  let storage: WatchedStorage
  let service: KeyService
  let before: KeyStore.Head
  let acme = tenant("acme")
  let records = key("records")

  init() throws {
    let shop = try Workshop()
    self.shop = shop
    try shop.initialize()
    try shop.running { service in
      _ = try service.createTenant(tenant("acme"), by: shop.caller, tags)
      _ = try service.createKey(key("records"), of: tenant("acme"), by: shop.caller, tags)
    }
    storage = WatchedStorage(try shop.storage())
    service = try shop.open(on: storage).0
    before = service.storeHead
  }

  private func rotate() -> ServiceError? {
    do {
      _ = try service.rotateKey(records, of: acme, by: shop.caller, tags)
      return nil
    } catch { return error }
  }

  private func restart() throws -> (StartReport, KeyStore.Head) {
    service.close()
    storage.watch(nil)
    let (again, report) = try shop.open(on: storage)
    defer { again.close() }
    #expect(try again.checkStore() >= 4)
    return (report, again.storeHead)
  }

  private func currentVersion() throws -> UInt32 {
    let again = try shop.open(on: storage).0
    defer { again.close() }
    return try again.openKey(records, of: acme).version
  }

  @Test func `a full log refuses a change before anything is done, and takes it once there is space`() throws
  {
    storage.fail(.write, from: 1, errno: 28)
    #expect(rotate() == .auditUnavailable)
    #expect(service.storeHead == before)
    storage.watch(nil)
    #expect(rotate() == nil)
    #expect(service.storeHead.generation == before.generation + 1)
    let (report, head) = try restart()
    #expect(report.resolved.isEmpty && head.generation == before.generation + 1)
  }

  @Test func `a log that fills up before the outcome stops all changes until a restart`() throws {
    storage.fail(.write, from: 2, errno: 28)
    guard case .mustRestart = rotate() else {
      return #expect(Bool(false), "the change was said not to be done")
    }
    storage.watch(nil)
    guard case .mustRestart = rotate() else {
      return #expect(Bool(false), "a change after an unknown outcome")
    }
    let (report, head) = try restart()
    #expect(report.resolved.map(\.wasDone) == [true])
    #expect(head.generation == before.generation + 1)
    #expect(try currentVersion() == 2)
  }

  @Test func `a log poisoned at the intent refuses, and nothing in the store has changed`() throws {
    storage.fail(.sync, from: 1, errno: 5)
    guard case .mustRestart = rotate() else { return #expect(Bool(false), "a change without a log") }
    #expect(service.storeHead == before)
    storage.watch(nil)
    guard case .mustRestart = rotate() else { return #expect(Bool(false), "a change on a poisoned log") }
    let (report, head) = try restart()
    #expect(head == before)
    #expect(report.resolved.allSatisfy { !$0.wasDone })
    #expect(try currentVersion() == 1)
  }

  @Test func `a log poisoned at the outcome leaves the change to the next start`() throws {
    storage.fail(.sync, from: 2, errno: 5)
    guard case .mustRestart = rotate() else { return #expect(Bool(false), "an outcome that is not durable") }
    storage.watch(nil)
    let (report, head) = try restart()
    #expect(head.generation == before.generation + 1)
    // The bytes of the outcome may have reached the disk all the same.
    #expect(report.resolved.allSatisfy(\.wasDone) && report.resolved.count <= 1)
    #expect(try currentVersion() == 2)
  }

  @Test func `a store that cannot commit leaves no outcome and demands a restart`() throws {
    try service.store.pool.writeWithoutTransaction { try $0.execute(sql: "PRAGMA query_only = ON") }
    guard case .mustRestart = rotate() else { return #expect(Bool(false), "the store is read-only") }
    try service.store.pool.writeWithoutTransaction { try $0.execute(sql: "PRAGMA query_only = OFF") }
    guard case .mustRestart = rotate() else { return #expect(Bool(false), "a change after a failed commit") }
    #expect(service.storeHead == before)
    let last = try shop.entries().map(\.entry)
    #expect(last.filter { $0.operation == .keyRotate }.map(\.entryClass) == [.intent])
    let (report, head) = try restart()
    #expect(report.resolved.map(\.wasDone) == [false])
    #expect(head == before)
  }

  @Test func `a change for which the store has no room is taken back, and made once there is`() throws {
    let room = { (pages: String) throws in
      try service.store.pool.writeWithoutTransaction { try $0.execute(sql: "PRAGMA max_page_count = \(pages)") }
    }
    try room("1")  // As few as there are.
    var refused: ServiceError?
    for number in 0..<2000 where refused == nil {
      do throws(ServiceError) { _ = try service.createTenant(tenant("t-\(number)"), by: shop.caller, tags) } catch {
        refused = error
      }
    }
    #expect(refused == .storeFull && refused?.code == .busy)
    let head = service.storeHead
    #expect(refused != nil && service.changesHaltedBy == nil)
    #expect(try service.store.verifyAll() > 0)
    try room("1000000")
    #expect(rotate() == nil)
    #expect(service.storeHead.generation == head.generation + 1)
    let (report, after) = try restart()
    #expect(report.resolved.isEmpty && after.generation == head.generation + 1)
    #expect(try currentVersion() == 2)
  }

  @Test func `of a fault the operator is told at once, then once a minute, and of another within a second`() {
    let told = Mutex<[String]>([])
    let faults = FoundFaults { fault in told.withLock { $0.append("\(fault.times) \(fault.sentence.prefix(8))") } }
    let (one, other) = (ServiceError.store(.tampered(record: "key a/b")), ServiceError.mustRestart(reason: "x"))
    func note(_ error: ServiceError, _ milliseconds: UInt64) {
      faults.note(error, at: WallTime(nanoseconds: milliseconds), bootNanoseconds: milliseconds * 1_000_000)
    }
    note(.notFound, 0)
    #expect(faults.last == nil, "the control: what a caller does wrong is no fault")
    for time: UInt64 in 10..<1000 { note(one, time) }
    note(other, 1000)
    #expect(told.withLock { $0.count } == 1)
    note(other, 1010)
    note(other, 2010)
    note(other, 61_009)
    #expect(told.withLock { $0.count } == 2)
    note(other, 61_010)
    #expect(told.withLock { $0.map { $0.split(separator: " ")[0] } } == ["1", "992", "995"])
    #expect(faults.last?.times == 995 && faults.last?.last == WallTime(nanoseconds: 61_010))
  }

  @Test func `a change that finds an edited row is refused, noted, and does no harm`() throws {
    try shop.sql("UPDATE tenant_keys SET budget_bytes = budget_bytes + 1")
    #expect(rotate() == .store(.tampered(record: "key acme/records")))
    try shop.sql("UPDATE tenant_keys SET budget_bytes = budget_bytes - 1")
    try shop.sql("UPDATE tenants SET state = 2")
    #expect(rotate() == .store(.tampered(record: "tenant acme")))
    let fault = try service.status(by: shop.caller, tags).fault
    #expect(fault?.times == 2 && fault?.sentence.contains("tenant acme") == true)
    try shop.sql("UPDATE tenants SET state = 1")
    #expect(rotate() == nil)
    let outcomes = try shop.entries().map(\.entry).filter {
      $0.operation == .keyRotate && $0.entryClass != .intent
    }
    #expect(outcomes.map(\.entryClass) == [.refusal, .refusal, .outcome])
    #expect(outcomes.map(\.outcome) == [.failed, .failed, .ok])
    #expect(outcomes.map(\.reason) == [.store, .store, .none])
    #expect(try restart().0.resolved.isEmpty)
  }
}
