import ChatelaineEnvelopes
import ChatelaineVocabulary
import Foundation
import GRDB
import Testing

@testable import ChatelaineKeyStore

/// Stores that say they are of an older schema: a start changes them only when it serves from them.
@Suite struct OlderSchemaTests {
  private let bench: Bench

  init() throws {
    bench = try Bench()
    let store = try bench.create()
    try bench.put(store, TenantRow.sample("acme"))
    try store.close()
  }

  private func refusesSchema(_ bench: Bench) throws {
    let before = try bench.contents()
    for use in [KeyStore.Use.serving, .checking] {
      let refusal = #expect(throws: KeyStoreError.self) { try bench.open(for: use).close() }
      guard case .tampered(let record) = refusal else {
        return #expect(Bool(false), "\(String(describing: refusal))")
      }
      #expect(record.hasPrefix("the schema ("))
      #expect(try bench.contents() == before)
    }
  }

  @Test(arguments: 0...1) func `a number put back is told from an older store`(number: Int) throws {
    try bench.sql("PRAGMA user_version = \(number)")
    try refusesSchema(bench)
  }

  @Test func `a store whose number and tables were put back is not migrated`() throws {
    try bench.sql("DROP TABLE rotations", "PRAGMA user_version = 1", "CREATE TABLE evil2 (x)")
    try refusesSchema(bench)
  }

  @Test(arguments: [
    "CREATE TABLE extra (x)", "DROP INDEX tenants_bucket", "ALTER TABLE tenants ADD COLUMN note TEXT",
    "CREATE TRIGGER t AFTER INSERT ON tenants BEGIN SELECT 1; END",
  ])
  func `an older store is refused for a schema that was never its own`(edit: String) throws {
    let old = try bench.copyOfSchema1()
    try old.sql(edit)
    try refusesSchema(old)
  }

  @Test func `a migration is not kept where what follows it refuses`() throws {
    let old = try bench.copyOfSchema1()
    let bucket = Bucket.number(.masterVersion, MasterVersionRow.primaryKey(1))
    try old.sql(
      "INSERT INTO tenants SELECT 'zeta', root_id, root_version, state, created, wrapped, \(bucket), row_mac FROM tenants")
    #expect(old.refusalToOpen() == .tampered(record: "master key version 1"))
    let database = try DatabaseQueue(path: old.path)
    #expect(try database.read { try Int.fetchOne($0, sql: "PRAGMA user_version") } == 1)
    #expect(try database.read { try $0.tableExists("rotations") } == false)
    try database.close()
    // The control: without the row the same store is migrated.
    try old.sql("DELETE FROM tenants WHERE id = 'zeta'")
    #expect(old.refusalToOpen() == nil)
    let migrated = try DatabaseQueue(path: old.path)
    #expect(try migrated.read { try Int.fetchOne($0, sql: "PRAGMA user_version") } == Schema.version)
    try migrated.close()
  }
}

extension Bench {
  /// The same store as schema 1 had it.
  func copyOfSchema1() throws -> Bench {
    let old = try Bench(storeKey: storeKey)
    let database = try DatabaseQueue(path: old.path)
    try database.writeWithoutTransaction { database in
      try Schema.migrate(database, to: 1)
      try database.execute(sql: "ATTACH ? AS new", arguments: [path])
      for table in ["store", "master_versions", "tenants", "tenant_keys", "key_versions", "buckets"] {
        let columns = try database.columns(in: table).map(\.name).joined(separator: ", ")
        try database.execute(sql: "INSERT INTO \(table) (\(columns)) SELECT \(columns) FROM new.\(table)")
      }
      try database.execute(sql: "DETACH new")
    }
    try database.close()
    try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: old.path)
    return old
  }
}
