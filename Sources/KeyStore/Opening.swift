internal import ChatelaineEnvelopes
internal import ChatelainePrimitives
package import ChatelaineSecretMemory
package import ChatelaineVocabulary
internal import GRDB
internal import Glibc
internal import Synchronization

extension KeyStore {
  /// Gives the store's key in exchange for its wrapping: the hall asks the keyring.
  package typealias StoreKeyOpener = (
    _ wrapped: StoreKeyWrapping
  ) throws(KeyStoreError) -> SecretBytes

  /// What is needed to unwrap the store key, and to tell a wrong master key before anything else.
  package struct StoreKeyWrapping: Sendable {
    package let keyringID: Identifier
    package let masterVersion: UInt32
    /// As recorded when the version was taken into use; nil where the record is gone.
    package let keyCheckValue: Digest?
    package let wrappedBytes: [UInt8]
    package let binding: Digest
  }

  /// What a new store is made with.
  package struct Creation: Sendable {
    package let storeID: Identifier
    package let logID: Identifier
    package let keyringID: Identifier
    package let master: MasterVersionRow
    package let created: WallTime
    package let logSequence: UInt64
    package let logLeafHash: Digest

    package init(
      storeID: Identifier, logID: Identifier, keyringID: Identifier, master: MasterVersionRow, created: WallTime,
      logSequence: UInt64, logLeafHash: Digest
    ) {
      self.storeID = storeID
      self.logID = logID
      self.keyringID = keyringID
      self.master = master
      self.created = created
      self.logSequence = logSequence
      self.logLeafHash = logLeafHash
    }
  }

  /// What the store key is bound to.
  package static func storeKeyBinding(created: WallTime) -> Digest { StoreHeadRow.binding(created: created) }

  /// Refuses a path where there is something already.
  package static func checkFree(path: String) throws(KeyStoreError) {
    guard unsafe access(path, F_OK) != 0 else { throw .exists(path: path) }
  }

  /// An empty file that nobody else can read: SQLite gives its journals the mode of the database.
  private static func makePrivateFile(_ path: String) throws(KeyStoreError) {
    let file = unsafe Glibc.open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard file >= 0 else { throw errno == EEXIST ? .exists(path: path) : .database(code: 14, doing: "creating the store") }
    _ = Glibc.close(file)
  }

  /// Makes a new store. `wrappedStoreKey` is the wrapping of `storeKey` by the primary master key.
  package static func create(
    path: String, _ creation: Creation, storeKey: borrowing SecretBytes, wrappedStoreKey: [UInt8]
  ) throws(KeyStoreError) -> KeyStore {
    try checkFree(path: path)
    guard let wrapped = try? WrappedKey(wrappedStoreKey.span), wrapped.kind == .storeKey else {
      preconditionFailure("a store key is wrapped as one")
    }
    try makePrivateFile(path)
    let lock = try StoreLock(path)
    let pool = try openPool(path: path)
    try translating("creating the store") { try pool.write { try Schema.migrate($0) } }
    let head = StoreHeadRow(
      storeID: creation.storeID, logID: creation.logID, created: creation.created, generation: 0, root: .zero,
      logSequence: creation.logSequence, logLeafHash: creation.logLeafHash, keyringID: creation.keyringID,
      primaryMasterVersion: creation.master.version, wrappedStoreKey: wrapped)
    let derivation = storeKey.withBytes { DerivationKey($0) }
    let store = KeyStore(
      path: path, lock: lock, pool: pool, authenticator: RowAuthenticator(storeKey: derivation), head: head,
      tree: BucketTree(digests: [Digest](repeating: Bucket.emptyDigest, count: Bucket.count)))
    _ = try store.change(intentSequence: creation.logSequence, intentLeafHash: creation.logLeafHash) { change in
      change.put(creation.master)
    }
    return store
  }

  /// What a store is opened for.
  package enum Use: Sendable {
    case serving
    /// Nothing on the disk is changed, and nothing can be.
    case checking
  }

  /// Reads a store: the master key first, then its own row, then the root over all rows, then the master versions.
  /// Changes nothing on the disk, so that a store that is refused, here or by who compares it with its log, stays as it
  /// was, with all that its journal holds.
  package static func examine(
    path: String, for use: Use = .serving, storeKey opener: StoreKeyOpener
  ) throws(KeyStoreError) -> Examined {
    guard unsafe access(path, F_OK) == 0 else {
      throw errno == EACCES ? .place(path: path, .unreadable(ours: geteuid())) : .missing(path: path)
    }
    try StoreFiles.checkKinds(path)
    let lock = try StoreLock(path)
    try StoreFiles.checkNoRollback(path)
    try Schema.checkFile(path)
    try StoreFiles.checkOwner(path)
    try StoreJournal.check(path)
    let stored = try readHead(path)
    let head = stored.head
    let storeKey = try opener(
      StoreKeyWrapping(
        keyringID: head.keyringID, masterVersion: head.wrappedStoreKey.wrappingKey.version,
        keyCheckValue: stored.keyCheckValue, wrappedBytes: head.wrappedStoreKey.bytes,
        binding: StoreHeadRow.binding(created: head.created)))
    let derivation = storeKey.withBytes { DerivationKey($0) }
    let authenticator = RowAuthenticator(storeKey: derivation)
    guard authenticator.mac(of: head) == stored.mac else { throw .tampered(record: "the store") }
    let tree = BucketTree(digests: stored.bucketDigests)
    guard tree.root == head.root else { throw .rootMismatch(generation: head.generation) }
    for (row, mac) in stored.masters where authenticator.mac(of: row) != mac { throw .tampered(record: row.description) }
    let masters = stored.masters.map(\.row)
    for (version, macs) in stored.masterBuckets { try checkMaster(version, macs, tree) }
    guard use == .serving || stored.schema == Schema.version else {
      throw .olderSchema(found: stored.schema, known: Schema.version)
    }
    return Examined(
      path: path, use: use, lock: lock, authenticator: authenticator, row: head, tree: tree, masters: masters)
  }

  /// Opens a store that nobody compares with anything.
  package static func open(
    path: String, for use: Use = .serving, storeKey opener: StoreKeyOpener
  ) throws(KeyStoreError) -> KeyStore {
    try examine(path: path, for: use, storeKey: opener).open()
  }

  /// The bucket that a version's row lies in, or would: a row that was deleted is missed there.
  fileprivate static func checkMaster(_ version: UInt32, _ macs: [Digest], _ tree: BucketTree) throws(KeyStoreError) {
    let bucket = Bucket.number(.masterVersion, MasterVersionRow.primaryKey(version))
    guard Bucket.digest(macs) == tree.digests[bucket] else { throw .tampered(record: "master key version \(version)") }
  }

  /// The numbers of master versions that are there, or would be if their rows were: numbers go up by one, from the first
  /// that a store was made with.
  static func masterNumbers(_ versions: [UInt32]) -> [UInt32] {
    guard let first = versions.min(), let last = versions.max() else { return [1] }
    // why: somebody may add a file of a far number; then its neighbours have to do.
    let range = last - first < masterNumbersMax ? first...last : last...last
    let neighbours = [first > 1 ? first - 1 : first, last < .max ? last + 1 : last]
    return Set(versions).union(range).union(neighbours).sorted()
  }

  private static let masterNumbersMax: UInt32 = 10_000

  /// why: a connection that may write takes its journal away again when it is closed.
  private static func readHead(_ path: String) throws(KeyStoreError) -> StoredHead {
    try translating("reading the store") {
      let untouched = Untouched(path)
      let queue = try DatabaseQueue(path: untouched.path, configuration: untouched.configuration)
      let head = Result { try queue.read { try StoredHead($0, path: path) } }
      try queue.close()
      return try head.get()
    }
  }

  fileprivate static func openUntouched(_ path: String) throws(KeyStoreError) -> DatabasePool {
    let untouched = Untouched(path)
    return try translating("opening the store") {
      try DatabasePool(path: untouched.path, configuration: untouched.configuration)
    }
  }

  /// As `translating`, for who makes the journal: where there is no room for its index SQLite says only that it failed.
  fileprivate static func translatingFull<Value>(
    _ path: String, _ doing: String, _ body: () throws -> Value
  ) throws(KeyStoreError) -> Value {
    do throws(KeyStoreError) { return try translating(doing, body) } catch {
      guard case .database(let code, _) = error, code == fullCode || StoreFiles.isDiskFull(path) else { throw error }
      throw .full
    }
  }

  fileprivate static func openPool(path: String) throws(KeyStoreError) -> DatabasePool {
    var configuration = Configuration()
    configuration.maximumReaderCount = 4
    configuration.busyMode = .timeout(5)
    // why: of a million tenants, the pages that lead to a row are more than the two MiB that SQLite keeps unasked.
    configuration.prepareDatabase { try $0.execute(sql: "PRAGMA cache_size = -\(Schema.readerCacheKiB)") }
    return try translatingFull(path, "opening the store") {
      let pool = try DatabasePool(path: path, configuration: configuration)
      try pool.writeWithoutTransaction { try Schema.configureWriter($0) }
      return pool
    }
  }
}

extension KeyStore {
  /// A store that was read and holds, of which nothing was changed. Its lock is held.
  package struct Examined: ~Copyable {
    private let path: String
    private let use: Use
    private let lock: StoreLock
    private let authenticator: RowAuthenticator
    package let row: StoreHeadRow
    private let tree: BucketTree
    package let masters: [MasterVersionRow]

    fileprivate init(
      path: String, use: Use, lock: StoreLock, authenticator: consuming RowAuthenticator, row: StoreHeadRow,
      tree: BucketTree, masters: [MasterVersionRow]
    ) {
      self.path = path
      self.use = use
      self.lock = lock
      self.authenticator = authenticator
      self.row = row
      self.tree = tree
      self.masters = masters
    }

    package var head: Head { Head(row) }

    /// Opens it for its use; a store of an older schema is taken over.
    package consuming func open() throws(KeyStoreError) -> KeyStore {
      // why: a pool writes as soon as it is opened (GRDB makes and drops a table).
      let pool = try use == .checking ? KeyStore.openUntouched(path) : KeyStore.openPool(path: path)
      if use == .serving {
        // why: one transaction, so that a store that is refused is still of the version it was.
        try KeyStore.translatingFull(path, "migrating the store") {
          try pool.write { database in
            guard try StoreHeadRow.loadChecked(database, authenticator) == row else {
              let holder = StoreFiles.indexHolder(path)
              throw holder > 0
                ? KeyStoreError.heldOpen(path: path, holder: holder) : KeyStoreError.tampered(record: "the store")
            }
            try Schema.migrate(database)
            try Schema.check(database)
            try KeyStore.checkMasters(masters, tree, database)
          }
        }
      }
      let version = row.wrappedStoreKey.wrappingKey.version
      let store = KeyStore(path: path, lock: lock, pool: pool, authenticator: authenticator, head: row, tree: tree)
      guard try store.masterVersion(version) != nil else { throw .tampered(record: "master key version \(version)") }
      return store
    }
  }

  /// Again, with what the migration has made.
  fileprivate static func checkMasters(_ rows: [MasterVersionRow], _ tree: BucketTree, _ database: Database) throws {
    for version in masterNumbers(rows.map(\.version)) {
      let bucket = Bucket.number(.masterVersion, MasterVersionRow.primaryKey(version))
      try checkMaster(version, bucketMACs(database, bucket, record: "master key version \(version)"), tree)
    }
  }
}

/// The store's own row and the digests of its buckets, unchecked.
private struct StoredHead {
  let schema: Int
  let head: StoreHeadRow
  let mac: Digest
  let masters: [(row: MasterVersionRow, mac: Digest)]
  /// The row MACs of their buckets; none where the schema is an older one.
  let masterBuckets: [(version: UInt32, macs: [Digest])]
  let keyCheckValue: Digest?
  let bucketDigests: [Digest]

  init(_ database: Database, path: String) throws {
    let application = try Int.fetchOne(database, sql: "PRAGMA application_id")
    guard application == Schema.applicationID else { throw KeyStoreError.notAStore(path: path) }
    let version = try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
    guard version <= Schema.version else { throw KeyStoreError.newerSchema(found: version, known: Schema.version) }
    try Schema.check(database, version: version)
    schema = version
    let row = try onlyStoreRow(database)
    let reader = RowReader(row: row, record: "the store")
    head = try StoreHeadRow(reader)
    mac = try reader.digest("row_mac")
    let master = try Row.fetchOne(
      database, sql: "SELECT key_check_value FROM master_versions WHERE version = ?",
      arguments: [Int64(head.wrappedStoreKey.wrappingKey.version)])
    keyCheckValue = try master.map { try RowReader(row: $0, record: "the master key").digest("key_check_value") }
    masters = try Row.fetchAll(database, sql: "SELECT * FROM master_versions ORDER BY version").map { row in
      let reader = RowReader(row: row, record: "a master key version")
      return (try MasterVersionRow(reader), try reader.digest("row_mac"))
    }
    let numbers = version == Schema.version ? KeyStore.masterNumbers(masters.map(\.row.version)) : []
    masterBuckets = try numbers.map { number in
      let bucket = Bucket.number(.masterVersion, MasterVersionRow.primaryKey(number))
      return (number, try KeyStore.bucketMACs(database, bucket, record: "master key version \(number)"))
    }
    bucketDigests = try StoredDigests.read(database)
  }
}

/// The store's own row: one, and under the number that changes look for.
private func onlyStoreRow(_ database: Database) throws -> Row {
  let rows = try Row.fetchAll(database, sql: "SELECT * FROM store LIMIT 2")
  guard rows.count == 1, rows[0]["one"] as Int64? == 1 else { throw KeyStoreError.tampered(record: "the store") }
  return rows[0]
}

/// The digests of all buckets as the database holds them.
enum StoredDigests {
  static func read(_ database: Database) throws -> [Digest] {
    var digests = [Digest](repeating: Bucket.emptyDigest, count: Bucket.count)
    let rows = try Row.fetchCursor(database, sql: "SELECT number, digest FROM buckets")
    while let row = try rows.next() {
      let reader = RowReader(row: row, record: "the buckets")
      let number: Int = try reader.integer("number")
      guard digests.indices.contains(number) else { throw KeyStoreError.tampered(record: "the buckets") }
      digests[number] = try reader.digest("digest")
    }
    return digests
  }
}

extension StoreHeadRow {
  /// The store's own row, its MAC checked.
  static func loadChecked(_ database: Database, _ authenticator: borrowing RowAuthenticator) throws -> StoreHeadRow {
    let row = try onlyStoreRow(database)
    let reader = RowReader(row: row, record: "the store")
    let head = try StoreHeadRow(reader)
    guard authenticator.mac(of: head) == (try reader.digest("row_mac")) else {
      throw KeyStoreError.tampered(record: "the store")
    }
    return head
  }
}
