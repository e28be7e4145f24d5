package import ChatelaineEnvelopes
package import ChatelaineVocabulary
internal import GRDB
internal import Synchronization

extension KeyStore {
  /// The rows that one change puts.
  package struct Change {
    fileprivate var rows: [any StoredRow] = []
    fileprivate var head: StoreHeadRow

    package mutating func put(_ row: TenantRow) { rows.append(row) }
    package mutating func put(_ row: TenantKeyRow) { rows.append(row) }
    package mutating func put(_ row: KeyVersionRow) { rows.append(row) }
    package mutating func put(_ row: MasterVersionRow) { rows.append(row) }

    /// Makes a master version the one that wraps from now on.
    package mutating func setPrimaryMaster(_ version: UInt32, wrappedStoreKey: WrappedKey) {
      head.primaryMasterVersion = version
      head.wrappedStoreKey = wrappedStoreKey
    }
  }

  /// Puts rows in one transaction that raises the generation and names the intent entry in the log.
  package func change(
    intentSequence: UInt64, intentLeafHash: Digest, _ build: (inout Change) throws(KeyStoreError) -> Void
  ) throws(KeyStoreError) -> Head {
    // why: one writer; the lock is held over the transaction, so that no reader sees a tree that the
    // database does not have. Readers that find the generations apart look again.
    let result = state.withLock { state in
      Result { () throws(KeyStoreError) in
        try self.change(&state, intentSequence: intentSequence, intentLeafHash: intentLeafHash, build)
      }
    }
    try result.get()
    return head
  }

  private func change(
    _ state: inout State, intentSequence: UInt64, intentLeafHash: Digest,
    _ build: (inout Change) throws(KeyStoreError) -> Void
  ) throws(KeyStoreError) {
    guard !state.isUncertain else { throw .database(code: 10, doing: "writing after a failed commit") }
    var change = Change(head: state.head)
    try build(&change)
    change.head.generation += 1
    change.head.logSequence = intentSequence
    change.head.logLeafHash = intentLeafHash
    let buckets = Set(change.rows.map(\.bucket))
    let before = buckets.map { ($0, state.tree.digests[$0]) }
    do throws(KeyStoreError) {
      state.head = try translating("writing the store") {
        try pool.write { database in
          for row in change.rows { try row.save(database, mac: self.mac(row)) }
          for bucket in buckets {
            let digest = Bucket.digest(try Self.bucketMACs(database, bucket))
            state.tree.set(bucket, digest)
            try database.execute(
              sql: "INSERT OR REPLACE INTO buckets (number, digest) VALUES (?, ?)",
              arguments: [bucket, digest.databaseValue])
          }
          var head = change.head
          head.root = state.tree.root
          try head.save(database, mac: self.authenticator.mac(of: head))
          return head
        }
      }
    } catch {
      for (bucket, digest) in before { state.tree.set(bucket, digest) }
      if case .database = error { state.isUncertain = true }
      throw error
    }
  }

  private func mac(_ row: any StoredRow) -> Digest { authenticator.mac(of: row) }
}
