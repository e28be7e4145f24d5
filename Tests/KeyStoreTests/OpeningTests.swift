import ChatelaineVocabulary
import Foundation
import GRDB
import Testing

@testable import ChatelaineKeyStore

@Suite struct OpeningTests {
  @Test(arguments: [("journal_mode", "wal"), ("synchronous", "2"), ("secure_delete", "1")])
  func `the writing connection keeps its promises`(pragma: String, wanted: String) throws {
    let bench = try Bench()
    let store = try bench.create()
    func readBack() throws -> String? {
      try store.pool.writeWithoutTransaction { try String.fetchOne($0, sql: "PRAGMA \(pragma)") }
    }
    #expect(try readBack() == wanted)
    try bench.put(store, TenantRow.sample("acme"))
    #expect(try readBack() == wanted)
    try store.close()
    let again = try bench.open()
    #expect(
      try again.pool.writeWithoutTransaction { try String.fetchOne($0, sql: "PRAGMA \(pragma)") } == wanted)
  }

  @Test func `without its own pragmas GRDB would sync too little`() throws {
    // The control: what the read-back is there for.
    let bench = try Bench()
    let pool = try DatabasePool(path: bench.path)
    #expect(try pool.writeWithoutTransaction { try String.fetchOne($0, sql: "PRAGMA synchronous") } == "1")
  }

  @Test func `a missing file is refused and not made`() throws {
    let bench = try Bench()
    #expect(bench.refusalToOpen() == .missing(path: bench.path))
    #expect(try bench.contents().isEmpty)
  }

  @Test func `a path that is taken is refused at creation`() throws {
    let bench = try Bench()
    try Data("somebody's notes".utf8).write(to: URL(filePath: bench.path))
    let before = try bench.contents()
    #expect(throws: KeyStoreError.exists(path: bench.path)) { try bench.create() }
    #expect(try bench.contents() == before)
  }

  @Test func `a store is not made over a store`() throws {
    let bench = try Bench()
    try bench.create().close()
    let before = try bench.contents()
    #expect(throws: KeyStoreError.exists(path: bench.path)) { try bench.create() }
    #expect(try bench.contents() == before)
    #expect(bench.refusalToOpen() == nil)
  }

  // MUST: STORE-11
  @Test(arguments: ["DELETE", "WAL"])
  func `a database of another application is refused and not touched`(journal: String) throws {
    let bench = try Bench()
    try bench.sql(
      "PRAGMA journal_mode = \(journal)", "PRAGMA application_id = 7", "CREATE TABLE notes (text)")
    let before = try bench.contents()
    #expect(bench.refusalToOpen() == .notAStore(path: bench.path))
    #expect(try bench.contents() == before)
  }

  @Test(arguments: ["", "x", String(repeating: "not a database", count: 100)])
  func `a file that is no database is refused and not touched`(text: String) throws {
    let bench = try Bench()
    try Data(text.utf8).write(to: URL(filePath: bench.path))
    let before = try bench.contents()
    #expect(bench.refusalToOpen() == .notAStore(path: bench.path))
    #expect(try bench.contents() == before)
  }

  // MUST: STORE-11
  @Test func `a store of a newer schema is refused by its number and not touched`() throws {
    let bench = try Bench()
    try bench.create().close()
    try bench.sql("PRAGMA user_version = 3")
    let before = try bench.contents()
    let refusal = try #require(bench.refusalToOpen())
    #expect(refusal == .newerSchema(found: 3, known: 2))
    #expect(refusal.sentence.contains("schema 3"))
    #expect(try bench.contents() == before)
  }

  @Test func `a newer schema that is still in the journal is refused`() throws {
    let bench = try Bench()
    try bench.create().close()
    let newer = try DatabaseQueue(path: bench.path)
    try newer.writeWithoutTransaction { database in
      try database.execute(sql: "PRAGMA wal_autocheckpoint = 0; PRAGMA user_version = 4")
    }
    #expect(bench.refusalToOpen() == .newerSchema(found: 4, known: 2))
    try newer.close()
  }

  @Test func `a closed store is one file that is all of it`() throws {
    let bench = try Bench()
    let store = try bench.create()
    try bench.put(store, TenantRow.sample("acme"))
    #expect(try store.tenant(tenant("acme")) != nil)
    #expect(try bench.contents().count == 3)
    try store.close()
    #expect(try bench.contents().keys.sorted() == ["store.db"])
    let copy = try Bench(storeKey: bench.storeKey)
    try FileManager.default.copyItem(atPath: bench.path, toPath: copy.path)
    #expect(try copy.open().head == store.head)
  }

  @Test func `a store that was not closed opens from its journal`() throws {
    let bench = try Bench()
    let store = try bench.create()
    try bench.put(store, TenantRow.sample("acme"))
    let crashed = try Bench(storeKey: bench.storeKey)
    for suffix in ["", "-wal"] {
      try FileManager.default.copyItem(atPath: bench.path + suffix, toPath: crashed.path + suffix)
    }
    #expect(try Data(contentsOf: URL(filePath: crashed.path + "-wal")).isEmpty == false)
    let reopened = try crashed.open()
    #expect(reopened.head == store.head)
    #expect(try reopened.tenant(tenant("acme")) != nil)
  }

  // MUST: STORE-12
  @Test(arguments: [
    "CREATE TRIGGER t AFTER UPDATE ON tenants BEGIN SELECT 1; END", "DROP INDEX rotations_bucket",
    "CREATE VIEW v AS SELECT 1", "CREATE TABLE extra (x)", "DROP TABLE key_versions",
    "ALTER TABLE tenants RENAME COLUMN state TO condition", "DROP TABLE store",
  ])
  func `a schema that is not this version's is refused`(edit: String) throws {
    let bench = try Bench()
    try bench.create().close()
    try bench.sql(edit)
    guard case .tampered(let record) = bench.refusalToOpen() else {
      return #expect(Bool(false), "opened after: \(edit)")
    }
    #expect(record.hasPrefix("the schema ("))
  }

  @Test func `the tables have the columns of the page of the format, in its order`() throws {
    let bench = try Bench()
    try bench.create().close()
    let root = URL(filePath: #filePath).appending(path: "../../../docs/formats/store.md").standardized
    let rows = try String(contentsOf: root, encoding: .utf8).split(separator: "\n").compactMap { line in
      try? /^\| \d? ?\| `(\w+)` \| (.*) \| [^|]* \|$/.wholeMatch(in: line)
    }
    #expect(rows.count == 7)
    let database = try DatabaseQueue(path: bench.path)
    for row in rows {
      let named = row.2.matches(of: /`(\w+)`/).map { String($0.1) }
      let found = try database.read {
        try String.fetchAll($0, sql: "SELECT name FROM pragma_table_info(?)", arguments: [String(row.1)])
      }
      #expect(found == named, "\(row.1)")
    }
  }
}
