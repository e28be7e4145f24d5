internal import ChatelaineVocabulary
internal import GRDB
internal import Synchronization

extension KeyStore {
  /// Refuses a store in which a record of a table is gone, or under another name: what is missing from a list leaves no
  /// trace in it, and could have been in any bucket. Call it after the list was read, or after an index led nowhere.
  ///
  /// Reads every record once; after that only what somebody else wrote to the files makes it read them again.
  func sweep(_ table: StoreTable) throws(KeyStoreError) {
    let result = sweeping.withLock { _ in Result { () throws(KeyStoreError) in try self.sweepAlone(table) } }
    try result.get()
  }

  private func sweepAlone(_ table: StoreTable) throws(KeyStoreError) {
    while true {
      let stamp = StoreFiles.stamp(place.path)
      let (before, expected, isKnown, isUncertain) = state.withLock {
        ($0.head.generation, $0.tree.digests, $0.swept[table] == stamp, $0.isUncertain)
      }
      guard !isUncertain else { throw Self.uncertain("listing") }
      if isKnown { return }
      let found = try translating("looking for every record") { try pool.read { try Swept($0, table, expected, self) } }
      if found.generation == before {
        if let wrong = found.wrong { throw .tampered(record: wrong) }
        return state.withLock { if $0.head.generation == before { $0.swept[table] = stamp } }
      }
      // why: only a change that was committed meanwhile sets them apart; then look again.
      guard found.generation > before, found.generation <= head.generation else { throw .tampered(record: "the store") }
    }
  }
}

/// All buckets of one moment against what they should be.
private struct Swept {
  let generation: UInt64
  /// The first bucket, or record, that is not as it should be.
  var wrong: String?

  init(_ database: Database, _ table: StoreTable, _ expected: [Digest], _ store: KeyStore) throws {
    generation = try KeyStore.generation(database)
    var macs = [[Digest]](repeating: [], count: Bucket.count)
    do throws(KeyStoreError) {
      for other in StoreTable.inBuckets {
        try translating("looking for every record") { try Self.read(other, whole: other == table, database, store, &macs) }
      }
      guard try table.isListedWhole(database) else { throw .tampered(record: "the database's pages") }
    } catch {
      guard case .tampered(let record) = error else { throw error }
      wrong = record
      return
    }
    for (bucket, digest) in expected.enumerated() where Bucket.digest(macs[bucket]) != digest {
      let missing = try KeyStore.missingRecord(database).map { "\($0) (bucket \(bucket))" }
      wrong = try missing ?? KeyStore.name(bucket, database)
      return
    }
  }

  /// `whole` rows are checked for what they say, the others for being there.
  private static func read(
    _ table: StoreTable, whole: Bool, _ database: Database, _ store: KeyStore, _ macs: inout [[Digest]]
  ) throws {
    let columns = whole ? "*" : "bucket, row_mac"
    let rows = try Row.fetchCursor(database, sql: "SELECT \(columns) FROM \(table.sqlName)")
    while let row = try rows.next() {
      if whole {
        let (bucket, mac) = try store.check(table, row)
        macs[bucket].append(mac)
      } else {
        let reader = RowReader(row: row, record: "a record")
        let bucket: Int = try reader.integer("bucket")
        guard macs.indices.contains(bucket) else { throw KeyStoreError.tampered(record: "a record") }
        macs[bucket].append(try reader.digest("row_mac"))
      }
    }
  }
}

extension StoreTable {
  /// Whether the indexes that lists and look-ups go by have each row once: no MAC covers an index, and a row that one
  /// leaves out would be missing there alone.
  fileprivate func isListedWhole(_ database: Database) throws(KeyStoreError) -> Bool {
    for index in indexes where try !isListedWhole(database, by: index.name, index.join) { return false }
    return true
  }

  private var indexes: [(name: String, join: String)] {
    switch self {
    case .tenant: [("sqlite_autoindex_tenants_1", "listed.id = t.id")]
    case .key:
      [
        ("sqlite_autoindex_tenant_keys_3", "listed.tenant = t.tenant AND listed.name = t.name"),
        ("sqlite_autoindex_tenant_keys_1", "listed.id = t.id"),
      ]
    case .store, .masterVersion, .keyVersion, .rotation: []
    }
  }

  private func isListedWhole(
    _ database: Database, by index: String, _ join: String
  ) throws(KeyStoreError) -> Bool {
    let listed = "\(sqlName) AS listed INDEXED BY \(index)"
    // why: a column that no index holds makes SQLite go through the rows themselves.
    return try translating("looking for every record") {
      try Bool.fetchOne(
        database,
        sql: """
          SELECT count(*) = (SELECT count(*) FROM \(listed))
            AND total(length(t.row_mac) = 0 OR NOT EXISTS (SELECT 1 FROM \(listed) WHERE \(join))) = 0
          FROM \(sqlName) AS t
          """) ?? false
    }
  }
}
