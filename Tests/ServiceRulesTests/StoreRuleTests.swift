import ChatelaineAuditLog
import ChatelaineAuditTrail
import ChatelaineKeyService
import ChatelaineKeyStore
import ChatelaineVocabulary
import Foundation
import Testing

/// What somebody with a shell does to a store or a log, and what the service makes of it.
struct StoreRuleTests {
  // MUST: STORE-1
  @Test(arguments: [
    "UPDATE tenants SET state = 2", "UPDATE tenants SET created = created + 1",
    "UPDATE tenant_keys SET state = 2", "UPDATE tenant_keys SET purpose = 2",
    "UPDATE tenant_keys SET suite = 2", "UPDATE tenant_keys SET budget_messages = budget_messages + 1",
    "UPDATE key_versions SET created = created + 1", "UPDATE key_versions SET state = 2",
    "UPDATE key_versions SET wrapped = x''",
    "UPDATE tenants SET row_mac = zeroblob(32)", "UPDATE key_versions SET row_mac = zeroblob(32)",
  ])
  func `A row whose MAC does not match is not used`(edit: String) throws {
    let desk = try Desk()
    #expect(try desk.running { service in try service.openKey(desk.key, of: desk.tenant).version } == 1)
    try desk.sql(edit)
    let refusal = #expect(throws: ServiceError.self) {
      try desk.running { service in try service.openKey(desk.key, of: desk.tenant) }
    }
    guard case .store(.tampered) = refusal else {
      Issue.record("\(String(describing: refusal))")
      return
    }
  }

  // MUST: STORE-1
  @Test(arguments: [
    "UPDATE store SET generation = generation + 1", "UPDATE store SET log_sequence = log_sequence - 1",
    "UPDATE store SET log_id = zeroblob(16)", "UPDATE store SET row_mac = zeroblob(32)",
    "UPDATE store SET primary_master_version = 2",
  ])
  func `A store whose own row does not match is not used`(edit: String) throws {
    let desk = try Desk()
    #expect(desk.refusalToStart() == nil)
    try desk.sql(edit)
    #expect(desk.refusalToStart() == .store(.tampered(record: "the store")))
  }

  // MUST: STORE-7
  @Test func `A row of an earlier state, or none, is found when it is first loaded`() throws {
    let desk = try Desk()
    try desk.sql(
      "ATTACH '\(desk.path("aside"))' AS aside; CREATE TABLE aside.kept AS SELECT * FROM tenant_keys")
    _ = try desk.running { service in
      try service.setKeyState(.disabled, desk.key, of: desk.tenant, by: Desk.caller(), RequestTags())
    }
    try desk.copy("store", to: "disabled")
    // The row as it was, its own MAC right.
    try desk.sql(
      "ATTACH '\(desk.path("aside"))' AS aside; INSERT OR REPLACE INTO tenant_keys SELECT * FROM aside.kept")
    try expectTampered(desk, "an earlier row")
    for deletion in ["tenants", "tenant_keys", "key_versions"] {
      try desk.copy("disabled", to: "store")
      #expect(throws: ServiceError.keyDisabled) {
        try desk.running { service in try service.openKey(desk.key, of: desk.tenant) }
      }
      if deletion == "key_versions" {
        _ = try desk.running { service in
          try service.setKeyState(.enabled, desk.key, of: desk.tenant, by: Desk.caller(), RequestTags())
        }
      }
      try desk.sql("DELETE FROM \(deletion)")
      try expectTampered(desk, "\(deletion) without its row")
    }
  }

  private func expectTampered(_ desk: Desk, _ comment: Comment) throws {
    let refusal = #expect(throws: ServiceError.self, comment) {
      try desk.running { service in try service.openKey(desk.key, of: desk.tenant) }
    }
    guard case .store(.tampered) = refusal else {
      Issue.record("\(comment): \(String(describing: refusal))")
      return
    }
  }

  // MUST: STORE-6
  @Test(arguments: [
    "UPDATE buckets SET digest = zeroblob(32) WHERE number = (SELECT min(number) FROM buckets)",
    "DELETE FROM buckets WHERE number = (SELECT max(number) FROM buckets)", "DELETE FROM buckets",
  ])
  func `A start refuses a store whose buckets do not come to its root`(edit: String) throws {
    let desk = try Desk()
    #expect(desk.refusalToStart() == nil)
    try desk.sql(edit)
    guard case .store(.rootMismatch) = desk.refusalToStart() else {
      Issue.record("it started")
      return
    }
  }

  // MUST: STORE-6
  @Test func `A start refuses a store whose root is not the log's`() throws {
    let desk = try Desk()
    try desk.copy("store", to: "earlier store")
    try desk.copy("log", to: "earlier log")
    _ = try desk.running { service in
      try service.createTenant(TenantID("globex"), by: Desk.caller(), RequestTags())
    }
    try desk.copy("store", to: "later store")
    try desk.copy("log", to: "later log")
    // Another history of the same length.
    try desk.copy("earlier store", to: "store")
    try desk.copy("earlier log", to: "log")
    _ = try desk.running { service in
      try service.createTenant(TenantID("initech"), by: Desk.caller(), RequestTags())
    }
    #expect(desk.refusalToStart() == nil)
    let generation: UInt64 = 4

    try desk.copy("later store", to: "store")
    #expect(desk.refusalToStart() == .storeDiffers(generation: generation))
    try desk.copy("earlier store", to: "store")
    #expect(
      desk.refusalToStart()
        == .storeRolledBack(storeGeneration: generation - 1, logGeneration: generation))
    try desk.copy("later store", to: "store")
    try desk.copy("later log", to: "log")
    #expect(desk.refusalToStart() == nil)
  }

  // MUST: END-5, END-9
  @Test func `A log that ends before the entry that the store names is refused and not written to`() throws {
    let desk = try Desk()
    try desk.copy("log", to: "earlier log")
    let end = try endOfLog(desk)
    _ = try desk.running { service in
      try service.createTenant(TenantID("globex"), by: Desk.caller(), RequestTags())
    }
    for isTorn in [false, true] {
      try desk.copy("earlier log", to: "log")
      if isTorn {
        let file = try FileHandle(forUpdating: URL(filePath: desk.path("log/" + end.file)))
        try file.seek(toOffset: end.offset)
        try file.write(contentsOf: Data([1, 2, 3]))
        try file.close()
      }
      let before = try desk.logFiles()
      #expect(desk.refusalToStart() == .logRolledBack(storeGeneration: 4, logGeneration: 3))
      #expect(try desk.logFiles() == before, "torn: \(isTorn)")
    }
  }

  private func endOfLog(_ desk: Desk) throws -> (file: String, offset: UInt64) {
    var reader = try LogReader(FileStorage(path: desk.path("log"), exclusively: false))
    let end = try reader.readAvailable(visit: { _ in })
    return (end.segmentFile, end.offset)
  }
}
