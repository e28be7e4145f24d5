package import ChatelaineVocabulary
internal import GRDB
internal import Synchronization

/// What a use of a key needs. The first that is not there is nil, and so are those behind it.
package struct KeyRecords: Sendable {
  package let tenant: TenantRow?
  package let key: TenantKeyRow?
  package let version: KeyVersionRow?
}

extension KeyStore {
  /// A tenant, its key of that name and a version of the key, all of one moment; the current version where none is named.
  package func records(
    _ tenant: TenantID, _ name: KeyName, version: UInt32?
  ) throws(KeyStoreError) -> KeyRecords {
    let (tenants, keys) = (Sought.tenant(tenant), Sought.key(tenant, name))
    func versions(of key: TenantKeyRow) -> Sought<KeyVersionRow> {
      .keyVersion(tenant, name, version ?? key.currentVersion)
    }
    let (found, digests) = try read(keys.record) { database in
      let tenant = try RowSnapshot(database, tenants)
      let key = tenant.row == nil ? nil : try RowSnapshot(database, keys)
      let version = try key?.row.map { try RowSnapshot(database, versions(of: $0.0)) }
      return ((tenant, key, version), [tenants.bucket, keys.bucket] + (key?.row.map { [versions(of: $0.0).bucket] } ?? []))
    }
    guard let owner = try checked(found.0, tenants, digests[0]), let snapshot = found.1 else {
      return KeyRecords(tenant: nil, key: nil, version: nil)
    }
    guard let key = try checked(snapshot, keys, digests[1]), let snapshot = found.2 else {
      return KeyRecords(tenant: owner, key: nil, version: nil)
    }
    return KeyRecords(tenant: owner, key: key, version: try checked(snapshot, versions(of: key), digests[2]))
  }

  /// Reads a row and checks it and its bucket; a row that is not there is checked to be absent.
  func load<Loaded: StoredRow>(_ sought: Sought<Loaded>) throws(KeyStoreError) -> Loaded? {
    let (snapshot, digests) = try read(sought.record) { (try RowSnapshot($0, sought), [sought.bucket]) }
    return try checked(snapshot, sought, digests[0])
  }

  private func checked<Loaded: StoredRow>(
    _ snapshot: RowSnapshot<Loaded>, _ sought: Sought<Loaded>, _ expected: Digest
  ) throws(KeyStoreError) -> Loaded? {
    guard Bucket.digest(snapshot.bucketMACs) == expected else { throw .tampered(record: sought.record) }
    guard let (row, mac) = snapshot.row else {
      // why: a row whose name was edited leaves the bucket's MACs as they were.
      for (table, row) in snapshot.bucketRows { try checkRow(table, row, in: sought.bucket, record: sought.record) }
      return nil
    }
    guard row.primaryKey == sought.primaryKey, authenticator.mac(of: row) == mac, snapshot.bucketMACs.contains(mac)
    else { throw .tampered(record: sought.record) }
    return row
  }

  /// Reads in one transaction, at the generation that the store's head has, and adds the buckets' digests of then.
  private func read<Value>(
    _ record: String, _ body: (Database) throws -> (Value, [Int])
  ) throws(KeyStoreError) -> (Value, digests: [Digest]) {
    while true {
      let before = state.withLock { $0.head.generation }
      let ((value, buckets), found) = try translating("reading \(record)") {
        try pool.read { (try body($0), try Self.generation($0)) }
      }
      let (generation, digests, isUncertain) = state.withLock { state in
        (state.head.generation, buckets.map { state.tree.digests[$0] }, state.isUncertain)
      }
      if found == generation { return (value, digests) }
      guard !isUncertain else { throw Self.uncertain("reading") }
      // why: only a change that was committed meanwhile sets them apart; then look again.
      guard found >= before, found < generation else { throw .tampered(record: "the store") }
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
    let statement = try database.cachedStatement(sql: "SELECT generation FROM store")
    return try StatementColumns.ofFirstRow(statement) { columns in
      try RowReader(columns, record: "the store").integer("generation")
    } ?? 0
  }

  static func bucketMACs(_ database: Database, _ bucket: Int, record: String) throws -> [Digest] {
    let statement = try database.cachedStatement(
      sql: """
        SELECT row_mac FROM tenants WHERE bucket = ?1 UNION ALL SELECT row_mac FROM tenant_keys WHERE bucket = ?1
        UNION ALL SELECT row_mac FROM key_versions WHERE bucket = ?1
        UNION ALL SELECT row_mac FROM master_versions WHERE bucket = ?1
        UNION ALL SELECT row_mac FROM rotations WHERE bucket = ?1
        """)
    let rows = try Row.fetchCursor(statement, arguments: [bucket])
    let reader = RowReader(StatementColumns(statement), record: record)
    var macs: [Digest] = []
    while try rows.next() != nil { macs.append(try reader.digest("row_mac")) }
    return macs
  }

  static func bucketRows(_ database: Database, _ bucket: Int) throws -> [(StoreTable, Row)] {
    try StoreTable.inBuckets.flatMap { table in
      try Row.fetchAll(database, sql: "SELECT * FROM \(table.sqlName) WHERE bucket = ?", arguments: [bucket])
        .map { (table, $0) }
    }
  }
}

/// A row, how it is found, and what it is called.
struct Sought<Row: StoredRow> {
  let record: String
  let bucket: Int
  let primaryKey: [UInt8]
  /// Asks for the bucket first.
  let sql: String
  let arguments: [DatabaseValue]
  let decode: (RowReader) throws(KeyStoreError) -> Row

  private init(
    _ record: String, _ primaryKey: [UInt8], _ names: String, _ arguments: [DatabaseValue],
    _ decode: @escaping (RowReader) throws(KeyStoreError) -> Row
  ) {
    (self.record, self.primaryKey, self.decode) = (record, primaryKey, decode)
    bucket = Bucket.number(Row.table, primaryKey)
    // why: no MAC covers an index; a changed one must not make a row absent that is there.
    sql = "SELECT * FROM \(Row.table.sqlName) NOT INDEXED WHERE bucket = ? AND \(names)"
    self.arguments = [bucket.databaseValue] + arguments
  }
}

extension Sought<TenantRow> {
  static func tenant(_ id: TenantID) -> Self {
    Sought("tenant \(id.rawValue)", Row.primaryKey(id), "id = ?", [id.rawValue.databaseValue], Row.init)
  }
}

extension Sought<TenantKeyRow> {
  static func key(_ tenant: TenantID, _ name: KeyName) -> Self {
    Sought(
      "key \(tenant.rawValue)/\(name.rawValue)", Row.primaryKey(tenant, name), "tenant = ? AND name = ?",
      [tenant.rawValue.databaseValue, name.rawValue.databaseValue], Row.init)
  }
}

extension Sought<KeyVersionRow> {
  static func keyVersion(_ tenant: TenantID, _ name: KeyName, _ version: UInt32) -> Self {
    Sought(
      "key \(tenant.rawValue)/\(name.rawValue) version \(version)", Row.primaryKey(tenant, name, version),
      "tenant = ? AND name = ? AND version = ?",
      [tenant.rawValue.databaseValue, name.rawValue.databaseValue, Int64(version).databaseValue], Row.init)
  }
}

extension Sought<MasterVersionRow> {
  static func masterVersion(_ version: UInt32) -> Self {
    Sought(
      "master key version \(version)", Row.primaryKey(version), "version = ?", [Int64(version).databaseValue], Row.init)
  }
}

extension Sought<RotationRow> {
  static func rotation(_ version: UInt32) -> Self {
    Sought(
      "the rotation to master key version \(version)", Row.primaryKey(version), "version = ?",
      [Int64(version).databaseValue], Row.init)
  }
}

/// One row and the MAC beside it, with its bucket's MACs. Nothing is checked yet.
private struct RowSnapshot<Loaded: StoredRow> {
  let row: (Loaded, mac: Digest)?
  let bucketMACs: [Digest]
  /// Where the row is not there.
  let bucketRows: [(StoreTable, Row)]

  init(_ database: Database, _ sought: Sought<Loaded>) throws {
    let statement = try database.cachedStatement(sql: sought.sql)
    row = try StatementColumns.ofFirstRow(statement, StatementArguments(sought.arguments)) { columns in
      let reader = RowReader(columns, record: sought.record)
      return (try sought.decode(reader), mac: try reader.digest("row_mac"))
    }
    bucketMACs = try KeyStore.bucketMACs(database, sought.bucket, record: sought.record)
    bucketRows = row == nil ? try KeyStore.bucketRows(database, sought.bucket) : []
  }
}
