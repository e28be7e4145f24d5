package import ChatelaineEnvelopes
package import ChatelaineVocabulary
internal import GRDB
internal import Synchronization

/// The tenants' wrapped roots, rewrapped bucket after bucket.
///
/// A batch is the tenants of whole buckets: their digests are reckoned once, the rows lie together on the disk, and the
/// cursor is the number of the next bucket. Everything that takes time happens before the store's lock is taken, so
/// that whoever loads a key waits for the commit alone.
extension KeyStore {
  package struct Rewrapped: Sendable {
    package let head: Head
    package let rotation: RotationRow
    /// Roots that this batch moved.
    package let count: Int
  }

  /// Rewraps the next tenants of a rotation, about `rowsMax` at a time and whole buckets, in one transaction with the
  /// rotation's cursor. At the end it looks whether any row is left, and begins again if one is.
  ///
  /// `rewrap` gives the new wrapping of a root.
  package func rewrapTenants(
    _ rotation: RotationRow, rowsMax: Int, now: WallTime, intentSequence: UInt64, intentLeafHash: Digest,
    _ rewrap: ([TenantRow]) throws(KeyStoreError) -> [WrappedKey]
  ) throws(KeyStoreError) -> Rewrapped {
    let result = changing.withLock { _ in
      Result { () throws(KeyStoreError) in
        try self.checkPlace()
        var head = try self.headToChange()
        let work = try self.read(rotation, rowsMax: rowsMax, generation: head.generation)
        let wrapped = try rewrap(work.tenants.map(\.row))
        let after = try self.advance(rotation, past: work, now: now)
        head.generation += 1
        head.logSequence = intentSequence
        head.logLeafHash = intentLeafHash
        try self.commit(work, wrapped, (rotation, after), &head)
        try self.checkPlace()
        return Rewrapped(head: Head(head), rotation: after, count: wrapped.count)
      }
    }
    return try result.get()
  }

  /// Takes what the journal holds into the database. Outside of any lock that a reader takes.
  package func checkpoint() throws(KeyStoreError) {
    try translating("checkpointing the store") {
      try pool.writeWithoutTransaction { _ = try $0.checkpoint(.passive) }
    }
  }

  // MARK: What is to be done

  /// Tenants of whole buckets, each row and each bucket checked.
  private struct Work {
    /// The first bucket after.
    let end: Int
    /// Those that another version wraps.
    let tenants: [Tenant]
    /// The row MACs of every bucket that one of them lies in, and of the rotation's.
    let macs: BucketMACs
  }

  private struct Tenant {
    let row: TenantRow
    let bucket: Int
    let mac: Digest

    func isWrapped(byOtherThan version: UInt32) -> Bool {
      row.wrappedRoot.map { $0.wrappingKey.version != version } ?? false
    }
  }

  private func read(_ rotation: RotationRow, rowsMax: Int, generation: UInt64) throws(KeyStoreError) -> Work {
    let start = Int(rotation.cursor)
    let work = try translating("reading tenants to rewrap") {
      try pool.read { database in
        guard try Self.generation(database) == generation else { throw KeyStoreError.tampered(record: "the store") }
        let (tenants, end) = try self.tenants(database, from: start, rowsMax: rowsMax, toRewrapTo: rotation.version)
        let macs = try BucketMACs(database, Set(tenants.map(\.bucket)), and: rotation.bucket)
        return Work(end: end, tenants: tenants, macs: macs)
      }
    }
    let found = work.macs.digests
    let wrong = state.withLock { state in found.first { bucket, digest in state.tree.digests[bucket] != digest } }
    if let wrong { throw .tampered(record: "bucket \(wrong.key)") }
    return work
  }

  /// Tenants of whole buckets that another version wraps, and the first bucket after them.
  private func tenants(
    _ database: Database, from start: Int, rowsMax: Int, toRewrapTo version: UInt32
  ) throws -> ([Tenant], Int) {
    let statement = try database.cachedStatement(
      sql: "SELECT * FROM tenants WHERE bucket >= ? ORDER BY bucket, id LIMIT ?")
    statement.arguments = [start, rowsMax + 1]
    let (tenants, isAll) = try read(statement, rowsMax: rowsMax)
    if isAll { return (tenants.filter { $0.isWrapped(byOtherThan: version) }, Bucket.count) }
    let last = tenants.last?.bucket ?? start
    let whole = tenants.prefix { $0.bucket < last }
    guard whole.isEmpty else { return (whole.filter { $0.isWrapped(byOtherThan: version) }, last) }
    let one = try database.cachedStatement(sql: "SELECT * FROM tenants WHERE bucket = ?")
    one.arguments = [last]
    return (try read(one, rowsMax: .max).0.filter { $0.isWrapped(byOtherThan: version) }, last + 1)
  }

  /// Rows whose MACs are right; whether there are no more than these.
  private func read(_ statement: Statement, rowsMax: Int) throws -> ([Tenant], Bool) {
    let places = ColumnPlaces(statement)
    let rows = try Row.fetchCursor(statement)
    var tenants: [Tenant] = []
    while let row = try rows.next() {
      tenants.append(try tenant(RowReader(row: row, record: "a tenant", places: places)))
    }
    return (tenants, tenants.count <= rowsMax)
  }

  private func tenant(_ reader: RowReader) throws(KeyStoreError) -> Tenant {
    let tenant = try TenantRow(reader)
    let (mac, bucket) = (try reader.digest("row_mac"), tenant.bucket)
    guard try reader.integer("bucket") == bucket, authenticator.mac(of: tenant) == mac else {
      throw .tampered(record: tenant.description)
    }
    return Tenant(row: tenant, bucket: bucket, mac: mac)
  }

  private func advance(_ rotation: RotationRow, past work: Work, now: WallTime) throws(KeyStoreError) -> RotationRow {
    var after = rotation
    after.rewrapped += UInt64(work.tenants.count)
    after.cursor = UInt32(work.end)
    guard work.end == Bucket.count else { return after }
    let left = try countRoots()
    // why: this batch is not in the count yet.
    if left.total - left[rotation.version] == work.tenants.count { after.finished = now } else { after.cursor = 0 }
    return after
  }

  // MARK: One transaction

  /// A tenant's row as it will be.
  private struct Update {
    let row: TenantRow
    let bucket: Int
    let mac: Digest
    let oldVersion: UInt32?
  }

  private func commit(
    _ work: Work, _ wrapped: [WrappedKey], _ rotation: (before: RotationRow, after: RotationRow),
    _ head: inout StoreHeadRow
  ) throws(KeyStoreError) {
    var macs = work.macs
    let updates = try self.updates(work, wrapped, &macs)
    let mac = authenticator.mac(of: rotation.after)
    try macs.replace(authenticator.mac(of: rotation.before), by: mac, in: rotation.after.bucket, of: .rotation)
    let digests = macs.digests
    let tree = state.withLock { $0.tree.preparing(digests) }
    let before = storeRow
    head.root = tree.root
    do throws(KeyStoreError) {
      let expected = head.generation - 1
      try translating("rewrapping tenants") {
        try write(expecting: expected) { [head, macs] database in
          try Self.put(updates, database)
          try rotation.after.save(database, bucket: rotation.after.bucket, mac: mac)
          try Self.put(digests, database)
          // why: as for every change, what was put must stand there; a trigger could have put an old row back.
          guard try macs.areWritten(in: database) else { throw KeyStoreError.tampered(record: "tenants") }
          try head.save(database, mac: self.authenticator.mac(of: head))
        } publishing: { [head] state in
          state.head = head
          state.tree.apply(tree)
          for update in updates { state.census?.move(from: update.oldVersion, to: rotation.after.version) }
        }
      }
    } catch {
      throw judged(error, expecting: before)
    }
  }

  private func updates(
    _ work: Work, _ wrapped: [WrappedKey], _ macs: inout BucketMACs
  ) throws(KeyStoreError) -> [Update] {
    precondition(wrapped.count == work.tenants.count, "every root is rewrapped")
    var updates: [Update] = []
    updates.reserveCapacity(wrapped.count)
    for (tenant, wrapped) in zip(work.tenants, wrapped) {
      var row = tenant.row
      row.wrappedRoot = wrapped
      let mac = authenticator.mac(of: row)
      try macs.replace(tenant.mac, by: mac, in: tenant.bucket, of: .tenant)
      let oldVersion = tenant.row.wrappedRoot?.wrappingKey.version
      updates.append(Update(row: row, bucket: tenant.bucket, mac: mac, oldVersion: oldVersion))
    }
    return updates
  }

  /// why: readers compare the generation that they read with the head's, so both change under the lock; it is not
  /// held while the rows are written.
  private func write(
    expecting generation: UInt64, _ body: (Database) throws -> Void, publishing publish: (inout State) -> Void
  ) throws {
    try pool.writeWithoutTransaction { database in
      try database.beginTransaction(.immediate)
      do {
        let swept = state.withLock { $0.stillSwept(place.path) }
        guard try Self.generation(database) == generation else { throw KeyStoreError.tampered(record: "the store") }
        try body(database)
        try state.withLock { state in
          try database.commit()
          publish(&state)
          state.swept = swept.mapValues { _ in StoreFiles.stamp(place.path) }
        }
      } catch {
        if database.isInsideTransaction { try database.rollback() }
        throw error
      }
    }
  }

  private static func put(_ updates: [Update], _ database: Database) throws {
    let statement = try database.cachedStatement(
      sql: "UPDATE tenants SET wrapped = ?, row_mac = ? WHERE bucket = ? AND id = ?")
    for update in updates {
      let wrapped = update.row.wrappedBytes ?? []
      try statement.execute(arguments: [
        wrapped.blobValue, update.mac.databaseValue, update.bucket, update.row.id.rawValue,
      ])
      guard database.changesCount == 1 else { throw KeyStoreError.tampered(record: update.row.description) }
    }
  }

  static func put(_ digests: [Int: Digest], _ database: Database) throws {
    let statement = try database.cachedStatement(sql: "INSERT OR REPLACE INTO buckets (number, digest) VALUES (?, ?)")
    for (bucket, digest) in digests.sorted(by: { $0.key < $1.key }) {
      try statement.execute(arguments: [bucket, digest.databaseValue])
    }
  }
}

/// The row MACs of some buckets, table by table.
private struct BucketMACs {
  private var macs: [StoreTable: [Int: [Digest]]] = [:]
  /// Buckets that lie near each other, and one that may lie anywhere.
  private let near: Set<Int>
  private let apart: Int

  init(_ database: Database, _ near: Set<Int>, and apart: Int) throws {
    self.near = near
    self.apart = apart
    for table in StoreTable.inBuckets { macs[table] = try read(table, database) }
  }

  /// Whether the tables that a rotation writes hold these.
  func areWritten(in database: Database) throws -> Bool {
    for table in [StoreTable.tenant, .rotation] {
      let found = try read(table, database).mapValues { $0.sorted() }
      guard found == macs[table]?.mapValues({ $0.sorted() }) else { return false }
    }
    return true
  }

  private func read(_ table: StoreTable, _ database: Database) throws -> [Int: [Digest]] {
    var found: [Int: [Digest]] = [:]
    if let first = near.min(), let last = near.max() {
      if last - first < 16 * near.count {
        try take(first...last, of: table, database, &found) { near.contains($0) }
      } else {
        for bucket in near { try take(bucket...bucket, of: table, database, &found) { _ in true } }
      }
    }
    if !near.contains(apart) { try take(apart...apart, of: table, database, &found) { _ in true } }
    return found
  }

  private func take(
    _ range: ClosedRange<Int>, of table: StoreTable, _ database: Database, _ found: inout [Int: [Digest]],
    _ isWanted: (Int) -> Bool
  ) throws {
    let statement = try database.cachedStatement(
      sql: "SELECT bucket, row_mac FROM \(table.sqlName) WHERE bucket BETWEEN ? AND ?")
    let places = ColumnPlaces(statement)
    let rows = try Row.fetchCursor(statement, arguments: [range.lowerBound, range.upperBound])
    while let row = try rows.next() {
      let reader = RowReader(row: row, record: "a bucket", places: places)
      let bucket: Int = try reader.integer("bucket")
      if isWanted(bucket) { found[bucket, default: []].append(try reader.digest("row_mac")) }
    }
  }

  var digests: [Int: Digest] {
    var all: [Int: [Digest]] = [apart: []]
    for bucket in near { all[bucket] = [] }
    for table in macs.values { all.merge(table) { $0 + $1 } }
    return all.mapValues { Bucket.digest($0) }
  }

  mutating func replace(_ old: Digest, by new: Digest, in bucket: Int, of table: StoreTable) throws(KeyStoreError) {
    guard let place = macs[table]?[bucket]?.firstIndex(of: old) else { throw .tampered(record: "bucket \(bucket)") }
    macs[table]?[bucket]?[place] = new
  }
}
