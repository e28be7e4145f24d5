internal import ChatelaineEnvelopes
internal import ChatelaineVocabulary
internal import Foundation
internal import GRDB

/// A row as SQLite stores it.
protocol StoredRow: StoreRow {
  /// Columns that name the row.
  static var keyColumns: [String] { get }
  /// Columns of the table's primary key.
  static var uniqueColumns: [String] { get }
  /// Every column but `bucket` and `row_mac`.
  var columns: [(name: String, value: DatabaseValue)] { get }
}

extension StoredRow {
  static var uniqueColumns: [String] { ["bucket"] + keyColumns }

  var bucket: Int { Bucket.number(Self.table, primaryKey) }

  /// The MAC of the row with the same key, where there is one.
  func storedMAC(_ database: Database) throws -> Digest? {
    let key = [("bucket", bucket.databaseValue)] + columns.filter { Self.keyColumns.contains($0.name) }
    let matches = key.map { name, _ in "\(name) = ?" }.joined(separator: " AND ")
    let statement = try database.cachedStatement(sql: "SELECT row_mac FROM \(Self.table.sqlName) WHERE \(matches)")
    let row = try Row.fetchOne(statement, arguments: StatementArguments(key.map { _, value in value }))
    return try row.map { try RowReader(row: $0, record: description).digest("row_mac") }
  }

  /// Inserts the row, or replaces the one with the same key.
  func save(_ database: Database, mac: Digest) throws {
    let all = columns + [("bucket", bucket.databaseValue), ("row_mac", mac.databaseValue)]
    let names = all.map(\.name).joined(separator: ", ")
    let marks = all.map { _ in "?" }.joined(separator: ", ")
    let updates = all.filter { !Self.keyColumns.contains($0.name) }.map { "\($0.name) = excluded.\($0.name)" }
    let statement = try database.cachedStatement(
      sql: """
        INSERT INTO \(Self.table.sqlName) (\(names)) VALUES (\(marks))
        ON CONFLICT (\(Self.uniqueColumns.joined(separator: ", "))) DO UPDATE SET \(updates.joined(separator: ", "))
        """)
    try statement.execute(arguments: StatementArguments(all.map(\.value)))
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
  static let keyColumns = ["version"]
  static let uniqueColumns = ["version"]
  var columns: [(name: String, value: DatabaseValue)] {
    [
      ("version", Int64(version).databaseValue), ("key_check_value", keyCheckValue.databaseValue),
      ("state", Int64(state.rawValue).databaseValue), ("created", created.databaseValue),
    ]
  }
}

extension RotationRow: StoredRow {
  static let keyColumns = ["version"]
  static let uniqueColumns = ["version"]
  var columns: [(name: String, value: DatabaseValue)] {
    [
      ("version", Int64(version).databaseValue), ("started", started.databaseValue),
      ("cursor", Int64(cursor).databaseValue), ("rewrapped", rewrapped.stored),
      ("finished", Int64(finished?.nanoseconds ?? 0).databaseValue),
    ]
  }
}

extension TenantRow: StoredRow {
  static let keyColumns = ["id"]
  var columns: [(name: String, value: DatabaseValue)] {
    [
      ("id", id.rawValue.databaseValue), ("root_id", root.id.databaseValue),
      ("root_version", Int64(root.version).databaseValue), ("state", Int64(state.rawValue).databaseValue),
      ("created", created.databaseValue), ("wrapped", (wrappedRoot?.bytes ?? []).blobValue),
    ]
  }
}

extension TenantKeyRow: StoredRow {
  static let keyColumns = ["tenant", "name"]
  var columns: [(name: String, value: DatabaseValue)] {
    [
      ("tenant", tenant.rawValue.databaseValue), ("name", name.rawValue.databaseValue), ("id", id.databaseValue),
      ("purpose", Int64(purpose.rawValue).databaseValue), ("suite", Int64(suite?.rawValue ?? 0).databaseValue),
      ("state", Int64(state.rawValue).databaseValue), ("created", created.databaseValue),
      ("current_version", Int64(currentVersion).databaseValue), ("floor_version", Int64(floorVersion).databaseValue),
      ("budget_messages", budgetMessages.stored), ("budget_bytes", budgetBytes.stored),
    ]
  }
}

extension KeyVersionRow: StoredRow {
  static let keyColumns = ["tenant", "name", "version"]
  var columns: [(name: String, value: DatabaseValue)] {
    [
      ("tenant", tenant.rawValue.databaseValue), ("name", name.rawValue.databaseValue),
      ("version", Int64(version).databaseValue), ("state", Int64(state.rawValue).databaseValue),
      ("created", created.databaseValue), ("wrapped", (wrapped?.bytes ?? []).blobValue),
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
