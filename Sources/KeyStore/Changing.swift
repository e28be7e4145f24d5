package import ChatelaineEnvelopes
package import ChatelaineVocabulary
internal import GRDB
internal import Synchronization

extension KeyStore {
  /// The rows that one change puts.
  package struct Change {
    fileprivate init(head: StoreHeadRow, recount: @escaping () throws(KeyStoreError) -> Census) {
      self.head = head
      self.recount = recount
    }

    fileprivate var rows: [any StoredRow] = []
    fileprivate var head: StoreHeadRow
    let recount: () throws(KeyStoreError) -> Census

    package mutating func put(_ row: TenantRow) { rows.append(row) }
    package mutating func put(_ row: TenantKeyRow) { rows.append(row) }
    package mutating func put(_ row: KeyVersionRow) { rows.append(row) }
    package mutating func put(_ row: MasterVersionRow) { rows.append(row) }
    package mutating func put(_ row: RotationRow) { rows.append(row) }

    /// Leaves out the generations up to this one: a store that was put back from a copy has none twice.
    package mutating func passGenerations(to generation: UInt64) { head.generation = max(head.generation, generation) }

    /// Makes a master version the one that wraps from now on.
    package mutating func setPrimaryMaster(_ version: UInt32, wrappedStoreKey: WrappedKey) {
      head.primaryMasterVersion = version
      head.wrappedStoreKey = wrappedStoreKey
    }
  }

  /// Puts rows in one transaction that raises the generation and names the intent entry in the log.
  ///
  /// Changes run one after the other; `build` may read the store, and must not change it.
  package func change(
    intentSequence: UInt64, intentLeafHash: Digest, _ build: (inout Change) throws(KeyStoreError) -> Void
  ) throws(KeyStoreError) -> Head {
    let result = changing.withLock { _ in
      Result { () throws(KeyStoreError) in
        try self.checkPlace()
        var change = Change(head: try self.headToChange(), recount: self.countRoots)
        try build(&change)
        change.head.generation += 1
        change.head.logSequence = intentSequence
        change.head.logLeafHash = intentLeafHash
        let head = try self.commit(change)
        try self.checkPlace()
        return head
      }
    }
    return try result.get()
  }

  /// What is written to a file without a name is lost with the process: from here on only a restart helps.
  func checkPlace() throws(KeyStoreError) {
    guard let lost = lostFile else { return }
    state.withLock { $0.isUncertain = true }
    // why: of a journal without a name nothing is there after a kill, and earlier changes were said to be done.
    if lost == .journal { try? checkpoint() }
    let file = lost == .journal ? "journal" : "file"
    throw .database(code: 14, doing: "writing the store, whose \(file) was removed or replaced while it was open")
  }

  func headToChange() throws(KeyStoreError) -> StoreHeadRow {
    let (head, isUncertain) = state.withLock { ($0.head, $0.isUncertain) }
    guard !isUncertain else { throw Self.uncertain("writing") }
    return head
  }

  /// why: the lock is held over the transaction, so that no reader sees a tree that the database does
  /// not have. Readers that find the generations apart look again.
  private func commit(_ change: Change) throws(KeyStoreError) -> Head {
    let result = state.withLock { state in
      Result { () throws(KeyStoreError) in try self.commit(change, &state) }
    }
    do throws(KeyStoreError) { return try result.get() } catch { throw judged(error, expecting: headToCheck) }
  }

  private var headToCheck: StoreHeadRow { state.withLock { $0.head } }

  /// What a failed transaction means for the next one. Where the disk was full and SQLite has taken back all of it, the
  /// store is as it was. After any other failure nobody knows what is on the disk: from here on only a restart helps.
  ///
  /// why: of a full disk SQLite says so before the frame that commits is whole in its journal; what fails later, or
  /// while syncing, has another code.
  func judged(_ error: KeyStoreError, expecting head: StoreHeadRow) -> KeyStoreError {
    guard case .database(let code, _) = error else { return error }
    if code == Self.fullCode, !state.withLock({ $0.isUncertain }), isAt(head) { return .full }
    state.withLock { $0.isUncertain = true }
    return error
  }

  /// SQLITE_FULL
  static let fullCode: Int32 = 13

  /// Whether the database has this head, and no transaction under way: as who writes sees it, and as who reads.
  private func isAt(_ head: StoreHeadRow) -> Bool {
    let written = try? pool.writeWithoutTransaction { database in
      try !database.isInsideTransaction && StoreHeadRow.loadChecked(database, authenticator) == head
    }
    guard written == true else { return false }
    return (try? pool.read { try StoreHeadRow.loadChecked($0, authenticator) }) == head
  }

  private func commit(_ change: Change, _ state: inout State) throws(KeyStoreError) -> Head {
    var hasBegun = false
    var census = state.census
    var swept: [StoreTable: StoreFiles.Stamp] = [:]
    do throws(KeyStoreError) {
      let (head, tree) = try translating("writing the store") {
        try pool.write { database in
          hasBegun = true
          swept = state.stillSwept(place.path)
          guard try Self.generation(database) == state.head.generation else {
            throw KeyStoreError.tampered(record: "the store")
          }
          let digests = try self.put(change.rows, database, state.tree, &census)
          try Self.put(digests, database)
          let tree = state.tree.preparing(digests)
          var head = change.head
          head.root = tree.root
          try head.save(database, mac: self.authenticator.mac(of: head))
          return (head, tree)
        }
      }
      state.head = head
      state.tree.apply(tree)
      state.census = census
      state.swept = swept.mapValues { _ in StoreFiles.stamp(place.path) }
      return Head(state.head)
    } catch {
      // why: a transaction that never began has written nothing, whoever holds the lock.
      if !hasBegun, case .database(code: 5, _) = error { throw .busy }
      throw error
    }
  }

  /// Puts rows and returns the digests of their buckets.
  ///
  /// why: a digest comes from the MACs that stood there before, checked, and the MACs put now; never from
  /// what stands there afterwards alone. Else a change would vouch for a row that somebody revived,
  /// deleted, or had a trigger put back, in a bucket that the change happens to touch.
  private func put(
    _ rows: [any StoredRow], _ database: Database, _ tree: BucketTree, _ census: inout Census?
  ) throws -> [Int: Digest] {
    var buckets: [Int: [Digest]] = [:]
    let places = rows.map(\.bucket)
    for (row, bucket) in zip(rows, places) where buckets[bucket] == nil {
      let macs = try Self.bucketMACs(database, bucket, record: row.description)
      guard Bucket.digest(macs) == tree.digests[bucket] else {
        throw KeyStoreError.tampered(record: row.description)
      }
      buckets[bucket] = macs
    }
    for (row, bucket) in zip(rows, places) {
      if let old = try row.storedMAC(database, bucket: bucket) {
        guard let place = buckets[bucket]?.firstIndex(of: old) else {
          throw KeyStoreError.tampered(record: row.description)
        }
        buckets[bucket]?.remove(at: place)
      }
      if let row = row as? TenantRow { try Self.count(row, in: &census, database) }
      let mac = mac(row)
      try row.save(database, bucket: bucket, mac: mac)
      buckets[bucket]?.append(mac)
    }
    let digests = buckets.mapValues { Bucket.digest($0) }
    for (bucket, digest) in digests {
      let record = "bucket \(bucket)"
      guard Bucket.digest(try Self.bucketMACs(database, bucket, record: record)) == digest else {
        throw KeyStoreError.tampered(record: record)
      }
    }
    return digests
  }

  /// Before the row is saved.
  private static func count(_ row: TenantRow, in census: inout Census?, _ database: Database) throws {
    guard census != nil else { return }
    let old = try Row.fetchOne(
      database, sql: "SELECT wrapped FROM tenants WHERE bucket = ? AND id = ?", arguments: [row.bucket, row.id.rawValue])
    if let old { census?.add(-1, to: try wrappingVersion(old)) }
    census?.add(1, to: row.wrappedRoot?.wrappingKey.version)
  }

  private func mac(_ row: any StoredRow) -> Digest { authenticator.mac(of: row) }
}
