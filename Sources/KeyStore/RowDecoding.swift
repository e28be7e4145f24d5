internal import ChatelaineEnvelopes
internal import ChatelaineVocabulary
internal import Foundation
internal import GRDB

/// Reads columns whose content nobody vouches for yet: a wrong type or length is a tampered record,
/// never a trap.
struct RowReader {
  private enum Source {
    case row(Row)
    /// For queries of many rows: the one that the statement stands at.
    case statement(StatementColumns)
  }

  private let source: Source
  let record: String

  init(row: Row, record: String) { (source, self.record) = (.row(row), record) }
  init(_ statement: StatementColumns, record: String) { (source, self.record) = (.statement(statement), record) }

  private func fail() -> KeyStoreError { .tampered(record: record) }

  private func value(_ row: Row, _ column: String) throws(KeyStoreError) -> DatabaseValue {
    guard let value = row[column] as DatabaseValue? else { throw fail() }
    return value
  }

  /// Lends what a column of type BLOB has; nil where `body` cannot use it.
  private func bytes<Value>(_ column: String, _ body: (Span<UInt8>) -> Value?) throws(KeyStoreError) -> Value {
    let value: Value?
    switch source {
    case .statement(let columns): value = columns.blob(column, body)
    case .row(let row):
      guard case .blob(let data) = (try self.value(row, column)).storage else { throw fail() }
      value = body(data.span)
    }
    guard let value else { throw fail() }
    return value
  }

  func integer<Value: FixedWidthInteger>(_ column: String, as _: Value.Type = Value.self) throws(KeyStoreError) -> Value {
    let value: Int64?
    switch source {
    case .statement(let columns): value = columns.integer(column)
    case .row(let row): value = Int64.fromDatabaseValue(try self.value(row, column))
    }
    guard let value, let exact = Value(exactly: value) else { throw fail() }
    return exact
  }

  func text(_ column: String) throws(KeyStoreError) -> String {
    let value: String?
    switch source {
    case .statement(let columns): value = columns.text(column)
    case .row(let row): value = String.fromDatabaseValue(try self.value(row, column))
    }
    guard let value else { throw fail() }
    return value
  }

  func blob(_ column: String) throws(KeyStoreError) -> [UInt8] { try bytes(column) { $0.copied() } }

  func identifier(_ column: String) throws(KeyStoreError) -> Identifier {
    try bytes(column) { bytes in
      var cursor = ByteCursor()
      return bytes.count == Identifier.byteCount ? try? cursor.identifier(bytes) : nil
    }
  }

  func digest(_ column: String) throws(KeyStoreError) -> Digest {
    try bytes(column) { $0.count == Digest.byteCount ? Digest($0) : nil }
  }

  func time(_ column: String) throws(KeyStoreError) -> WallTime {
    WallTime(nanoseconds: try integer(column))
  }

  func choice<Value: RawRepresentable>(_ column: String, as _: Value.Type = Value.self) throws(KeyStoreError) -> Value
  where Value.RawValue == UInt8 {
    guard let value = Value(rawValue: try integer(column)) else { throw fail() }
    return value
  }

  /// The wrapped key of a column; nil where it was erased.
  func wrappedKey(_ column: String) throws(KeyStoreError) -> WrappedKey? {
    try bytes(column) { bytes -> WrappedKey?? in bytes.isEmpty ? .some(nil) : (try? WrappedKey(bytes)).map { $0 } }
  }

  func tenant(_ column: String) throws(KeyStoreError) -> TenantID {
    guard let id = try? TenantID(try text(column)) else { throw fail() }
    return id
  }

  func keyName(_ column: String) throws(KeyStoreError) -> KeyName {
    guard let name = try? KeyName(try text(column)) else { throw fail() }
    return name
  }
}

extension StoreTable {
  var sqlName: String {
    switch self {
    case .store: "store"
    case .masterVersion: "master_versions"
    case .tenant: "tenants"
    case .key: "tenant_keys"
    case .keyVersion: "key_versions"
    case .rotation: "rotations"
    }
  }

  /// A row of one of the tables that fall into buckets.
  func decode(_ reader: RowReader) throws(KeyStoreError) -> any StoredRow {
    switch self {
    case .store: preconditionFailure("the store's own row is in no bucket")
    case .masterVersion: try MasterVersionRow(reader)
    case .tenant: try TenantRow(reader)
    case .key: try TenantKeyRow(reader)
    case .keyVersion: try KeyVersionRow(reader)
    case .rotation: try RotationRow(reader)
    }
  }
}

extension StoreHeadRow {
  init(_ reader: RowReader) throws(KeyStoreError) {
    guard let wrapped = try reader.wrappedKey("wrapped"), wrapped.kind == .storeKey else {
      throw .tampered(record: reader.record)
    }
    self.init(
      storeID: try reader.identifier("store_id"), logID: try reader.identifier("log_id"),
      created: try reader.time("created"), generation: try reader.integer("generation"),
      root: try reader.digest("root"), logSequence: try reader.integer("log_sequence"),
      logLeafHash: try reader.digest("log_leaf_hash"), keyringID: try reader.identifier("keyring_id"),
      primaryMasterVersion: try reader.integer("primary_master_version"), wrappedStoreKey: wrapped)
  }
}

extension MasterVersionRow {
  init(_ reader: RowReader) throws(KeyStoreError) {
    self.init(
      version: try reader.integer("version"), keyCheckValue: try reader.digest("key_check_value"),
      state: try reader.choice("state"), created: try reader.time("created"))
  }
}

extension RotationRow {
  init(_ reader: RowReader) throws(KeyStoreError) {
    let finished = try reader.time("finished")
    self.init(
      version: try reader.integer("version"), started: try reader.time("started"),
      cursor: try reader.integer("cursor"), rewrapped: try reader.integer("rewrapped"),
      finished: finished.nanoseconds == 0 ? nil : finished)
  }
}

extension TenantRow {
  init(_ reader: RowReader) throws(KeyStoreError) {
    let root = KeyReference(id: try reader.identifier("root_id"), version: try reader.integer("root_version"))
    let wrapped = try reader.wrappedKey("wrapped")
    // why: a record names the key that its wrapping holds; a valid wrapping in the wrong row is a swap.
    guard wrapped == nil || (wrapped?.kind == .tenantRoot && wrapped?.key == root) else {
      throw .tampered(record: reader.record)
    }
    self.init(
      id: try reader.tenant("id"), root: root, state: try reader.choice("state"), created: try reader.time("created"),
      wrappedRoot: wrapped)
  }
}

extension TenantKeyRow {
  init(_ reader: RowReader) throws(KeyStoreError) {
    let suite: UInt8 = try reader.integer("suite")
    guard suite == 0 || Suite(rawValue: suite) != nil else { throw .tampered(record: reader.record) }
    self.init(
      tenant: try reader.tenant("tenant"), name: try reader.keyName("name"), id: try reader.identifier("id"),
      purpose: try reader.choice("purpose"), suite: Suite(rawValue: suite), state: try reader.choice("state"),
      created: try reader.time("created"), currentVersion: try reader.integer("current_version"),
      floorVersion: try reader.integer("floor_version"), budgetMessages: try reader.integer("budget_messages"),
      budgetBytes: try reader.integer("budget_bytes"))
  }
}

extension KeyVersionRow {
  init(_ reader: RowReader) throws(KeyStoreError) {
    let version: UInt32 = try reader.integer("version")
    let wrapped = try reader.wrappedKey("wrapped")
    guard wrapped == nil || (wrapped?.kind == .tenantKey && wrapped?.key.version == version) else {
      throw .tampered(record: reader.record)
    }
    self.init(
      tenant: try reader.tenant("tenant"), name: try reader.keyName("name"), version: version,
      state: try reader.choice("state"), created: try reader.time("created"), wrapped: wrapped)
  }
}
