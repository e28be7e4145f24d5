import ChatelaineVocabulary
import Foundation
import GRDB
import Testing

@testable import ChatelaineKeyStore

/// A byte of an index changed in the file: no MAC covers an index, so none has a say in whether a record is there.
@Suite struct IndexTests {
  static let row = TenantKeyRow.sample(tenant("acme"), key("notes"))

  /// By name, and by id.
  @Test(arguments: [
    ("sqlite_autoindex_tenant_keys_3", Array("acmenotes".utf8), "tenant = 'acme' AND name = 'notes'"),
    ("sqlite_autoindex_tenant_keys_1", row.id.bytes, "id = x'\(Hex.encode(row.id.bytes.span))'"),
  ])
  func `a changed index makes no key absent`(index: String, entry: [UInt8], condition: String) throws {
    let bench = try Bench()
    let first = try bench.create()
    try bench.put(first, try TenantRow.sample("acme"))
    try bench.put(first, Self.row, Self.row.versionRow(1))
    try first.close()
    try change(index, at: entry, bench.path)
    // The control: SQLite itself takes the index's word.
    let byIndex = try DatabaseQueue(path: bench.path).read {
      try Int.fetchOne($0, sql: "SELECT count(*) FROM tenant_keys INDEXED BY \(index) WHERE \(condition)")
    }
    #expect(byIndex == 0)

    let store = try bench.open()
    #expect(try store.key(Self.row.tenant, Self.row.name) == Self.row)
    if index.hasSuffix("_1") {
      #expect(throws: KeyStoreError.tampered(record: "the database's pages")) { try keyByID(store) }
    } else {
      #expect(try keyByID(store) == Self.row)
    }
    var disabled = Self.row
    disabled.state = .disabled
    do { try bench.put(store, disabled) } catch {
      #expect(error as? KeyStoreError == .tampered(record: "the database's pages"))
    }
    #expect(throws: KeyStoreError.tampered(record: "the database's pages")) { try store.verifyAll() }
  }

  private func keyByID(_ store: KeyStore, _ id: Identifier = Self.row.id) throws -> TenantKeyRow? {
    try store.key(Self.row.tenant, id: id)
  }

  @Test func `a key that both of its indexes leave out is not told as absent`() throws {
    let bench = try Bench()
    let first = try bench.create()
    try bench.put(first, try TenantRow.sample("acme"), try TenantRow.sample("zeta"))
    let other = TenantKeyRow.sample(tenant("zeta"), key("notes"))
    try bench.put(first, Self.row, Self.row.versionRow(1), other, other.versionRow(1))
    // The control: as it was, the key is there, and what is not there, or another tenant's, is absent.
    #expect(try keyByID(first) == Self.row)
    #expect(try keyByID(first, Identifier(high: 1, low: 2)) == nil)
    #expect(try keyByID(first, other.id) == nil)
    try first.close()
    try change("sqlite_autoindex_tenant_keys_1", at: Self.row.id.bytes, bench.path)
    try change("sqlite_autoindex_tenant_keys_3", at: Array("acmenotes".utf8), bench.path)
    let store = try bench.open()
    #expect(throws: KeyStoreError.tampered(record: "the database's pages")) { try keyByID(store) }
  }

  @Test(arguments: [("sqlite_autoindex_tenant_keys_3", "acmenotes"), ("sqlite_autoindex_tenants_1", "acme")])
  func `a list by a changed index is refused`(index: String, entry: String) throws {
    let bench = try Bench()
    let first = try bench.create()
    try bench.put(first, try TenantRow.sample("acme"), try TenantRow.sample("zeta"))
    try bench.put(first, Self.row, Self.row.versionRow(1))
    // The control: as it was, both lists are whole.
    #expect(try first.tenantIDs(limit: 10).count == 2 && first.keyNames(of: Self.row.tenant).count == 1)
    try first.close()
    try change(index, at: Array(entry.utf8), bench.path)
    let store = try bench.open()
    let list = {
      if index.contains("keys") { _ = try store.keyNames(of: Self.row.tenant) } else { _ = try store.tenantIDs(limit: 10) }
    }
    #expect(throws: KeyStoreError.tampered(record: "the database's pages")) { try list() }
  }

  private func change(_ index: String, at entry: [UInt8], _ path: String) throws {
    let queue = try DatabaseQueue(path: path)
    let (page, size) = try queue.writeWithoutTransaction { database in
      _ = try database.checkpoint(.truncate)
      let page = try Int.fetchOne(
        database, sql: "SELECT rootpage FROM sqlite_schema WHERE name = ?", arguments: [index])
      return (try #require(page), try #require(try Int.fetchOne(database, sql: "PRAGMA page_size")))
    }
    try queue.close()
    let file = URL(filePath: path)
    var bytes = [UInt8](try Data(contentsOf: file))
    let found = try #require(((page - 1) * size..<page * size).last { bytes[$0...].starts(with: entry) })
    bytes[found + entry.count / 2] ^= 1
    try Data(bytes).write(to: file)
  }
}
