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
  }

  private func read(_ rotation: RotationRow, rowsMax: Int, generation: UInt64) throws(KeyStoreError) -> Work {
    let start = Int(rotation.cursor)
    let work = try translating("reading tenants to rewrap") {
      try pool.read { database in
        guard try Self.generation(database) == generation else { throw KeyStoreError.tampered(record: "the store") }
        let (rows, end) = try Self.tenants(database, from: start, rowsMax: rowsMax)
        let tenants = try rows.compactMap { try self.tenant($0, toRewrapTo: rotation.version) }
        let macs = try BucketMACs(database, Set(tenants.map(\.bucket)), and: rotation.bucket)
        return Work(end: end, tenants: tenants, macs: macs)
      }
    }
    let found = work.macs.digests
    let wrong = state.withLock { state in found.first { bucket, digest in state.tree.digests[bucket] != digest } }
    if let wrong { throw .tampered(record: "bucket \(wrong.key)") }
    return work
  }

  /// Rows of whole buckets, and the first bucket after them.
  private static func tenants(_ database: Database, from start: Int, rowsMax: Int) throws -> ([Row], Int) {
    let sql = "SELECT * FROM tenants WHERE bucket >= ? ORDER BY bucket, id LIMIT ?"
    let rows = try Row.fetchAll(database.cachedStatement(sql: sql), arguments: [start, rowsMax + 1])
    guard rows.count > rowsMax, let last: Int = rows.last?["bucket"] else { return (rows, Bucket.count) }
    let whole = rows.prefix { ($0["bucket"] as Int) < last }
    guard whole.isEmpty else { return (Array(whole), last) }
    return (try Row.fetchAll(database, sql: "SELECT * FROM tenants WHERE bucket = ?", arguments: [last]), last + 1)
  }

  /// nil where nothing is to be rewrapped.
  private func tenant(_ row: Row, toRewrapTo version: UInt32) throws(KeyStoreError) -> Tenant? {
    let reader = RowReader(row: row, record: "a tenant")
    let tenant = try TenantRow(reader)
    let (mac, bucket) = (try reader.digest("row_mac"), tenant.bucket)
    guard try reader.integer("bucket") == bucket, authenticator.mac(of: tenant) == mac else {
      throw .tampered(record: tenant.description)
    }
    guard let wrapped = tenant.wrappedRoot, wrapped.wrappingKey.version != version else { return nil }
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
    try macs.replace(authenticator.mac(of: rotation.before), by: mac, in: rotation.after.bucket)
    let digests = macs.digests
    let tree = state.withLock { $0.tree.preparing(digests) }
    let before = storeRow
    head.root = tree.root
    do throws(KeyStoreError) {
      let expected = head.generation - 1
      try translating("rewrapping tenants") {
        try write(expecting: expected) { [head] database in
          try Self.put(updates, database)
          try rotation.after.save(database, mac: mac)
          try Self.put(digests, database)
          // why: as for every change, a trigger that puts an old row back must not get it vouched for.
          guard try work.macs.read(database).digests == digests else { throw KeyStoreError.tampered(record: "tenants") }
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
      try macs.replace(tenant.mac, by: mac, in: tenant.bucket)
      updates.append(Update(row: row, mac: mac, oldVersion: tenant.row.wrappedRoot?.wrappingKey.version))
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
        guard try Self.generation(database) == generation else { throw KeyStoreError.tampered(record: "the store") }
        try body(database)
        try state.withLock { state in
          try database.commit()
          publish(&state)
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
        wrapped.blobValue, update.mac.databaseValue, update.row.bucket, update.row.id.rawValue,
      ])
      guard database.changesCount == 1 else { throw KeyStoreError.tampered(record: update.row.description) }
    }
  }

  private static func put(_ digests: [Int: Digest], _ database: Database) throws {
    let statement = try database.cachedStatement(sql: "INSERT OR REPLACE INTO buckets (number, digest) VALUES (?, ?)")
    for (bucket, digest) in digests.sorted(by: { $0.key < $1.key }) {
      try statement.execute(arguments: [bucket, digest.databaseValue])
    }
  }
}

/// The row MACs of some buckets.
private struct BucketMACs {
  private var macs: [Int: [Digest]] = [:]
  /// Buckets that lie near each other, and one that may lie anywhere.
  private let near: Set<Int>
  private let apart: Int

  init(_ database: Database, _ near: Set<Int>, and apart: Int) throws {
    self = try BucketMACs(near: near, apart: apart).read(database)
  }

  private init(near: Set<Int>, apart: Int) {
    self.near = near
    self.apart = apart
    for bucket in near { macs[bucket] = [] }
  }

  /// The same buckets as they are now.
  func read(_ database: Database) throws -> BucketMACs {
    var found = BucketMACs(near: near, apart: apart)
    if let first = near.min(), let last = near.max() {
      if last - first < 16 * near.count {
        try found.take(first...last, database)
      } else {
        for bucket in near { found.macs[bucket] = try KeyStore.bucketMACs(database, bucket, record: "a bucket") }
      }
    }
    if !near.contains(apart) { found.macs[apart] = try KeyStore.bucketMACs(database, apart, record: "a bucket") }
    return found
  }

  /// Rows lie in the order of their buckets.
  private mutating func take(_ range: ClosedRange<Int>, _ database: Database) throws {
    for table in StoreTable.inBuckets {
      let statement = try database.cachedStatement(
        sql: "SELECT bucket, row_mac FROM \(table.sqlName) WHERE bucket BETWEEN ? AND ? ORDER BY bucket")
      let rows = try Row.fetchCursor(statement, arguments: [range.lowerBound, range.upperBound])
      while let row = try rows.next() {
        let reader = RowReader(row: row, record: "a bucket")
        let bucket: Int = try reader.integer("bucket")
        if near.contains(bucket) { macs[bucket, default: []].append(try reader.digest("row_mac")) }
      }
    }
  }

  var buckets: [Int] { Array(macs.keys) }
  var digests: [Int: Digest] { macs.mapValues { Bucket.digest($0) } }

  mutating func replace(_ old: Digest, by new: Digest, in bucket: Int) throws(KeyStoreError) {
    guard let place = macs[bucket]?.firstIndex(of: old) else { throw .tampered(record: "bucket \(bucket)") }
    macs[bucket]?[place] = new
  }
}
