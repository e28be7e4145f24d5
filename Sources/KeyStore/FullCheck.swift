internal import ChatelaineVocabulary
internal import GRDB
internal import Synchronization

extension KeyStore {
  /// Loads every row and reckons every bucket anew: what a start leaves until a row is first needed.
  ///
  /// No change can be made meanwhile. `progress` gets the rows checked so far and the rows there are.
  /// Returns the number of rows.
  @discardableResult
  package func verifyAll(progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }) throws(KeyStoreError) -> Int {
    let result = changing.withLock { _ in
      Result { () throws(KeyStoreError) in try self.verifyUnchanged(progress) }
    }
    return try result.get()
  }

  private func verifyUnchanged(_ progress: (Int, Int) -> Void) throws(KeyStoreError) -> Int {
    let (head, expected, isUncertain) = state.withLock { ($0.head, $0.tree.digests, $0.isUncertain) }
    guard !isUncertain else { throw Self.uncertain("checking") }
    return try translating("checking every record") {
      try pool.read { database in
        try Schema.check(database)
        guard try StoreHeadRow.loadChecked(database, authenticator) == head else {
          throw KeyStoreError.tampered(record: "the store")
        }
        let found = try readRows(database, progress)
        for (bucket, digest) in expected.enumerated() where Bucket.digest(found.macs[bucket]) != digest {
          throw KeyStoreError.tampered(record: try Self.missingRecord(database) ?? Self.name(bucket, database))
        }
        guard try StoredDigests.read(database) == expected else {
          throw KeyStoreError.tampered(record: "the buckets")
        }
        // why: an index leads to rows; one that does not lead to all of them hides a key.
        guard try String.fetchOne(database, sql: "PRAGMA integrity_check") == "ok" else {
          throw KeyStoreError.tampered(record: "the database's pages")
        }
        return found.count
      }
    }
  }

  private typealias FoundRows = (macs: [[Digest]], count: Int)

  /// Rows that are each as they were once written; whether they are all, and the newest, their buckets say.
  private func readRows(_ database: Database, _ progress: (Int, Int) -> Void) throws -> FoundRows {
    let total = try StoreTable.inBuckets.reduce(0) { sum, table in
      sum + (try Int.fetchOne(database, sql: "SELECT count(*) FROM \(table.sqlName)") ?? 0)
    }
    var found = FoundRows(macs: Array(repeating: [], count: Bucket.count), count: 0)
    for table in StoreTable.inBuckets {
      let rows = try Row.fetchCursor(database, sql: "SELECT * FROM \(table.sqlName)")
      while let row = try rows.next() {
        let (bucket, mac) = try check(table, row)
        found.macs[bucket].append(mac)
        found.count += 1
        if found.count.isMultiple(of: 1000) { progress(found.count, total) }
      }
    }
    progress(found.count, total)
    return found
  }

  func check(_ table: StoreTable, _ row: Row) throws(KeyStoreError) -> (bucket: Int, mac: Digest) {
    let record = table.describe(row)
    let reader = RowReader(row: row, record: record)
    let bucket: Int = try reader.integer("bucket")
    try checkRow(table, row, in: bucket, record: record)
    return (bucket, try reader.digest("row_mac"))
  }

  /// The rows of a bucket that does not add up: one of them was put back, or one is gone.
  static func name(_ bucket: Int, _ database: Database) throws -> String {
    let names = try bucketRows(database, bucket).map { table, row in table.describe(row) }
    guard !names.isEmpty else { return "bucket \(bucket), whose rows are gone" }
    return names.joined(separator: " or ") + " (bucket \(bucket))"
  }

  /// A record that others speak of and that is not there.
  static func missingRecord(_ database: Database) throws -> String? {
    if let tenant = try String.fetchOne(
      database, sql: "SELECT tenant FROM tenant_keys WHERE tenant NOT IN (SELECT id FROM tenants)")
    {
      return "tenant \(tenant)"
    }
    for row in try Row.fetchAll(database, sql: orphans) { return "key \(row[0] as String)/\(row[1] as String)" }
    for row in try Row.fetchAll(database, sql: gaps) {
      return "key \(row[0] as String)/\(row[1] as String) (its row, or one of its versions)"
    }
    return nil
  }

  private static let orphans = """
    SELECT tenant, name FROM key_versions EXCEPT SELECT tenant, name FROM tenant_keys LIMIT 1
    """
  private static let gaps = """
    SELECT k.tenant, k.name FROM tenant_keys k
      LEFT JOIN (SELECT tenant, name, count(*) AS versions FROM key_versions GROUP BY tenant, name) v
      ON v.tenant = k.tenant AND v.name = k.name
    WHERE k.current_version <> coalesce(v.versions, 0) LIMIT 1
    """
}

extension StoreTable {
  /// What a row says that it is, before anything is checked.
  fileprivate func describe(_ row: Row) -> String {
    func text(_ column: String) -> String { (row[column] as DatabaseValue?).map { "\($0)".printable } ?? "?" }
    return switch self {
    case .store: "the store"
    case .masterVersion: "master key version \(text("version"))"
    case .tenant: "tenant \(text("id"))"
    case .key: "key \(text("tenant"))/\(text("name"))"
    case .keyVersion: "key \(text("tenant"))/\(text("name")) version \(text("version"))"
    case .rotation: "the rotation to master key version \(text("version"))"
    }
  }
}

extension String {
  /// Bounded, and without control characters: the text is whatever somebody wrote into the database.
  fileprivate var printable: String {
    let bytes = utf8.prefix(Limits.nameLengthMax + 2).filter { (0x20...0x7e).contains($0) && $0 != UInt8(ascii: "\"") }
    return String(decoding: bytes, as: UTF8.self)
  }
}
