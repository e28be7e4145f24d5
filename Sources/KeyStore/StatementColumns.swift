internal import ChatelaineVocabulary
internal import GRDB
internal import GRDBSQLite

/// The columns of the row that a statement stands at, read where SQLite holds them.
///
/// A column of another type is nil: nothing is converted. Reading through `Row` costs two allocations a column of bytes
/// and a search by name.
struct StatementColumns {
  private let statement: Statement
  private let names: [String]

  /// `statement` is stepped by a cursor; what is read is of the row that the cursor returned last.
  init(_ statement: Statement) {
    self.statement = statement
    names = statement.columnNames
  }

  /// What `body` makes of the first row; nil where there is none.
  static func ofFirstRow<Value>(
    _ statement: Statement, _ arguments: StatementArguments = [], _ body: (StatementColumns) throws -> Value
  ) throws -> Value? {
    let rows = try Row.fetchCursor(statement, arguments: arguments)
    // why: a cursor that ends takes the row away.
    return try withExtendedLifetime(rows) { try rows.next() == nil ? nil : try body(StatementColumns(statement)) }
  }

  private func place(_ column: String, of type: Int32) -> Int32? {
    guard let place = names.firstIndex(of: column).map(Int32.init) else { return nil }
    return unsafe sqlite3_column_type(statement.sqliteStatement, place) == type ? place : nil
  }

  func integer(_ column: String) -> Int64? {
    guard let place = place(column, of: SQLITE_INTEGER) else { return nil }
    return unsafe sqlite3_column_int64(statement.sqliteStatement, place)
  }

  func text(_ column: String) -> String? {
    guard let place = place(column, of: SQLITE_TEXT),
      let text = unsafe sqlite3_column_text(statement.sqliteStatement, place)
    else { return nil }
    let count = unsafe Int(sqlite3_column_bytes(statement.sqliteStatement, place))
    let bytes = unsafe UnsafeBufferPointer(start: text, count: count)
    return unsafe String(validating: bytes, as: UTF8.self)
  }

  /// Lends the bytes, which are SQLite's; nil where the type is another.
  func blob<Value>(_ column: String, _ body: (Span<UInt8>) -> Value?) -> Value? {
    guard let place = place(column, of: SQLITE_BLOB) else { return nil }
    // why: in this order, as SQLite asks for it. No pointer stands for no bytes.
    let start = unsafe sqlite3_column_blob(statement.sqliteStatement, place)
    let count = unsafe Int(sqlite3_column_bytes(statement.sqliteStatement, place))
    let bytes = unsafe UnsafeBufferPointer(start: start?.assumingMemoryBound(to: UInt8.self), count: count)
    return unsafe body(Span(_unsafeElements: bytes))
  }
}
