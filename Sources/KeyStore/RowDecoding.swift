internal import ChatelaineEnvelopes
internal import ChatelaineVocabulary
internal import Foundation
internal import GRDB

/// Reads columns whose content nobody vouches for yet: a wrong type or length is a tampered record,
/// never a trap.
struct RowReader {
  let row: Row
  let record: String
  /// For queries of many rows.
  private let places: ColumnPlaces?

  init(row: Row, record: String, places: ColumnPlaces? = nil) {
    self.row = row
    self.record = record
    self.places = places
  }

  private func fail() -> KeyStoreError { .tampered(record: record) }

  private func value(_ column: String) throws(KeyStoreError) -> DatabaseValue {
    // why: a value of its own type is read from the statement as it is; an optional one takes several times as long.
    if let place = places?[column] { return row[place] }
    guard let value = row[column] as DatabaseValue? else { throw fail() }
    return value
  }

  private func data(_ column: String) throws(KeyStoreError) -> Data {
    guard case .blob(let data) = (try value(column)).storage else { throw fail() }
    return data
  }

  func integer<Value: FixedWidthInteger>(_ column: String, as _: Value.Type = Value.self) throws(KeyStoreError) -> Value {
    guard let value = Int64.fromDatabaseValue(try value(column)), let exact = Value(exactly: value) else {
      throw fail()
    }
    return exact
  }

  func text(_ column: String) throws(KeyStoreError) -> String {
    guard let value = String.fromDatabaseValue(try value(column)) else { throw fail() }
    return value
  }

  func blob(_ column: String) throws(KeyStoreError) -> [UInt8] {
    [UInt8](try data(column))
  }

  func identifier(_ column: String) throws(KeyStoreError) -> Identifier {
    let bytes = try data(column)
    var cursor = ByteCursor()
    guard bytes.count == Identifier.byteCount, let id = try? cursor.identifier(bytes.span) else { throw fail() }
    return id
  }

  func digest(_ column: String) throws(KeyStoreError) -> Digest {
    let bytes = try data(column)
    guard bytes.count == Digest.byteCount else { throw fail() }
    return Digest(bytes.span)
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
    let bytes = try data(column)
    guard !bytes.isEmpty else { return nil }
    guard let wrapped = try? WrappedKey(bytes.span) else { throw fail() }
    return wrapped
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

/// Where a statement's columns stand: a row finds them by name anew for every row and column.
struct ColumnPlaces {
  private let names: [String]

  init(_ statement: Statement) { names = statement.columnNames }

  subscript(_ name: String) -> Int? { names.firstIndex(of: name) }
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
