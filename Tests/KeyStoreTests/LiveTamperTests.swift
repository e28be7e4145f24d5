import ChatelainePrimitives
import ChatelaineSecretMemory
import ChatelaineVocabulary
import GRDB
import Synchronization
import Testing

@testable import ChatelaineKeyStore

/// Somebody edits the database while the store is open, between its own changes.
@Suite struct LiveTamperTests {
  let bench: Bench
  let store: KeyStore
  /// Tenant `acme` as it was before it was frozen; key `acme/k33926` falls into the same bucket.
  let active: TenantRow
  let neighbour = TenantKeyRow.sample(tenant("acme"), key("k33926"))

  init() throws {
    bench = try Bench()
    store = try bench.create()
    active = try TenantRow.sample("acme")
    try bench.put(store, active)
    try bench.sql("CREATE TABLE old AS SELECT * FROM tenants")
    var frozen = active
    frozen.state = .frozen
    try bench.put(store, frozen)
    #expect(frozen.bucket == 7104 && neighbour.bucket == 7104)
  }

  private func revive() throws { try bench.sql("REPLACE INTO tenants SELECT * FROM old", "DROP TABLE old") }

  // MUST: STORE-7
  @Test func `a revived row is refused by its bucket`() throws {
    try revive()
    #expect(throws: KeyStoreError.tampered(record: "tenant acme")) { try store.tenant(active.id) }
  }

  // MUST: STORE-1
  @Test func `a reader that checks only the row's MAC takes the revived row`() throws {
    // The control: what the buckets are there for.
    func loadWithoutBucket() throws -> TenantRow? {
      let row = try store.pool.read { try Row.fetchOne($0, sql: "SELECT * FROM tenants WHERE id = 'acme'") }
      let reader = RowReader(row: try #require(row), record: "tenant acme")
      let tenant = try TenantRow(reader)
      return store.authenticator.mac(of: tenant) == (try reader.digest("row_mac")) ? tenant : nil
    }
    #expect(try loadWithoutBucket()?.state == .frozen)
    try revive()
    #expect(try loadWithoutBucket()?.state == .active)
    try bench.sql("UPDATE tenants SET created = created + 1")
    #expect(try loadWithoutBucket() == nil)
  }

  @Test func `a change does not vouch for a row revived in the bucket it touches`() throws {
    try revive()
    let head = store.head
    #expect(throws: KeyStoreError.tampered(record: neighbour.description)) { try bench.put(store, neighbour) }
    #expect(store.head == head)
    #expect(throws: KeyStoreError.tampered(record: "tenant acme")) { try store.tenant(active.id) }
  }

  @Test func `a change does not vouch for a row that is gone from the bucket it touches`() throws {
    try bench.sql("DELETE FROM tenants")
    #expect(throws: KeyStoreError.self) { try bench.put(store, neighbour) }
    #expect(throws: KeyStoreError.self) { try bench.put(store, active) }
    #expect(throws: KeyStoreError.tampered(record: "tenant acme")) { try store.tenant(active.id) }
  }

  @Test(arguments: ["tenants", "buckets", "store"])
  func `a trigger that puts an old row back does not get it vouched for`(table: String) throws {
    // From the shell: the state that is wanted back, put back whenever the service writes.
    let effect = "UPDATE tenants SET state = (SELECT state FROM old), row_mac = (SELECT row_mac FROM old)"
    for moment in ["INSERT", "UPDATE"] {
      let condition = table == "tenants" ? "WHEN new.state <> (SELECT state FROM old)" : ""
      try bench.sql(
        "CREATE TRIGGER on_\(moment) AFTER \(moment) ON \(table) \(condition) BEGIN \(effect); END")
    }
    var frozen = active
    frozen.state = .frozen
    let change = try? bench.put(store, frozen)
    // Only the last statement of a change is followed by no look at the rows: then the next reader finds it.
    #expect((change != nil) == (table != "tenants"))
    if change == nil {
      #expect(try store.tenant(active.id)?.state == .frozen)
    } else {
      #expect(throws: KeyStoreError.tampered(record: "tenant acme")) { try store.tenant(active.id) }
    }
    #expect(throws: KeyStoreError.self) { try store.verifyAll() }
  }

  @Test func `a row that was renamed is not taken to be absent`() throws {
    try bench.sql("UPDATE tenants SET id = 'zeta'")
    let macs = try store.pool.read { try KeyStore.bucketMACs($0, active.bucket, record: "") }
    #expect(Bucket.digest(macs) == store.state.withLock { $0.tree.digests[active.bucket] })
    #expect(throws: KeyStoreError.tampered(record: "tenant acme")) { try store.tenant(active.id) }
    // Nor is it one of the new name: it lies in another bucket.
    #expect(try store.tenant(tenant("zeta")) == nil)
  }

  @Test func `a name that is none is not left out of a list`() throws {
    try bench.put(store, neighbour)
    try bench.sql("UPDATE tenants SET id = 'ACME'", "UPDATE tenant_keys SET name = 'K' ")
    #expect(throws: KeyStoreError.tampered(record: "a tenant")) { try store.tenantIDs(limit: 10) }
    #expect(throws: KeyStoreError.tampered(record: "a key of tenant acme")) {
      try store.keyNames(of: active.id)
    }
  }

  @Test(arguments: ["generation + 1", "generation - 1", "-1", "generation + 100", "9223372036854775807"])
  func `another generation in the database is refused at once`(generation: String) throws {
    try bench.sql("UPDATE store SET generation = \(generation)")
    #expect(throws: KeyStoreError.tampered(record: "the store")) { try store.tenant(active.id) }
    #expect(throws: KeyStoreError.tampered(record: "the store")) { try bench.put(store, neighbour) }
  }

  @Test func `a row edited behind its indexes is refused`() throws {
    // With a writable schema an index is put aside, so that it goes on naming what the row was.
    try bench.sql(
      "PRAGMA writable_schema = ON",
      "CREATE TABLE kept AS SELECT * FROM sqlite_schema WHERE name = 'tenants_bucket'",
      "DELETE FROM sqlite_schema WHERE name = 'tenants_bucket'", "PRAGMA schema_version = 1000")
    try bench.sql("PRAGMA writable_schema = ON", "REPLACE INTO tenants SELECT * FROM old")
    try bench.sql(
      "PRAGMA writable_schema = ON", "INSERT INTO sqlite_schema SELECT * FROM kept", "DROP TABLE kept",
      "DROP TABLE old",
      "PRAGMA schema_version = 1001")
    #expect(throws: KeyStoreError.tampered(record: "tenant acme")) { try store.tenant(active.id) }
    try store.close()
    let again = try bench.open()
    #expect(throws: KeyStoreError.tampered(record: "tenant acme")) { try again.tenant(active.id) }
    #expect(throws: KeyStoreError.self) { try again.verifyAll() }
  }

  @Test func `the check of everything names what is wrong and tells how far it is`() throws {
    try bench.put(store, neighbour, neighbour.versionRow(1))
    try bench.sql("DROP TABLE old")
    var last = (0, 0)
    #expect(try store.verifyAll { last = ($0, $1) } == 4)
    #expect(last == (4, 4))
    try bench.sql("DELETE FROM key_versions")
    #expect(throws: KeyStoreError.tampered(record: "key acme/k33926 (its row, or one of its versions)")) {
      try store.verifyAll()
    }
  }
}
