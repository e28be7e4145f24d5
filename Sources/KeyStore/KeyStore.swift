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
    /// The intent entry of the last change: `logPlace`, in one number.
    package let logSequence: UInt64
    package var logPlace: EntryPlace { EntryPlace(stored: logSequence) }
    package let logLeafHash: Digest

    init(_ row: StoreHeadRow) {
      generation = row.generation
      root = row.root
      logSequence = row.logSequence
      logLeafHash = row.logLeafHash
    }
  }

  struct State {
    var head: StoreHeadRow
    var tree: BucketTree
    /// A commit failed: whether it is on disk shows only when the database is opened again.
    var isUncertain = false
    /// Tenant roots by the master version that wraps them, once somebody has asked.
    var census: Census?
    /// Tables of which all records were found, and the files as they were then.
    var swept: [StoreTable: StoreFiles.Stamp] = [:]

    /// Those that nobody has written to since: a change of our own need not make all of it be read again. Call it in the
    /// transaction.
    func stillSwept(_ path: String) -> [StoreTable: StoreFiles.Stamp] {
      let stamp = StoreFiles.stamp(path)
      return swept.filter { $0.value == stamp }
    }
  }

  /// Before the database, which is closed first.
  private let lock: StoreLock
  let pool: DatabasePool
  /// Where the database was when it was opened.
  let place: FilePlace
  /// Where SQLite's journal and its index were then: it makes them anew only when nobody has the database open.
  let journalPlaces: [FilePlace]
  let authenticator: RowAuthenticator
  let state: Mutex<State>
  /// Held over a whole change, in which the store may be read: never taken with `state` held.
  let changing = Mutex<Void>(())
  /// Held over a search for every record, so that nobody repeats what is being done.
  let sweeping = Mutex<Void>(())

  init(
    path: String, lock: StoreLock, pool: DatabasePool, authenticator: consuming RowAuthenticator, head: StoreHeadRow,
    tree: BucketTree
  ) {
    self.lock = lock
    self.pool = pool
    place = FilePlace(path)
    journalPlaces = StoreFiles.journalSuffixes.map { FilePlace(path + $0) }
    self.authenticator = authenticator
    state = Mutex(State(head: head, tree: tree))
  }

  package var head: Head { state.withLock { Head($0.head) } }

  /// A file that was opened, and is no longer the one at its path.
  package enum LostFile: Sendable {
    case database
    /// What SQLite keeps beside it: with the database closed, all of it is there.
    case journal
  }

  /// Which file is not in its place, where one is not: then no change is taken.
  package var lostFile: LostFile? {
    guard place.isHeld else { return .database }
    return journalPlaces.allSatisfy(\.isHeld) ? nil : .journal
  }

  package var storeRow: StoreHeadRow { state.withLock { $0.head } }

  /// Closes the database; its one file is then all of it.
  package func close() throws(KeyStoreError) {
    // why: GRDB closes the writer first, and the last connection, a reading one, may not empty the journal:
    // a copy of the file alone would be an old store, and what was erased would stay in the journal.
    pool.invalidateReadOnlyConnections()
    try translating("closing the store") { try pool.close() }
    lock.release()
  }

  // MARK: Reading

  package func tenant(_ id: TenantID) throws(KeyStoreError) -> TenantRow? {
    try load(
      "tenant \(id.rawValue)", bucketOf: TenantRow.table, TenantRow.primaryKey(id),
      sql: "SELECT * FROM tenants WHERE bucket = ? AND id = ?", [id.rawValue.databaseValue], TenantRow.init)
  }

  package func key(_ tenant: TenantID, _ name: KeyName) throws(KeyStoreError) -> TenantKeyRow? {
    try load(
      "key \(tenant.rawValue)/\(name.rawValue)", bucketOf: TenantKeyRow.table, TenantKeyRow.primaryKey(tenant, name),
      // why: no MAC covers an index; a changed one must not make a key absent that is there.
      sql: "SELECT * FROM tenant_keys NOT INDEXED WHERE bucket = ? AND tenant = ? AND name = ?",
      [tenant.rawValue.databaseValue, name.rawValue.databaseValue], TenantKeyRow.init)
  }

  /// The key of an id, where it is one of this tenant.
  package func key(_ tenant: TenantID, id: Identifier) throws(KeyStoreError) -> TenantKeyRow? {
    let name = try translating("reading a key") {
      try pool.read { database in
        try String.fetchOne(
          database.cachedStatement(sql: "SELECT name FROM tenant_keys WHERE id = ? AND tenant = ?"),
          arguments: [id.databaseValue, tenant.rawValue])
      }
    }
    if let name, let parsed = try? KeyName(name), let row = try key(tenant, parsed), row.id == id { return row }
    // why: no MAC covers an index; where it leads nowhere, only finding every record shows that there is no such key.
    try sweep(.key)
    return nil
  }

  package func keyVersion(
    _ tenant: TenantID, _ name: KeyName, _ version: UInt32
  ) throws(KeyStoreError) -> KeyVersionRow? {
    try load(
      "key \(tenant.rawValue)/\(name.rawValue) version \(version)", bucketOf: KeyVersionRow.table,
      KeyVersionRow.primaryKey(tenant, name, version),
      sql: "SELECT * FROM key_versions WHERE bucket = ? AND tenant = ? AND name = ? AND version = ?",
      [tenant.rawValue.databaseValue, name.rawValue.databaseValue, Int64(version).databaseValue], KeyVersionRow.init)
  }

  package func masterVersion(_ version: UInt32) throws(KeyStoreError) -> MasterVersionRow? {
    try load(
      "master key version \(version)", bucketOf: MasterVersionRow.table, MasterVersionRow.primaryKey(version),
      sql: "SELECT * FROM master_versions WHERE bucket = ? AND version = ?", [Int64(version).databaseValue],
      MasterVersionRow.init)
  }

  /// Every version that was ever taken into the store, in order. Refused where the row of one is gone.
  package func masterVersions() throws(KeyStoreError) -> [MasterVersionRow] {
    let listed = try translating("listing master keys") {
      try pool.read { try Int64.fetchAll($0, sql: "SELECT version FROM master_versions ORDER BY version") }
    }
    let versions = try listed.map { (version) throws(KeyStoreError) in
      guard let version = UInt32(exactly: version) else { throw .tampered(record: "master key version \(version)") }
      return version
    }
    // why: what is missing from a list leaves no trace in it, but its bucket tells.
    let numbers = Self.masterNumbers(versions + [storeRow.primaryMasterVersion])
    var rows: [MasterVersionRow] = []
    for number in numbers { if let row = try masterVersion(number) { rows.append(row) } }
    guard Set(versions).isSubset(of: rows.map(\.version)) else { throw .tampered(record: "a master key version") }
    return rows
  }

  package func rotation(to version: UInt32) throws(KeyStoreError) -> RotationRow? {
    try load(
      "the rotation to master key version \(version)", bucketOf: RotationRow.table, RotationRow.primaryKey(version),
      sql: "SELECT * FROM rotations WHERE bucket = ? AND version = ?", [Int64(version).databaseValue], RotationRow.init)
  }

  /// Ids of tenants in order, a page at a time; refused where any record of a tenant is gone.
  package func tenantIDs(after: TenantID? = nil, limit: Int) throws(KeyStoreError) -> [TenantID] {
    let names = try translating("listing tenants") {
      try pool.read {
        try String.fetchAll(
          $0, sql: "SELECT id FROM tenants WHERE id > ? ORDER BY id LIMIT ?", arguments: [after?.rawValue ?? "", limit])
      }
    }
    let ids = try names.map { (name) throws(KeyStoreError) in
      do { return try TenantID(name) } catch { throw .tampered(record: "a tenant") }
    }
    try sweep(.tenant)
    return ids
  }

  /// One of these ids that a tenant has already, whatever its row holds: for changes, which check every row they touch.
  package func firstTenant(among ids: [TenantID]) throws(KeyStoreError) -> TenantID? {
    try translating("looking for tenants") {
      try pool.read { database in
        let statement = try database.cachedStatement(sql: "SELECT 1 FROM tenants WHERE id = ?")
        return try ids.first { try Row.fetchOne(statement, arguments: [$0.rawValue]) != nil }
      }
    }
  }

  /// Names of a tenant's keys in order, a page at a time; refused where any record of a key is gone.
  package func keyNames(
    of tenant: TenantID, after: KeyName? = nil, limit: Int = Limits.listPageMax
  ) throws(KeyStoreError) -> [KeyName] {
    let names = try translating("listing keys") {
      try pool.read {
        try String.fetchAll(
          $0, sql: "SELECT name FROM tenant_keys WHERE tenant = ? AND name > ? ORDER BY name LIMIT ?",
          arguments: [tenant.rawValue, after?.rawValue ?? "", limit])
      }
    }
    let found = try names.map { (name) throws(KeyStoreError) in
      do { return try KeyName(name) } catch { throw .tampered(record: "a key of tenant \(tenant.rawValue)") }
    }
    try sweep(.key)
    return found
  }

  /// Reads a row and checks it and its bucket; a row that is not there is checked to be absent. `sql` asks for the
  /// bucket first.
  private func load<Loaded: StoredRow>(
    _ record: String, bucketOf table: StoreTable, _ primaryKey: [UInt8], sql: String, _ arguments: [DatabaseValue],
    _ decode: (RowReader) throws(KeyStoreError) -> Loaded
  ) throws(KeyStoreError) -> Loaded? {
    let bucket = Bucket.number(table, primaryKey)
    let (snapshot, expected) = try read(record, bucket: bucket) { database in
      try RowSnapshot(database, sql: sql, [bucket.databaseValue] + arguments, bucket: bucket, record: record)
    }
    guard Bucket.digest(snapshot.bucketMACs) == expected else { throw .tampered(record: record) }
    guard let row = snapshot.row else {
      // why: a row whose name was edited leaves the bucket's MACs as they were.
      for (table, row) in snapshot.bucketRows { try checkRow(table, row, in: bucket, record: record) }
      return nil
    }
    let reader = RowReader(row: row, record: record)
    let loaded = try decode(reader)
    let mac = try reader.digest("row_mac")
    guard loaded.primaryKey == primaryKey, authenticator.mac(of: loaded) == mac, snapshot.bucketMACs.contains(mac)
    else { throw .tampered(record: record) }
    return loaded
  }

  /// Takes a snapshot of the generation that the store's head has, with the bucket's digest of then.
  private func read(
    _ record: String, bucket: Int, _ snapshot: (Database) throws -> RowSnapshot
  ) throws(KeyStoreError) -> (RowSnapshot, Digest) {
    while true {
      let before = state.withLock { $0.head.generation }
      let snapshot = try translating("reading \(record)") { try pool.read(snapshot) }
      let (generation, digest, isUncertain) = state.withLock {
        ($0.head.generation, $0.tree.digests[bucket], $0.isUncertain)
      }
      if snapshot.generation == generation { return (snapshot, digest) }
      guard !isUncertain else { throw Self.uncertain("reading") }
      // why: only a change that was committed meanwhile sets them apart; then look again.
      guard snapshot.generation >= before, snapshot.generation < generation else {
        throw .tampered(record: "the store")
      }
    }
  }

  /// Checks one row of a bucket by itself: its MAC, over the name it has now, and its place.
  func checkRow(_ table: StoreTable, _ row: Row, in bucket: Int, record: String) throws(KeyStoreError) {
    let reader = RowReader(row: row, record: record)
    let decoded = try table.decode(reader)
    guard decoded.bucket == bucket, authenticator.mac(of: decoded) == (try reader.digest("row_mac")) else {
      throw .tampered(record: record)
    }
  }

  static func uncertain(_ doing: String) -> KeyStoreError {
    .database(code: 10, doing: "\(doing) after a failed commit")
  }

  /// 0 while the store is being made.
  static func generation(_ database: Database) throws -> UInt64 {
    guard let row = try Row.fetchOne(database, sql: "SELECT generation FROM store") else { return 0 }
    return try RowReader(row: row, record: "the store").integer("generation")
  }

  static func bucketMACs(_ database: Database, _ bucket: Int, record: String) throws -> [Digest] {
    let statement = try database.cachedStatement(
      sql: """
        SELECT row_mac FROM tenants WHERE bucket = ?1 UNION ALL SELECT row_mac FROM tenant_keys WHERE bucket = ?1
        UNION ALL SELECT row_mac FROM key_versions WHERE bucket = ?1
        UNION ALL SELECT row_mac FROM master_versions WHERE bucket = ?1
        UNION ALL SELECT row_mac FROM rotations WHERE bucket = ?1
        """)
    return try Row.fetchAll(statement, arguments: [bucket]).map { row in
      try RowReader(row: row, record: record).digest("row_mac")
    }
  }

  static func bucketRows(_ database: Database, _ bucket: Int) throws -> [(StoreTable, Row)] {
    try StoreTable.inBuckets.flatMap { table in
      try Row.fetchAll(database, sql: "SELECT * FROM \(table.sqlName) WHERE bucket = ?", arguments: [bucket])
        .map { (table, $0) }
    }
  }
}

/// One row with its bucket's MACs and the store's generation, from one moment.
private struct RowSnapshot {
  let row: Row?
  let bucketMACs: [Digest]
  /// Where the row is not there.
  let bucketRows: [(StoreTable, Row)]
  let generation: UInt64

  init(_ database: Database, sql: String, _ arguments: [DatabaseValue], bucket: Int, record: String) throws {
    row = try Row.fetchOne(database.cachedStatement(sql: sql), arguments: StatementArguments(arguments))
    bucketMACs = try KeyStore.bucketMACs(database, bucket, record: record)
    bucketRows = row == nil ? try KeyStore.bucketRows(database, bucket) : []
    generation = try KeyStore.generation(database)
  }
}

/// Runs SQLite and turns what it throws into the store's own errors.
func translating<Value>(_ doing: String, _ body: () throws -> Value) throws(KeyStoreError) -> Value {
  do { return try body() } catch let error as KeyStoreError { throw error } catch let error as DatabaseError {
    // why: pages that do not fit together are a matter for a backup, not for another disk or a restart.
    if error.resultCode == .SQLITE_CORRUPT { throw .tampered(record: "the database's pages") }
    guard error.resultCode != .SQLITE_CANTOPEN || hasDescriptorLeft() else { throw .noDescriptor(doing: doing) }
    throw .database(code: error.resultCode.rawValue, doing: doing)
  } catch { throw .database(code: 1, doing: doing) }
}

/// Whether the process may open a file: SQLite says only that it could not.
private func hasDescriptorLeft() -> Bool {
  let copy = dup(STDERR_FILENO)
  guard copy >= 0 else { return errno != EMFILE }
  _ = close(copy)
  return true
}
