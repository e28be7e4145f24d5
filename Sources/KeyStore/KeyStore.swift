package import ChatelaineEnvelopes
internal import ChatelainePrimitives
package import ChatelaineSecretMemory
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

  private struct State {
    var head: StoreHeadRow
    var tree: BucketTree
    /// A commit failed: whether it is on disk shows only when the database is opened again.
    var isUncertain = false
  }

  private let pool: DatabasePool
  private let authenticator: RowAuthenticator
  private let state: Mutex<State>

  private init(pool: DatabasePool, authenticator: consuming RowAuthenticator, head: StoreHeadRow, tree: BucketTree) {
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

// MARK: - Opening

extension KeyStore {
  /// Gives the store's key in exchange for its wrapping: the hall asks the keyring.
  package typealias StoreKeyOpener = (
    _ wrapped: StoreKeyWrapping
  ) throws(KeyStoreError) -> SecretBytes

  /// What is needed to unwrap the store key, and to tell a wrong master key before anything else.
  package struct StoreKeyWrapping: Sendable {
    package let keyringID: Identifier
    package let masterVersion: UInt32
    /// As recorded when the version was taken into use; nil where the record is gone.
    package let keyCheckValue: Digest?
    package let wrappedBytes: [UInt8]
    package let binding: Digest
  }

  /// What a new store is made with.
  package struct Creation: Sendable {
    package let storeID: Identifier
    package let logID: Identifier
    package let keyringID: Identifier
    package let master: MasterVersionRow
    package let created: WallTime
    package let logSequence: UInt64
    package let logLeafHash: Digest

    package init(
      storeID: Identifier, logID: Identifier, keyringID: Identifier, master: MasterVersionRow, created: WallTime,
      logSequence: UInt64, logLeafHash: Digest
    ) {
      self.storeID = storeID
      self.logID = logID
      self.keyringID = keyringID
      self.master = master
      self.created = created
      self.logSequence = logSequence
      self.logLeafHash = logLeafHash
    }
  }

  /// What the store key is bound to.
  package static func storeKeyBinding(created: WallTime) -> Digest { StoreHeadRow.binding(created: created) }

  /// Makes a new store. `wrappedStoreKey` is the wrapping of `storeKey` by the primary master key.
  package static func create(
    path: String, _ creation: Creation, storeKey: borrowing SecretBytes, wrappedStoreKey: [UInt8]
  ) throws(KeyStoreError) -> KeyStore {
    guard unsafe access(path, F_OK) != 0 else { throw .exists(path: path) }
    guard let wrapped = try? WrappedKey(wrappedStoreKey.span), wrapped.kind == .storeKey else {
      preconditionFailure("a store key is wrapped as one")
    }
    let pool = try openPool(path: path)
    try translating("creating the store") { try pool.writeWithoutTransaction { try Schema.migrate($0) } }
    let head = StoreHeadRow(
      storeID: creation.storeID, logID: creation.logID, created: creation.created, generation: 0, root: .zero,
      logSequence: creation.logSequence, logLeafHash: creation.logLeafHash, keyringID: creation.keyringID,
      primaryMasterVersion: creation.master.version, wrappedStoreKey: wrapped)
    let derivation = storeKey.withBytes { DerivationKey($0) }
    let store = KeyStore(
      pool: pool, authenticator: RowAuthenticator(storeKey: derivation), head: head,
      tree: BucketTree(digests: [Digest](repeating: Bucket.emptyDigest, count: Bucket.count)))
    _ = try store.change(intentSequence: creation.logSequence, intentLeafHash: creation.logLeafHash) { change in
      change.put(creation.master)
    }
    return store
  }

  /// Opens a store: the master key first, then the store's own row, then the root over all rows.
  package static func open(path: String, storeKey opener: StoreKeyOpener) throws(KeyStoreError) -> KeyStore {
    guard unsafe access(path, F_OK) == 0 else { throw .missing(path: path) }
    let pool = try openPool(path: path)
    let stored = try translating("reading the store") { try pool.read { try StoredHead($0, path: path) } }
    let head = stored.head
    let storeKey = try opener(
      StoreKeyWrapping(
        keyringID: head.keyringID, masterVersion: head.wrappedStoreKey.wrappingKey.version,
        keyCheckValue: stored.keyCheckValue, wrappedBytes: head.wrappedStoreKey.bytes,
        binding: StoreHeadRow.binding(created: head.created)))
    let derivation = storeKey.withBytes { DerivationKey($0) }
    let authenticator = RowAuthenticator(storeKey: derivation)
    guard authenticator.mac(of: head) == stored.mac else { throw .tampered(record: "the store") }
    let tree = BucketTree(digests: stored.bucketDigests)
    guard tree.root == head.root else { throw .rootMismatch(generation: head.generation) }
    try translating("migrating the store") { try pool.writeWithoutTransaction { try Schema.migrate($0) } }
    let store = KeyStore(pool: pool, authenticator: authenticator, head: head, tree: tree)
    // The version that wraps the store key, checked like any row.
    _ = try store.masterVersion(head.wrappedStoreKey.wrappingKey.version)
    return store
  }

  private static func openPool(path: String) throws(KeyStoreError) -> DatabasePool {
    var configuration = Configuration()
    configuration.maximumReaderCount = 4
    configuration.busyMode = .timeout(5)
    return try translating("opening the store") {
      let pool = try DatabasePool(path: path, configuration: configuration)
      try pool.writeWithoutTransaction { try Schema.configureWriter($0) }
      return pool
    }
  }

  static func bucketMACs(_ database: Database, _ bucket: Int) throws -> [Digest] {
    let statement = try database.cachedStatement(
      sql: """
        SELECT row_mac FROM tenants WHERE bucket = ?1 UNION ALL SELECT row_mac FROM tenant_keys WHERE bucket = ?1
        UNION ALL SELECT row_mac FROM key_versions WHERE bucket = ?1
        UNION ALL SELECT row_mac FROM master_versions WHERE bucket = ?1
        """)
    return try Row.fetchAll(statement, arguments: [bucket]).map { row in
      try RowReader(row: row, record: "bucket \(bucket)").digest("row_mac")
    }
  }
}

/// The store's own row and the digests of its buckets, unchecked.
private struct StoredHead {
  let head: StoreHeadRow
  let mac: Digest
  let keyCheckValue: Digest?
  let bucketDigests: [Digest]

  init(_ database: Database, path: String) throws {
    let application = try Int.fetchOne(database, sql: "PRAGMA application_id")
    guard application == Schema.applicationID else { throw KeyStoreError.notAStore(path: path) }
    let version = try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
    guard version <= Schema.version else { throw KeyStoreError.newerSchema(found: version, known: Schema.version) }
    guard let row = try Row.fetchOne(database, sql: "SELECT * FROM store") else {
      throw KeyStoreError.tampered(record: "the store")
    }
    let reader = RowReader(row: row, record: "the store")
    head = try StoreHeadRow(reader)
    mac = try reader.digest("row_mac")
    let master = try Row.fetchOne(
      database, sql: "SELECT key_check_value FROM master_versions WHERE version = ?",
      arguments: [Int64(head.wrappedStoreKey.wrappingKey.version)])
    keyCheckValue = try master.map { try RowReader(row: $0, record: "the master key").digest("key_check_value") }
    bucketDigests = try Self.readDigests(database)
  }

  private static func readDigests(_ database: Database) throws -> [Digest] {
    var digests = [Digest](repeating: Bucket.emptyDigest, count: Bucket.count)
    let rows = try Row.fetchCursor(database, sql: "SELECT number, digest FROM buckets")
    while let row = try rows.next() {
      let reader = RowReader(row: row, record: "the buckets")
      let number: Int = try reader.integer("number")
      guard digests.indices.contains(number) else { throw KeyStoreError.tampered(record: "the buckets") }
      digests[number] = try reader.digest("digest")
    }
    return digests
  }
}

// MARK: - Changing

extension KeyStore {
  /// The rows that one change puts.
  package struct Change {
    fileprivate var rows: [any StoredRow] = []
    fileprivate var head: StoreHeadRow

    package mutating func put(_ row: TenantRow) { rows.append(row) }
    package mutating func put(_ row: TenantKeyRow) { rows.append(row) }
    package mutating func put(_ row: KeyVersionRow) { rows.append(row) }
    package mutating func put(_ row: MasterVersionRow) { rows.append(row) }

    /// Makes a master version the one that wraps from now on.
    package mutating func setPrimaryMaster(_ version: UInt32, wrappedStoreKey: WrappedKey) {
      head.primaryMasterVersion = version
      head.wrappedStoreKey = wrappedStoreKey
    }
  }

  /// Puts rows in one transaction that raises the generation and names the intent entry in the log.
  package func change(
    intentSequence: UInt64, intentLeafHash: Digest, _ build: (inout Change) throws(KeyStoreError) -> Void
  ) throws(KeyStoreError) -> Head {
    // why: one writer; the lock is held over the transaction, so that no reader sees a tree that the
    // database does not have. Readers that find the generations apart look again.
    let result = state.withLock { state in
      Result { () throws(KeyStoreError) in
        try self.change(&state, intentSequence: intentSequence, intentLeafHash: intentLeafHash, build)
      }
    }
    try result.get()
    return head
  }

  private func change(
    _ state: inout State, intentSequence: UInt64, intentLeafHash: Digest,
    _ build: (inout Change) throws(KeyStoreError) -> Void
  ) throws(KeyStoreError) {
    guard !state.isUncertain else { throw .database(code: 10, doing: "writing after a failed commit") }
    var change = Change(head: state.head)
    try build(&change)
    change.head.generation += 1
    change.head.logSequence = intentSequence
    change.head.logLeafHash = intentLeafHash
    let buckets = Set(change.rows.map(\.bucket))
    let before = buckets.map { ($0, state.tree.digests[$0]) }
    do throws(KeyStoreError) {
      state.head = try translating("writing the store") {
        try pool.write { database in
          for row in change.rows { try row.save(database, mac: self.mac(row)) }
          for bucket in buckets {
            let digest = Bucket.digest(try Self.bucketMACs(database, bucket))
            state.tree.set(bucket, digest)
            try database.execute(
              sql: "INSERT OR REPLACE INTO buckets (number, digest) VALUES (?, ?)",
              arguments: [bucket, digest.databaseValue])
          }
          var head = change.head
          head.root = state.tree.root
          try head.save(database, mac: self.authenticator.mac(of: head))
          return head
        }
      }
    } catch {
      for (bucket, digest) in before { state.tree.set(bucket, digest) }
      if case .database = error { state.isUncertain = true }
      throw error
    }
  }

  private func mac(_ row: any StoredRow) -> Digest { authenticator.mac(of: row) }
}

/// Runs SQLite and turns what it throws into the store's own errors.
private func translating<Value>(_ doing: String, _ body: () throws -> Value) throws(KeyStoreError) -> Value {
  do { return try body() } catch let error as KeyStoreError { throw error } catch let error as DatabaseError {
    throw .database(code: error.resultCode.rawValue, doing: doing)
  } catch { throw .database(code: 1, doing: doing) }
}
