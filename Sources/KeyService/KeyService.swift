package import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineCustody
internal import ChatelaineEnvelopes
package import ChatelaineKeyStore
internal import ChatelainePrimitives
internal import ChatelaineVocabulary
internal import Synchronization

/// The hall: what can be done with tenants and keys, free of any door's types. One file a use case.
package final class KeyService: Sendable {
  let store: KeyStore
  let log: AuditLog
  let masterKeys: MasterKeySet
  let clock: LogClock
  /// State changes run one after the other, until one leaves its intent without an outcome: then none,
  /// and the next start resolves it.
  private let halt = Mutex<ServiceError?>(nil)

  private let epoch = Atomic<UInt64>(1)
  /// Copies of the store's head for the data path, which takes no lock.
  private let generation: Atomic<UInt64>
  private let primaryMasterVersion: Atomic<UInt32>

  init(store: KeyStore, log: AuditLog, masterKeys: MasterKeySet, clock: LogClock) {
    self.store = store
    self.log = log
    self.masterKeys = masterKeys
    self.clock = clock
    generation = Atomic(store.head.generation)
    primaryMasterVersion = Atomic(store.storeRow.primaryMasterVersion)
  }

  /// Raised by every state change, before its outcome is noted: what a thread opened earlier is stale.
  var keyEpoch: UInt64 { epoch.load(ordering: .acquiring) }

  package var storeHead: KeyStore.Head { store.head }
  package var logHead: AuditLog.Head { log.head }

  /// Notes the stop and closes log and store.
  package func close() {
    halt.withLock { halt in
      var stop = serviceEntry(.serviceStop)
      // why: the newest entry with a store root says that every intent before it has its outcome.
      if halt != nil { stop.details = [] }
      _ = try? log.appendAndWait(EntryDraft(stop))
      halt = .mustRestart(reason: "it was closed")
    }
    log.close()
    try? store.close()
  }

  /// Loads every record of the store: what a start leaves until it is first needed.
  package func checkStore(progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }) throws(ServiceError) -> Int {
    try lookUp { () throws(KeyStoreError) in try store.verifyAll(progress: progress) }
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
  }

  /// Intent entry durable → one transaction → outcome entry durable. `plan` looks at the store and says
  /// what to write; it runs between intent and transaction, alone.
  func change(
    _ subject: Subject, by caller: Caller,
    _ plan: (inout KeyStore.Change) throws(ServiceError) -> Void
  ) throws(ServiceError) -> AppendedEntry {
    let result = halt.withLock { halt in
      Result { () throws(ServiceError) in
        if let halt { throw halt }
        do throws(ServiceError) { return try self.changeAlone(subject, by: caller, plan) } catch {
          if case .mustRestart = error { halt = error }
          throw error
        }
      }
    }
    return try result.get()
  }

  private func changeAlone(
    _ subject: Subject, by caller: Caller, _ plan: (inout KeyStore.Change) throws(ServiceError) -> Void
  ) throws(ServiceError) -> AppendedEntry {
    let intent = try append(entry(.intent, subject, caller))
    var refusal: ServiceError?
    do throws(KeyStoreError) {
      _ = try store.change(intentSequence: intent.sequence, intentLeafHash: intent.leafHash) {
        (change) throws(KeyStoreError) in
        do throws(ServiceError) { try plan(&change) } catch {
          refusal = error
          throw KeyStoreError.taken(record: "")
        }
      }
    } catch {
      // why: after a failed commit nobody knows whether it is on disk; the next start finds out from
      // the intent that the store holds, so no outcome may be written now.
      publish()
      if case .database(_, let doing) = error { throw .mustRestart(reason: "SQLite failed while \(doing)") }
      let refused = refusal ?? ServiceError(error)
      var outcome = outcomeEntry(subject, caller, intent)
      outcome.outcome = .failed
      outcome.reason = refused.reason
      _ = try appendOutcome(outcome)
      throw refused
    }
    publish()
    var outcome = outcomeEntry(subject, caller, intent)
    outcome.outcome = .ok
    return try appendOutcome(outcome)
  }

  /// Makes every thread open its keys anew, and tells it the store's new generation.
  private func publish() {
    generation.store(store.head.generation, ordering: .releasing)
    primaryMasterVersion.store(store.storeRow.primaryMasterVersion, ordering: .releasing)
    epoch.wrappingAdd(1, ordering: .acquiringAndReleasing)
  }

  /// why: "unavailable" would say that nothing was done, and a later change would bury the intent that
  /// the store holds.
  private func appendOutcome(_ entry: AuditEntry) throws(ServiceError) -> AppendedEntry {
    do throws(ServiceError) { return try append(entry) } catch {
      throw .mustRestart(reason: "the log did not take the outcome of a change; the next start notes it")
    }
  }

  private func append(_ entry: AuditEntry) throws(ServiceError) -> AppendedEntry {
    do throws(AppendFailure) { return try log.appendAndWait(EntryDraft(entry)) } catch { throw ServiceError(error) }
  }

  private func entry(_ entryClass: EntryClass, _ subject: Subject, _ caller: Caller) -> AuditEntry {
    var entry = AuditEntry(entryClass, subject.operation)
    caller.fill(&entry)
    stamp(&entry)
    entry.tenant = subject.tenant
    entry.keyName = subject.keyName
    entry.keyID = subject.keyID
    entry.keyVersion = subject.keyVersion
    entry.details = subject.details
    return entry
  }

  private func outcomeEntry(_ subject: Subject, _ caller: Caller, _ intent: AppendedEntry) -> AuditEntry {
    var entry = entry(.outcome, subject, caller)
    entry.details = (subject.details + headDetails(intent: (intent.sequence, intent.leafHash))).sorted { $0.tag < $1.tag }
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
    case .keyDisabled: .keyDisabled
    case .decryptionFailed: .keyOrContext
    case .taken: .conflict
    case .auditUnavailable, .mustRestart, .store, .keyMaterial: .store
    }
  }
}
