import ChatelaineTestSupport
import ChatelaineVocabulary
import Foundation
import GRDB
import Testing

@testable import ChatelaineKeyService
@testable import ChatelaineKeyStore

/// Every column of every row of every table edited in turn, every row deleted and doubled; in short, of three rows a table.
@Suite struct TamperMatrixTests {
  static let tables = ["store", "master_versions", "tenants", "tenant_keys", "key_versions", "rotations", "buckets"]

  // MUST: STORE-1, STORE-2, STORE-3, STORE-7, STORE-13
  @Test(arguments: tables)
  func `whatever is edited in a table is noticed, and nothing opens wrongly`(table: String) throws {
    let vault = try Vault()
    var tally = Tally()
    for edit in try Edits.all(of: table, in: vault.shop.storePath, rowsMax: runsSlowTests ? .max : 3) {
      let copy = try vault.storeCopy()
      do { try copy.sql(edit.sql) } catch {
        tally.refusedBySchema += 1
        continue
      }
      let verdict = vault.judge(copy)
      #expect(verdict.wrong == 0, "\(edit.sql)")
      #expect(verdict.isNoticed, "\(edit.sql)")
      let named = verdict.start.map { ServiceError.store($0) } ?? verdict.check
      #expect(named.map(Self.namesWhatIsWrong) ?? false, "\(edit.sql): \(named.map { $0.sentence } ?? "")")
      #expect(verdict.start != nil || verdict.right + verdict.records.count == 18, "\(edit.sql)")
      for refusal in verdict.records {
        #expect(Self.namesWhatIsWrong(refusal), "\(edit.sql): \(refusal.sentence)")
      }
      if let owner = edit.owner, verdict.start == nil {
        // The others' keys go on opening.
        #expect(verdict.right >= 12, "\(edit.sql): \(verdict.records.map(\.sentence))")
        #expect(named.map { $0.sentence.contains(owner) || edit.renames } ?? false, "\(edit.sql)")
      }
      tally.take(verdict)
    }
    print("tamper matrix, \(table): \(tally)")
    #expect(tally.edits > 0 && tally.wrong == 0)
  }

  @Test func `edits that keep the types are all tried`() throws {
    let vault = try Vault()
    let counts = try Self.tables.map { table in
      try Edits.all(of: table, in: vault.shop.storePath).filter { $0.kind == .changed }.count
    }
    // Rows × columns: 1 × 12, 1 × 6, 3 × 8, 6 × 13, 18 × 8, 1 × 7, and two a bucket that holds a row.
    #expect(counts.dropLast() == [12, 6, 24, 78, 144, 7])
    #expect(counts[6] >= 2 * 27)
  }

  /// Refused, with the record or the generation, or with what of the master key does not fit.
  static func namesWhatIsWrong(_ error: ServiceError) -> Bool {
    switch error {
    case .store(.tampered(let record)): !record.isEmpty
    case .store(.rootMismatch), .store(.masterKey), .store(.newerSchema): true
    default: false
    }
  }
}

/// One edit of the database, as somebody with a shell makes it.
struct Edit {
  enum Kind { case changed, emptied, cut, null, otherType, deleted, doubled }

  let kind: Kind
  let sql: String
  /// The tenant whose record it is, where it is one's.
  let owner: String?
  /// The record is there under another name afterwards, and refused under that one.
  var renames = false
}

enum Edits {
  /// Of the first rows of a table.
  static func all(of table: String, in path: String, rowsMax: Int = .max) throws -> [Edit] {
    let database = try DatabaseQueue(path: path)
    defer { try? database.close() }
    return try database.read { database in
      let columns = try database.columns(in: table)
      let key = try database.primaryKey(table).columns
      return try Row.fetchAll(database, sql: "SELECT * FROM \(table)").prefix(rowsMax).enumerated().flatMap { number, row in
        let place = key.map { "\($0) = \((row[$0] as DatabaseValue).sqlText)" }.joined(separator: " AND ")
        let owner: String? = row.hasColumn("tenant") ? row["tenant"] : table == "tenants" ? row["id"] : nil
        var edits = columns.flatMap { Self.edits(of: $0.name, row, table, place, owner) }
        edits.append(Edit(kind: .deleted, sql: "DELETE FROM \(table) WHERE \(place)", owner: owner))
        edits += key.map { doubled(columns.map(\.name), changing: $0, row, table, owner) }
        // Every column of every row is changed; what else can stand in it is tried on two rows.
        return edits.filter { number < 2 || [.changed, .deleted, .doubled].contains($0.kind) }
      }
    }
  }

  private static func edits(
    of column: String, _ row: Row, _ table: String, _ place: String, _ owner: String?
  ) -> [Edit] {
    let value = row[column] as DatabaseValue
    var edits: [(Edit.Kind, String)] = [(.changed, value.changed.sqlText), (.null, "NULL")]
    switch value.storage {
    case .blob(let data) where !data.isEmpty:
      edits += [(.emptied, "x''"), (.cut, "substr(\(column), 2)"), (.otherType, "'text'"), (.otherType, "7")]
    case .string: edits += [(.emptied, "''"), (.cut, "substr(\(column), 2)"), (.otherType, "x'00ff'")]
    default:
      edits += [(.emptied, "0"), (.cut, "-1"), (.otherType, "'text'"), (.otherType, "9223372036854775807")]
    }
    return edits.map { kind, new in
      Edit(
        kind: kind, sql: "UPDATE \(table) SET \(column) = \(new) WHERE \(place)", owner: owner,
        renames: ["id", "tenant"].contains(column))
    }
  }

  /// The row a second time, under another key.
  private static func doubled(
    _ columns: [String], changing key: String, _ row: Row, _ table: String, _ owner: String?
  ) -> Edit {
    let values = columns.map { column in
      let value = row[column] as DatabaseValue
      // why: ids of keys are unique in the schema too.
      return column == key || (table == "tenant_keys" && column == "id")
        ? value.farther.sqlText : value.sqlText
    }
    return Edit(
      kind: .doubled,
      sql:
        "INSERT INTO \(table) (\(columns.joined(separator: ", "))) VALUES (\(values.joined(separator: ", ")))",
      owner: owner, renames: true)
  }
}

extension DatabaseValue {
  var sqlText: String {
    switch storage {
    case .blob(let data):
      "x'\(data.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined())'"
    case .string(let text): "'\(text)'"
    default: description
    }
  }

  /// One bit, one character, or one more.
  var changed: DatabaseValue {
    switch storage {
    case .blob(var data):
      if data.isEmpty { return Data([1]).databaseValue }
      data[data.count / 2] ^= 1
      return data.databaseValue
    case .string(let text): return (String(text.dropLast()) + "z").databaseValue
    case .int64(let number): return (number + 1).databaseValue
    default: return self
    }
  }

  /// Far enough not to meet another row.
  var farther: DatabaseValue {
    if case .int64(let number) = storage { return (number + 5000).databaseValue }
    return changed
  }
}

/// What the edits of a table led to.
struct Tally: CustomStringConvertible {
  var edits = 0
  var refusedBySchema = 0
  var refusedAtStart = 0
  var refusedRecords = 0
  var foundByCheckAlone = 0
  var right = 0
  var wrong = 0

  mutating func take(_ verdict: Vault.Verdict) {
    edits += 1
    refusedAtStart += verdict.start == nil ? 0 : 1
    refusedRecords += verdict.records.count
    foundByCheckAlone += verdict.start == nil && verdict.records.isEmpty ? 1 : 0
    right += verdict.right
    wrong += verdict.wrong
  }

  var description: String {
    "\(edits) edits (\(refusedBySchema) more refused by the schema), \(refusedAtStart) refused at the start, "
      + "\(refusedRecords) records refused, \(foundByCheckAlone) edits found by the check alone, \(right) right, \(wrong) wrong"
  }
}
