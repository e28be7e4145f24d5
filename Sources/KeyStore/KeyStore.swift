internal import ChatelainePrimitives
package import ChatelaineVocabulary
internal import GRDB
internal import Glibc
internal import Synchronization

/// Wrapped keys and their states, in SQLite. Holds no key but the store's own, which MACs every row.
///
/// Every row read is checked against its MAC, and its bucket against the root that the log's outcome
/// entries carry: a row that was edited, swapped, deleted or put back from an old copy is refused.
package final class KeyStore: Sendable {
  /// What the log's outcome entries carry.
  package struct Head: Equatable, Sendable {
    package let generation: UInt64
    package let root: Digest
    /// The intent entry of the last change.
    package let logSequence: UInt64
    package let logLeafHash: Digest
  }

  struct State {
    var head: StoreHeadRow
    var tree: BucketTree
    /// A commit failed: whether it is on disk shows only when the database is opened again.
    var isUncertain = false
  }

  let pool: DatabasePool
  let authenticator: RowAuthenticator
  let state: Mutex<State>

  init(pool: DatabasePool, authenticator: consuming RowAuthenticator, head: StoreHeadRow, tree: BucketTree) {
    self.pool = pool
    self.authenticator = authenticator
    state = Mutex(State(head: head, tree: tree))
  }

  package var head: Head {
    state.withLock { state in
      Head(
        generation: state.head.generation, root: state.head.root, logSequence: state.head.logSequence,
        logLeafHash: state.head.logLeafHash)
    }
  }

  package var storeRow: StoreHeadRow { state.withLock { $0.head } }

  package func close() throws(KeyStoreError) { try translating("closing the store") { try pool.close() } }

  // MARK: Reading

  package func tenant(_ id: TenantID) throws(KeyStoreError) -> TenantRow? {
    try load(
      "tenant \(id.rawValue)", bucketOf: TenantRow.table, TenantRow.primaryKey(id),
      sql: "SELECT * FROM tenants WHERE id = ?", [id.rawValue.databaseValue], TenantRow.init)
  }

  package func key(_ tenant: TenantID, _ name: KeyName) throws(KeyStoreError) -> TenantKeyRow? {
    try load(
      "key \(tenant.rawValue)/\(name.rawValue)", bucketOf: TenantKeyRow.table, TenantKeyRow.primaryKey(tenant, name),
      sql: "SELECT * FROM tenant_keys WHERE tenant = ? AND name = ?",
      [tenant.rawValue.databaseValue, name.rawValue.databaseValue], TenantKeyRow.init)
  }

  /// The key of an id, where it is one of this tenant.
  package func key(_ tenant: TenantID, id: Identifier) throws(KeyStoreError) -> TenantKeyRow? {
    let name = try translating("reading a key") {
      try pool.read {
        try String.fetchOne(
          $0, sql: "SELECT name FROM tenant_keys WHERE id = ? AND tenant = ?",
          arguments: [id.databaseValue, tenant.rawValue])
      }
    }
    // why: an index is not covered by any MAC; the row it leads to is, and it must carry the id.
    guard let name, let parsed = try? KeyName(name), let row = try key(tenant, parsed), row.id == id else { return nil }
    return row
  }

  package func keyVersion(
    _ tenant: TenantID, _ name: KeyName, _ version: UInt32
  ) throws(KeyStoreError) -> KeyVersionRow? {
    try load(
      "key \(tenant.rawValue)/\(name.rawValue) version \(version)", bucketOf: KeyVersionRow.table,
      KeyVersionRow.primaryKey(tenant, name, version),
      sql: "SELECT * FROM key_versions WHERE tenant = ? AND name = ? AND version = ?",
      [tenant.rawValue.databaseValue, name.rawValue.databaseValue, Int64(version).databaseValue], KeyVersionRow.init)
  }

  package func masterVersion(_ version: UInt32) throws(KeyStoreError) -> MasterVersionRow? {
    try load(
      "master key version \(version)", bucketOf: MasterVersionRow.table, MasterVersionRow.primaryKey(version),
      sql: "SELECT * FROM master_versions WHERE version = ?", [Int64(version).databaseValue], MasterVersionRow.init)
  }

  /// Ids of tenants in order, a page at a time.
  package func tenantIDs(after: TenantID? = nil, limit: Int) throws(KeyStoreError) -> [TenantID] {
    let names = try translating("listing tenants") {
      try pool.read {
        try String.fetchAll(
          $0, sql: "SELECT id FROM tenants WHERE id > ? ORDER BY id LIMIT ?", arguments: [after?.rawValue ?? "", limit])
      }
    }
    return names.compactMap { try? TenantID($0) }
  }

  /// Names of a tenant's keys, in order.
  package func keyNames(of tenant: TenantID) throws(KeyStoreError) -> [KeyName] {
    let names = try translating("listing keys") {
      try pool.read {
        try String.fetchAll(
          $0, sql: "SELECT name FROM tenant_keys WHERE tenant = ? ORDER BY name", arguments: [tenant.rawValue])
      }
    }
    return names.compactMap { try? KeyName($0) }
  }

  /// Reads a row and checks it and its bucket; a row that is not there is checked to be absent.
  private func load<Loaded: StoredRow>(
    _ record: String, bucketOf table: StoreTable, _ primaryKey: [UInt8], sql: String, _ arguments: [DatabaseValue],
    _ decode: (RowReader) throws(KeyStoreError) -> Loaded
  ) throws(KeyStoreError) -> Loaded? {
    let bucket = Bucket.number(table, primaryKey)
    while true {
      let snapshot = try translating("reading \(record)") {
        try pool.read { database in
          try RowSnapshot(database, sql: sql, arguments, bucket: bucket)
        }
      }
      // why: a change may have been committed between the two; then look again.
      let expected = state.withLock { ($0.head.generation, $0.tree.digests[bucket]) }
      guard snapshot.generation == expected.0 else {
        guard snapshot.generation < UInt64(Int64.max) else { throw .tampered(record: record) }
        if snapshot.generation > expected.0 + 1 { throw .tampered(record: "the store") }
        sched_yield()
        continue
      }
      guard Bucket.digest(snapshot.bucketMACs) == expected.1 else { throw .tampered(record: record) }
      guard let row = snapshot.row else { return nil }
      let reader = RowReader(row: row, record: record)
      let loaded = try decode(reader)
      guard loaded.primaryKey == primaryKey, authenticator.mac(of: loaded) == (try reader.digest("row_mac")) else {
        throw .tampered(record: record)
      }
      return loaded
    }
  }
}

/// One row with its bucket's MACs and the store's generation, from one moment.
private struct RowSnapshot {
  let row: Row?
  let bucketMACs: [Digest]
  let generation: UInt64

  init(_ database: Database, sql: String, _ arguments: [DatabaseValue], bucket: Int) throws {
    row = try Row.fetchOne(database.cachedStatement(sql: sql), arguments: StatementArguments(arguments))
    bucketMACs = try KeyStore.bucketMACs(database, bucket)
    let stored = try Row.fetchOne(database, sql: "SELECT generation FROM store")
    guard let stored else { throw KeyStoreError.tampered(record: "the store") }
    generation = try RowReader(row: stored, record: "the store").integer("generation")
  }
}

/// Runs SQLite and turns what it throws into the store's own errors.
func translating<Value>(_ doing: String, _ body: () throws -> Value) throws(KeyStoreError) -> Value {
  do { return try body() } catch let error as KeyStoreError { throw error } catch let error as DatabaseError {
    throw .database(code: error.resultCode.rawValue, doing: doing)
  } catch { throw .database(code: 1, doing: doing) }
}
