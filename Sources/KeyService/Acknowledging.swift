package import ChatelaineAuditLog
package import ChatelaineAuditTrail
package import ChatelaineCustody
internal import ChatelaineKeyStore
internal import ChatelainePrimitives
package import ChatelaineVocabulary

/// What an acknowledgement came to.
package struct Acknowledged: Sendable {
  package let lost: LostRange
  package let origin: String
  package let storeGeneration: UInt64
  /// Keys that the lost part of the store had disabled and, without a key, tenants that it had frozen: they are so again.
  package let closed: [(tenant: TenantID, key: KeyName?)]
}

extension KeyService {
  /// Goes on without what is lost: begins a new epoch of the log, whose first entry says what is lost and who took note
  /// of it, and ties the store to it. For the operator, with the service stopped.
  ///
  /// The new epoch is made ready under names that nobody reads; then one transaction of the store names its first entry,
  /// closes again what was closed in the lost part, and so decides; then the epoch gets its names. Cut off before the
  /// transaction, nothing was done; behind it, the next start ends it.
  package static func acknowledge(
    _ given: LostRange, storePath: String, log storage: any LogStorage, options: LogOptions = LogOptions(),
    masterKeys: MasterKeySet, refusedFiles: [UInt32: KeyringError] = [:], keyringPath: String? = nil,
    heads: HeadSettings? = nil, by caller: Caller, _ tags: RequestTags = RequestTags(), clock: LogClock = .system
  ) throws(StartError) -> Acknowledged {
    try selfTest()
    let masters = GivenMasters(masterKeys, refused: refusedFiles, directory: keyringPath)
    let examined: KeyStore.Examined
    do throws(KeyStoreError) { examined = try examineStore(storePath, masterKeys) } catch { throw masters.told(error) }
    _ = try matchMasters(examined.masters, masters)
    try nameAcknowledgedEpoch(of: examined.row, in: storage)
    guard let rollback = try findRollback(examined.row, storage, heads) else { throw .nothingToAcknowledge }
    guard rollback.lost == given else { throw .otherLoss(given: given, found: rollback.lost) }
    let epoch = try epoch(after: rollback, clock)
    let intent = rollback.entry(.intent, examined.row, caller, tags, clock)
    let leaf: Digest
    do throws(LogError) {
      leaf = try LogWriter.prepareEpoch(epoch, beginningWith: intent, in: storage, options: options)
    } catch { throw .log(error) }
    let store = try opened(examined)
    let closed = try rebase(store, to: EntryPlace(epoch: epoch.epoch, sequence: 0), leaf, rollback)
    let done = store.storeRow
    do throws(KeyStoreError) { try store.close() } catch { throw .store(error) }
    try nameAcknowledgedEpoch(of: done, in: storage)
    try noteOutcome(rollback, done, closed.count, caller, tags, in: storage, options, clock)
    return Acknowledged(
      lost: rollback.lost, origin: epoch.origin, storeGeneration: done.generation, closed: closed)
  }

  /// Names the epoch that an acknowledgement has made ready, where the store says that it was decided. A forged one is
  /// not the store's.
  static func nameAcknowledgedEpoch(of store: StoreHeadRow, in storage: any LogStorage) throws(StartError) {
    guard try isAcknowledgementUnfinished(store, in: storage) else { return }
    do throws(LogError) { try LogWriter.nameEpoch(store.logPlace.epoch, in: storage) } catch { throw .log(error) }
  }

  static func isAcknowledgementUnfinished(
    _ store: StoreHeadRow, in storage: any LogStorage
  ) throws(StartError) -> Bool {
    guard store.logPlace.epoch > 1, store.logPlace.sequence == 0 else { return false }
    do throws(LogError) {
      return try LogWriter.isEpochPrepared(store.logPlace.epoch, firstEntry: store.logLeafHash, in: storage)
    } catch { throw .log(error) }
  }

  private static func epoch(after rollback: Rollback, _ clock: LogClock) throws(StartError) -> EpochDescriptor {
    let before = rollback.newest
    guard EntryPlace.isEpoch(rollback.number),
      let epoch = try? EpochDescriptor(
        logID: before.logID, epoch: rollback.number, created: clock.wall(), previous: before.hash, name: before.name)
    else { throw .otherEpoch(store: rollback.number, log: before.epoch) }
    return epoch
  }

  /// The one transaction that decides.
  private static func rebase(
    _ store: KeyStore, to place: EntryPlace, _ leaf: Digest, _ rollback: Rollback
  ) throws(StartError) -> [(tenant: TenantID, key: KeyName?)] {
    var closed: [(tenant: TenantID, key: KeyName?)] = []
    do throws(KeyStoreError) {
      _ = try store.change(intentSequence: place.stored, intentLeafHash: leaf) { (change) throws(KeyStoreError) in
        change.passGenerations(to: rollback.generation)
        for (tenant, name) in rollback.toClose where try close(tenant, name, in: store, &change) {
          closed.append((tenant, name))
        }
      }
    } catch {
      try? store.close()
      throw .store(error)
    }
    return closed
  }

  /// Whether it was open.
  private static func close(
    _ tenant: TenantID, _ name: KeyName?, in store: KeyStore, _ change: inout KeyStore.Change
  ) throws(KeyStoreError) -> Bool {
    if let name {
      guard var row = try store.key(tenant, name), row.state == .enabled else { return false }
      row.state = .disabled
      change.put(row)
    } else {
      guard var row = try store.tenant(tenant), row.state == .active else { return false }
      row.state = .frozen
      change.put(row)
    }
    return true
  }

  /// Where this is cut off, the next start writes it.
  private static func noteOutcome(
    _ rollback: Rollback, _ store: StoreHeadRow, _ closed: Int, _ caller: Caller, _ tags: RequestTags,
    in storage: any LogStorage, _ options: LogOptions, _ clock: LogClock
  ) throws(StartError) {
    let examined: LogWriter.Examined
    do throws(LogError) { examined = try LogWriter.examine(storage) } catch { throw .log(error) }
    let log = try opened(examined, options, clock).log
    defer { log.close() }
    var outcome = rollback.entry(.outcome, store, caller, tags, clock)
    outcome.outcome = .ok
    outcome.details = [
      .init(.storeRoot, store.root.bytes), .init(.intentSequence, ByteWriter.u64Bytes(store.logPlace.sequence)),
      .init(.intentLeafHash, store.logLeafHash.bytes), .init(.count, ByteWriter.u64Bytes(UInt64(closed))),
      .init(.lost, Array(rollback.lost.text.utf8)),
    ]
    _ = try append(outcome, to: log)
  }
}

extension Rollback {
  /// Keys whose last change in the lost part of the store was to be disabled, and tenants that were frozen.
  fileprivate var toClose: [(TenantID, KeyName?)] {
    var last: [[UInt8]: (TenantID, KeyName?, isClosed: Bool)] = [:]
    var order: [[UInt8]] = []
    for change in changes {
      guard let isClosed = Self.closes[change.operation], let tenant = change.tenant else { continue }
      let id = tenant.bytes + [0] + (change.keyName?.bytes ?? [])
      if last[id] == nil { order.append(id) }
      last[id] = (tenant, change.keyName, isClosed)
    }
    return order.compactMap { last[$0] }.filter { $0.isClosed }.map { ($0.0, $0.1) }
  }

  private static let closes: [Operation: Bool] = [
    .keyDisable: true, .keyEnable: false, .tenantFreeze: true, .tenantUnfreeze: false,
  ]

  /// With the store as it was put back; `store` is its row.
  fileprivate func entry(
    _ entryClass: EntryClass, _ store: StoreHeadRow, _ caller: Caller, _ tags: RequestTags, _ clock: LogClock
  ) -> AuditEntry {
    var entry = AuditEntry(entryClass, .rollbackAcknowledge)
    caller.fill(&entry)
    tags.fill(&entry)
    entry.wall = clock.wall()
    entry.bootNanoseconds = clock.bootNanoseconds()
    entry.storeGeneration = max(generation, store.generation)
    entry.masterVersion = store.primaryMasterVersion
    entry.details = [.init(.storeRoot, store.root.bytes)] + link.details
    return entry
  }
}
