internal import ChatelaineEnvelopes
internal import ChatelaineVocabulary
internal import Foundation
internal import GRDB

/// A row as SQLite stores it.
protocol StoredRow: StoreRow {
  static var sql: RowSQL { get }
  /// In the order of its `sql`'s columns.
  var values: [DatabaseValue] { get }
}

/// The statements of one table's rows.
struct RowSQL: Sendable {
  /// How many columns at the front name the row.
  let keyCount: Int
  let save: String
  let storedMAC: String

  /// Of every column but `bucket` and `row_mac`. `isClustered`: the bucket is a part of the table's primary key.
  init(_ table: StoreTable, key: [String], _ others: [String], isClustered: Bool = true) {
    keyCount = key.count
    let all = key + others + ["bucket", "row_mac"]
    let unique = isClustered ? ["bucket"] + key : key
    let updates = (others + ["bucket", "row_mac"]).map { "\($0) = excluded.\($0)" }
    save = """
      INSERT INTO \(table.sqlName) (\(all.joined(separator: ", ")))
      VALUES (\(all.map { _ in "?" }.joined(separator: ", ")))
      ON CONFLICT (\(unique.joined(separator: ", "))) DO UPDATE SET \(updates.joined(separator: ", "))
      """
    let matches = (key + ["bucket"]).map { "\($0) = ?" }.joined(separator: " AND ")
    // why: as for every load, an index has no say in whether a row is there.
    storedMAC = "SELECT row_mac FROM \(table.sqlName) NOT INDEXED WHERE \(matches)"
  }
}

extension StoredRow {
  var bucket: Int { Bucket.number(Self.table, primaryKey) }

  /// The MAC of the row with the same key, where there is one.
  func storedMAC(_ database: Database, bucket: Int) throws -> Digest? {
    let statement = try database.cachedStatement(sql: Self.sql.storedMAC)
    let key = values.prefix(Self.sql.keyCount) + [bucket.databaseValue]
    let row = try Row.fetchOne(statement, arguments: StatementArguments(key))
    return try row.map { try RowReader(row: $0, record: description).digest("row_mac") }
  }

  /// Inserts the row, or replaces the one with the same key.
  func save(_ database: Database, bucket: Int, mac: Digest) throws {
    let statement = try database.cachedStatement(sql: Self.sql.save)
    try statement.execute(arguments: StatementArguments(values + [bucket.databaseValue, mac.databaseValue]))
  }
}

extension [UInt8] {
  var blobValue: DatabaseValue { Data(self).databaseValue }
}

extension Digest {
  var databaseValue: DatabaseValue { bytes.blobValue }
}

extension Identifier {
  var databaseValue: DatabaseValue { bytes.blobValue }
}

extension WallTime {
  var databaseValue: DatabaseValue { Int64(nanoseconds).databaseValue }
}

extension UInt64 {
  fileprivate var stored: DatabaseValue { Int64(self).databaseValue }
}

extension MasterVersionRow: StoredRow {
  static let sql = RowSQL(
    .masterVersion, key: ["version"], ["key_check_value", "state", "created"], isClustered: false)

  var values: [DatabaseValue] {
    [
      Int64(version).databaseValue, keyCheckValue.databaseValue, Int64(state.rawValue).databaseValue,
      created.databaseValue,
    ]
  }
}

extension RotationRow: StoredRow {
  static let sql = RowSQL(
    .rotation, key: ["version"], ["started", "cursor", "rewrapped", "finished"], isClustered: false)

  var values: [DatabaseValue] {
    [
      Int64(version).databaseValue, started.databaseValue, Int64(cursor).databaseValue, rewrapped.stored,
      Int64(finished?.nanoseconds ?? 0).databaseValue,
    ]
  }
}

extension TenantRow: StoredRow {
  static let sql = RowSQL(.tenant, key: ["id"], ["root_id", "root_version", "state", "created", "wrapped"])

  var values: [DatabaseValue] {
    [
      id.rawValue.databaseValue, root.id.databaseValue, Int64(root.version).databaseValue,
      Int64(state.rawValue).databaseValue, created.databaseValue, (wrappedRoot?.bytes ?? []).blobValue,
    ]
  }
}

extension TenantKeyRow: StoredRow {
  static let sql = RowSQL(
    .key, key: ["tenant", "name"],
    [
      "id", "purpose", "suite", "state", "created", "current_version", "floor_version", "budget_messages",
      "budget_bytes",
    ])

  var values: [DatabaseValue] {
    [
      tenant.rawValue.databaseValue, name.rawValue.databaseValue, id.databaseValue,
      Int64(purpose.rawValue).databaseValue, Int64(suite?.rawValue ?? 0).databaseValue,
      Int64(state.rawValue).databaseValue, created.databaseValue, Int64(currentVersion).databaseValue,
      Int64(floorVersion).databaseValue, budgetMessages.stored, budgetBytes.stored,
    ]
  }
}

extension KeyVersionRow: StoredRow {
  static let sql = RowSQL(
    .keyVersion, key: ["tenant", "name", "version"], ["state", "created", "wrapped"])

  var values: [DatabaseValue] {
    [
      tenant.rawValue.databaseValue, name.rawValue.databaseValue, Int64(version).databaseValue,
      Int64(state.rawValue).databaseValue, created.databaseValue, (wrapped?.bytes ?? []).blobValue,
    ]
  }
}

extension StoreHeadRow {
  func save(_ database: Database, mac: Digest) throws {
    try database.execute(
      sql: """
        INSERT OR REPLACE INTO store (one, store_id, log_id, created, generation, root, log_sequence, log_leaf_hash,
          keyring_id, primary_master_version, wrapped, row_mac) VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        """,
      arguments: StatementArguments([
        storeID.databaseValue, logID.databaseValue, created.databaseValue, generation.stored, root.databaseValue,
        logSequence.stored, logLeafHash.databaseValue, keyringID.databaseValue,
        Int64(primaryMasterVersion).databaseValue, wrappedStoreKey.bytes.blobValue, mac.databaseValue,
      ]))
  }
}
