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

  package func tenant(_ id: TenantID) throws(KeyStoreError) -> TenantRow? { try load(.tenant(id)) }

  package func key(_ tenant: TenantID, _ name: KeyName) throws(KeyStoreError) -> TenantKeyRow? {
    try load(.key(tenant, name))
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
  ) throws(KeyStoreError) -> KeyVersionRow? { try load(.keyVersion(tenant, name, version)) }

  package func masterVersion(_ version: UInt32) throws(KeyStoreError) -> MasterVersionRow? {
    try load(.masterVersion(version))
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

  package func rotation(to version: UInt32) throws(KeyStoreError) -> RotationRow? { try load(.rotation(version)) }

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
