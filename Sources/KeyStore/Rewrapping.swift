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

  /// Writes a batch, in one transaction with the rotation's cursor. At the end it looks whether any row is left, and
  /// begins again if one is.
  ///
  /// `ahead` was made without keeping anybody from changing the store; where somebody has, or it is not the rotation's
  /// next, the batch is made anew, by `make` with the bucket that it begins with.
  package func rewrapTenants(
    _ rotation: RotationRow, ahead: RewrapBatch?, now: WallTime, intentSequence: UInt64, intentLeafHash: Digest,
    make: (Int) throws(KeyStoreError) -> RewrapBatch
  ) throws(KeyStoreError) -> Rewrapped {
    let result = changing.withLock { _ in
      Result { () throws(KeyStoreError) in
        try self.checkPlace()
        var head = try self.headToChange()
        var batch: RewrapBatch
        if let ahead, ahead.isNext(of: rotation), self.staleBucket(ahead.found) == nil {
          batch = ahead
        } else {
          batch = try make(Int(rotation.cursor))
          // why: nobody changes the store meanwhile, so what does not fit was not written by this service.
          if let stale = self.staleBucket(batch.found) { throw KeyStoreError.tampered(record: "bucket \(stale)") }
        }
        let after = try self.advance(rotation, past: batch, now: now)
        head.generation += 1
        head.logSequence = intentSequence
        head.logLeafHash = intentLeafHash
        try self.commit(&batch, (rotation, after), &head)
        try self.checkPlace()
        return Rewrapped(head: Head(head), rotation: after, count: batch.updates.count)
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

  /// A bucket that is not as it was found.
  private func staleBucket(_ found: [Int: Digest]) -> Int? {
    state.withLock { state in found.first { bucket, digest in state.tree.digests[bucket] != digest }?.key }
  }

  private func advance(
    _ rotation: RotationRow, past batch: RewrapBatch, now: WallTime
  ) throws(KeyStoreError) -> RotationRow {
    var after = rotation
    after.rewrapped += UInt64(batch.updates.count)
    after.cursor = UInt32(batch.end)
    guard batch.end == Bucket.count else { return after }
    let left = try countRoots()
    // why: this batch is not in the count yet.
    if left.total - left[rotation.version] == batch.updates.count { after.finished = now } else { after.cursor = 0 }
    return after
  }

  // MARK: One transaction

  private func commit(
    _ batch: inout RewrapBatch, _ rotation: (before: RotationRow, after: RotationRow), _ head: inout StoreHeadRow
  ) throws(KeyStoreError) {
    let (bucket, mac) = (rotation.after.bucket, authenticator.mac(of: rotation.after))
    try readRotationsBucket(bucket, of: &batch)
    try batch.macs.replace(authenticator.mac(of: rotation.before), by: mac, in: bucket, of: .rotation)
    batch.digests[bucket] = batch.macs.digest(of: bucket)
    let tree = state.withLock { $0.tree.preparing(batch.digests) }
    let before = storeRow
    head.root = tree.root
    do throws(KeyStoreError) {
      let expected = head.generation - 1
      try translating("rewrapping tenants") {
        try write(expecting: expected) { [head, batch] database in
          try Self.put(batch.updates, database)
          try rotation.after.save(database, bucket: bucket, mac: mac)
          try Self.put(batch.digests, database)
          // why: as for every change, what was put must stand there; a trigger could have put an old row back.
          guard try batch.macs.areWritten(in: database) else { throw KeyStoreError.tampered(record: "tenants") }
          try head.save(database, mac: self.authenticator.mac(of: head))
        } publishing: { [head] state in
          state.head = head
          state.tree.apply(tree)
          for update in batch.updates { state.census?.move(from: update.oldVersion, to: rotation.after.version) }
        }
      }
    } catch {
      throw judged(error, expecting: before)
    }
  }

  /// The rotation's own row lies in a bucket that every batch changes.
  private func readRotationsBucket(_ bucket: Int, of batch: inout RewrapBatch) throws(KeyStoreError) {
    guard batch.found[bucket] == nil else { return }
    var macs = batch.macs
    try translating("reading the rotation") { try pool.read { try macs.add(bucket, from: $0) } }
    guard staleBucket([bucket: macs.digest(of: bucket)]) == nil else { throw .tampered(record: "bucket \(bucket)") }
    batch.macs = macs
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

  private static func put(_ updates: [RewrapBatch.Update], _ database: Database) throws {
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
