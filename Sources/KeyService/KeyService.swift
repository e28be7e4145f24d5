internal import ChatelaineAccessPolicy
package import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineCustody
internal import ChatelaineEnvelopes
package import ChatelaineKeyStore
internal import ChatelainePrimitives
internal import ChatelaineTokens
internal import ChatelaineVocabulary
internal import Synchronization

/// The hall: what can be done with tenants and keys, free of any door's types. One file a use case.
package final class KeyService: Sendable {
  let store: KeyStore
  let log: AuditLog
  /// A snapshot, swapped whole.
  let masters: Mutex<MasterKeySet>
  /// nil where master keys cannot be rotated.
  let keyring: ServiceKeyring?
  /// nil where the log's heads are not signed.
  let heads: HeadKeeper?
  /// For reviewers, one at a time.
  let logSearch: Mutex<LogSearch>
  let rewrapping = Rewrapping()
  let clock: LogClock
  /// State changes run one after the other, until one leaves its intent without an outcome: then none,
  /// and the next start resolves it.
  private let halt = Mutex<ServiceError?>(nil)
  /// The same for who only looks, and must not wait for a change under way.
  private let haltCause = Mutex<ServiceError?>(nil)
  /// Those that wait for their turn: work in the background leaves it to them.
  private let changesWaiting = Atomic<Int>(0)

  /// What threads opened before a state change is stale after it.
  let epochs = KeyEpochs()
  let holders = KeyHolders()
  let faults: FoundFaults
  private let revocationSecondsMax: Int
  let access: Mutex<AccessRules>
  let policyCounter = Atomic<UInt64>(1)
  /// The latest second that a token was judged at.
  let latestSecond = Atomic<UInt64>(0)
  /// Copies of the store's head for the data path, which takes no lock.
  private let generation: Atomic<UInt64>
  private let primaryMasterVersion: Atomic<UInt32>

  init(
    store: KeyStore, log: AuditLog, logFiles: any LogStorage, masterKeys: MasterKeySet, policy: AccessPolicy,
    tokens: TokenRules = .none, clock: LogClock,
    keyring: ServiceKeyring? = nil, heads: HeadKeeper? = nil,
    revocationSecondsMax: Int = Limits.revocationSecondsMax,
    onFault: @escaping @Sendable (FoundFault) -> Void = { _ in }
  ) {
    faults = FoundFaults(onFault)
    self.revocationSecondsMax = revocationSecondsMax
    access = Mutex(AccessRules(policy: policy, tokens: tokens))
    self.store = store
    self.log = log
    masters = Mutex(masterKeys)
    self.keyring = keyring
    self.heads = heads
    logSearch = Mutex(LogSearch(logFiles))
    self.clock = clock
    generation = Atomic(store.head.generation)
    primaryMasterVersion = Atomic(store.storeRow.primaryMasterVersion)
  }

  var masterKeys: MasterKeySet { masters.withLock { $0 } }

  /// Raised by every new policy, and by new tokens.
  package var policyEpoch: UInt64 { policyCounter.load(ordering: .acquiring) }

  /// Why no state change is taken any more.
  var changesHaltedBy: ServiceError? { haltCause.withLock { $0 } }

  package var storeHead: KeyStore.Head { store.head }
  package var logHead: AuditLog.Head { log.head }
  /// The log's signed heads; nil where none are signed.
  package var signedHeads: HeadKeeper.Report? { heads?.now }

  /// Notes the stop and closes log and store.
  package func close() {
    rewrapping.stop()
    halt.withLock { halt in
      var stop = serviceEntry(.serviceStop)
      // why: the newest entry with a store root says that every intent before it has its outcome.
      if halt != nil { stop.details = [] }
      _ = try? log.appendAndWait(EntryDraft(stop))
      halt = .mustRestart(reason: "it was closed")
    }
    heads?.end()
    log.close()
    heads?.close()
    try? store.close()
  }

  /// Loads every record of the store: what a start leaves until it is first needed.
  package func checkStore(progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }) throws(ServiceError)
    -> Int
  {
    try telling { () throws(Refusal) in
      try lookUp { () throws(KeyStoreError) in try store.verifyAll(progress: progress) }
    }
  }

  // MARK: State changes

  /// What a state change is about, as its entries say it.
  struct Subject {
    let operation: Operation
    var tenant: TenantID?
    var keyName: KeyName?
    var keyID: Identifier = .zero
    var keyVersion: UInt32 = 0
    var details: [AuditEntry.Detail] = []
    /// The rule that allows it.
    var grant: Grants.Grant?
    /// Keys at hand stay good: a root in another wrapping is the same root.
    var leavesKeysAtHand = false

    init(
      operation: Operation, tenant: TenantID? = nil, keyName: KeyName? = nil, keyID: Identifier = .zero,
      keyVersion: UInt32 = 0
    ) {
      self.operation = operation
      self.tenant = tenant
      self.keyName = keyName
      self.keyID = keyID
      self.keyVersion = keyVersion
    }
  }

  /// Intent entry durable → one transaction → every thread lets go of what is stale → outcome entry durable.
  /// `plan` looks at the store and says what to write; it runs between intent and transaction, alone.
  func change(
    _ subject: Subject, by caller: Caller, _ tags: RequestTags,
    _ plan: (inout KeyStore.Change) throws(Refusal) -> Void
  ) throws(ServiceError) -> AppendedEntry {
    changesWaiting.wrappingAdd(1, ordering: .relaxed)
    defer { changesWaiting.wrappingSubtract(1, ordering: .relaxed) }
    return try change(subject, by: caller, tags) { (intent) throws(Refusal) in
      try self.commit(intent, plan)
      return []
    }
  }

  var isChangeWaiting: Bool { changesWaiting.load(ordering: .relaxed) > 0 }

  /// As above, for what makes its transaction itself: `effect` gives what the outcome says beside the intent.
  func change(
    _ subject: Subject, by caller: Caller, _ tags: RequestTags,
    effect: (AppendedEntry) throws(Refusal) -> [AuditEntry.Detail]
  ) throws(ServiceError) -> AppendedEntry {
    let result = halt.withLock { halt in
      Result { () throws(ServiceError) in
        if let halt { throw halt }
        do throws(ServiceError) { return try self.changeAlone(subject, by: caller, tags, effect) } catch {
          self.found(error)
          if case .mustRestart = error {
            halt = error
            haltCause.withLock { $0 = error }
          }
          throw error
        }
      }
    }
    return try result.get()
  }

  private func changeAlone(
    _ subject: Subject, by caller: Caller, _ tags: RequestTags,
    _ effect: (AppendedEntry) throws(Refusal) -> [AuditEntry.Detail]
  ) throws(ServiceError) -> AppendedEntry {
    let intent = try append(entry(.intent, subject, caller, tags))
    var outcome: AuditEntry
    do throws(Refusal) {
      var done = subject
      done.details += try effect(intent)
      try publish(subject)
      outcome = outcomeEntry(done, caller, tags, intent)
      outcome.outcome = .ok
    } catch {
      if case .mustRestart = error.error { throw error.error }
      outcome = outcomeEntry(subject, caller, tags, intent)
      outcome.outcome = .failed
      outcome.reason = error.reason
      _ = try appendOutcome(outcome, tags)
      throw error.error
    }
    return try appendOutcome(outcome, tags)
  }

  private func commit(
    _ intent: AppendedEntry, _ plan: (inout KeyStore.Change) throws(Refusal) -> Void
  ) throws(Refusal) {
    var refusal: Refusal?
    do throws(KeyStoreError) {
      _ = try store.change(intentSequence: place(of: intent).stored, intentLeafHash: intent.leafHash) {
        (change) throws(KeyStoreError) in
        do throws(Refusal) { try plan(&change) } catch {
          refusal = error
          throw KeyStoreError.taken(record: "")
        }
      }
    } catch { throw refusal ?? failedCommit(error) }
  }

  /// Where the log has an entry that this service wrote.
  func place(of entry: AppendedEntry) -> EntryPlace {
    EntryPlace(epoch: log.head.epoch.epoch, sequence: entry.sequence)
  }

  /// why: after a failed commit nobody knows whether it is on disk; the next start finds out from the intent that the
  /// store holds, so no outcome may be written now.
  func failedCommit(_ error: KeyStoreError) -> Refusal {
    guard case .database(_, let doing) = error else { return Refusal(ServiceError(error)) }
    epochs.raise(nil)
    return Refusal(.mustRestart(reason: "SQLite failed while \(doing)"))
  }

  /// Tells every thread the store's new generation, and returns when none has anything of before: all that
  /// they did with it stands in the log, or in its queue, ahead of the outcome.
  private func publish(_ subject: Subject) throws(Refusal) {
    generation.store(store.head.generation, ordering: .releasing)
    primaryMasterVersion.store(store.storeRow.primaryMasterVersion, ordering: .releasing)
    guard !subject.leavesKeysAtHand else { return }
    epochs.raise(subject.tenant)
    guard holders.forget(subject.tenant, withinSeconds: revocationSecondsMax) else {
      throw Refusal(.mustRestart(reason: "a thread did not let go of keys that were changed"))
    }
  }

  /// why: "unavailable" would say that nothing was done, and a later change would bury the intent that
  /// the store holds.
  private func appendOutcome(_ entry: AuditEntry, _ tags: RequestTags) throws(ServiceError) -> AppendedEntry {
    do throws(ServiceError) {
      let outcome = try append(entry)
      tags.noted?.note(outcome)
      return outcome
    } catch {
      throw .mustRestart(reason: "the log did not take the outcome of a change; the next start notes it")
    }
  }

  func append(_ entry: AuditEntry) throws(ServiceError) -> AppendedEntry {
    do throws(AppendFailure) { return try log.appendAndWait(EntryDraft(entry)) } catch {
      throw ServiceError(error)
    }
  }

  func entry(_ entryClass: EntryClass, _ subject: Subject, _ caller: Caller, _ tags: RequestTags)
    -> AuditEntry
  {
    var entry = AuditEntry(entryClass, subject.operation)
    caller.fill(&entry)
    tags.fill(&entry)
    stamp(&entry)
    entry.tenant = subject.tenant
    entry.keyName = subject.keyName
    entry.keyID = subject.keyID
    entry.keyVersion = subject.keyVersion
    entry.add(subject.details)
    if let grant = subject.grant { entry.note(grant) }
    return entry
  }

  private func outcomeEntry(
    _ subject: Subject, _ caller: Caller, _ tags: RequestTags, _ intent: AppendedEntry
  ) -> AuditEntry {
    var entry = entry(.outcome, subject, caller, tags)
    entry.add(headDetails(intent: (intent.sequence, intent.leafHash)))
    return entry
  }

  /// What lets a later start, or a reviewer, match the store with the log.
  func headDetails(intent: (sequence: UInt64, leafHash: Digest)?) -> [AuditEntry.Detail] {
    var details = [AuditEntry.Detail(.storeRoot, store.head.root.bytes)]
    if let intent {
      details.append(.init(.intentSequence, ByteWriter.u64Bytes(intent.sequence)))
      details.append(.init(.intentLeafHash, intent.leafHash.bytes))
    }
    return details
  }

  func serviceEntry(_ operation: Operation) -> AuditEntry {
    var entry = AuditEntry(.service, operation)
    entry.outcome = .ok
    stamp(&entry)
    entry.details = headDetails(intent: nil)
    return entry
  }

  /// Says in a new segment of the log what the store is, so that a start which reads the newest segment alone finds it
  /// there, however long ago the last change was.
  func noteStoreState() {
    halt.withLock { halt in
      // why: behind an intent without an outcome it would say that there is none.
      guard halt == nil else { return }
      _ = try? log.appendAndWait(EntryDraft(serviceEntry(.storeState)))
    }
  }

  func stamp(_ entry: inout AuditEntry) {
    entry.wall = clock.wall()
    entry.bootNanoseconds = clock.bootNanoseconds()
    entry.storeGeneration = generation.load(ordering: .acquiring)
    entry.masterVersion = primaryMasterVersion.load(ordering: .acquiring)
  }
}

extension ServiceError {
  /// The true reason, for the log.
  var reason: Reason {
    switch self {
    case .notFound: .noSuchKey
    case .notAllowed: .policy
    case .keyDisabled: .keyDisabled
    case .tenantFrozen: .tenantFrozen
    case .decryptionFailed: .keyOrContext
    case .keyring(.unwritable), .keyring(.unreadable): .store
    case .taken, .conflict, .master, .otherKeyCheckValue, .keyring: .conflict
    case .masterFileLeft(_, let cause): cause.reason
    case .limitExceeded: .limit
    case .storeBusy: .busy
    case .storeFull: .store
    case .notSigned, .proof(.unmade): .store
    case .proof(.notCovered), .proof(.noHead): .busy
    case .log: .store
    case .pageToken: .malformed
    case .noHistory: .noSuchTenant
    case .auditUnavailable, .mustRestart, .store, .keyMaterial: .store
    }
  }
}
