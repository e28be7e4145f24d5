package import ChatelaineAccessPolicy
package import ChatelaineAuditLog
internal import ChatelaineAuditTrail
package import ChatelaineCustody
internal import ChatelaineEnvelopes
package import ChatelaineKeyStore
internal import ChatelainePrimitives
internal import ChatelaineSecretMemory
package import ChatelaineVocabulary

/// Why log, store and keyring do not go together.
package enum StartError: Error, Equatable, Sendable {
  case log(LogError)
  case store(KeyStoreError)
  case service(ServiceError)
  /// The store belongs to another log.
  case otherLog(store: Identifier, log: Identifier)
  /// The log's last outcome names a later state of the store: an old copy of the store was put back.
  case storeRolledBack(storeGeneration: UInt64, logGeneration: UInt64)
  /// The store names entries that the log does not have: an old copy of the log was put back.
  case logRolledBack(storeGeneration: UInt64, logGeneration: UInt64)
  /// The entry that the store's last change names is another one: the log was rewritten, there or before.
  case logRewritten(sequence: UInt64)
  /// The file of a master version in use does not open, or holds another key.
  case masterFile(MasterFileFault)
  /// Same generation, other content.
  case storeDiffers(generation: UInt64)
  /// Log and signed heads do not go together.
  case heads(HeadFault)
  case selfTest

  package var sentence: String {
    switch self {
    case .log(.storage(let failure)) where failure.call == .lock:
      "Another service\(processText(failure.holder)) is using the log (\(failure.path)): stop it first."
    case .log(.storage(let failure)) where failure.place != nil: "The log at \(failure.path): \(failure.reason)."
    case .log(.storage(let failure)):
      "The log at \(failure.path) cannot be used (\(failure.call.rawValue) failed: \(failure.reason)): check path, permissions and disk."
    case .log(.noLog(let path)): "There is no log in \(path): name its directory, or restore it."
    case .log(.corrupt(let fault, let file)):
      "The log is corrupt in \(file) at offset \(fault.offset): \(fault.sentence). Run `chatelaine audit verify`, keep the files, restore a backup."
    case .log(.unsupported(let fault, let file)):
      "The log has in \(file) at offset \(fault.offset) what a newer version wrote (\(fault.sentence)): install that version. Nothing was changed."
    case .store(let error): error.sentence
    case .masterFile(let fault):
      "The key store needs master key version \(fault.version). \(fault.sentence)."
    case .service(let error): error.sentence
    case .otherLog(let store, let log):
      "The key store belongs to log \(store.hex), not \(log.hex): name the right log."
    case .storeRolledBack(let store, let log):
      "The key store is at generation \(store), its log at \(log): an old copy of the store was put back. Restore the newest one."
    case .logRolledBack(let store, let log):
      "The key store is at generation \(store), its log at \(log): an old copy of the log was put back. Restore the newest one."
    case .logRewritten(let sequence):
      "Entry \(sequence) of the log is not the one that the key store names: that entry or one before it was changed. Keep the files, restore the log as it was."
    case .storeDiffers(let generation):
      "The key store at generation \(generation) is not the one that the log names: restore a backup of the same time as the log."
    case .heads(let fault): fault.sentence
    case .selfTest:
      "The self-test of the ciphers failed: this machine or its libcrypto or libsodium cannot be trusted."
    }
  }
}

/// A process as a sentence names it; nothing where it is not known.
private func processText(_ process: Int32) -> String { process > 0 ? " (process \(process))" : "" }

/// What a start found.
package struct StartReport: Sendable {
  package var recovery: LogRecovery
  /// Intents that had no outcome: how each was resolved.
  package var resolved: [Resolved] = []
  package var masters = MasterReport()
  /// The newest segment said nothing of the store, so every entry was read.
  package var hasReadWholeLog = false

  package struct Resolved: Equatable, Sendable {
    package let sequence: UInt64
    package let wasDone: Bool
  }
}

extension KeyService {
  /// Makes a store beside a log that was just made, with the newest master key as primary.
  package static func initialize(
    storePath: String, log storage: any LogStorage, logName: String, options: LogOptions = LogOptions(),
    masterKeys: MasterKeySet, caller: Caller, tags: RequestTags = RequestTags(), clock: LogClock = .system
  ) throws(StartError) {
    try selfTest()
    do throws(KeyStoreError) { try KeyStore.checkFree(path: storePath) } catch { throw .store(error) }
    let new: LogWriter.Examined
    do throws(LogError) {
      _ = try LogWriter.create(in: storage, name: logName, options: options, clock: clock)
      new = try LogWriter.examine(storage)
    } catch {
      throw .log(error)
    }
    let log = try opened(new, options, clock).log
    defer { log.close() }
    let master = masterKeys.newest
    let created = clock.wall()
    let intent = try append(createEntry(.intent, master, caller, tags, clock), to: log)
    let storeKey = SecretBytes.random(count: DerivationKey.byteCount)
    let wrapper: KeyWrapper
    do throws(CipherUnavailable) { wrapper = try KeyWrapper() } catch { throw .store(.cipherUnavailable) }
    let wrapped = wrapper.wrap(
      storeKey, kind: .storeKey, as: KeyReference(id: SecureRandom.identifier(), version: 1),
      under: master.derivationKey, wrappingKeyReference: master.reference,
      binding: KeyStore.storeKeyBinding(created: created))
    let creation = KeyStore.Creation(
      storeID: SecureRandom.identifier(), logID: log.head.epoch.logID, keyringID: masterKeys.keyringID,
      master: MasterVersionRow(
        version: master.reference.version, keyCheckValue: master.keyCheckValue, state: .inUse,
        created: master.created),
      created: created, logSequence: intent.sequence, logLeafHash: intent.leafHash)
    do throws(KeyStoreError) {
      let store = try KeyStore.create(
        path: storePath, creation, storeKey: storeKey, wrappedStoreKey: wrapped.bytes)
      var outcome = createEntry(.outcome, master, caller, tags, clock)
      outcome.outcome = .ok
      outcome.storeGeneration = store.head.generation
      outcome.details = [
        .init(.storeRoot, store.head.root.bytes),
        .init(.intentSequence, ByteWriter.u64Bytes(intent.sequence)),
        .init(.intentLeafHash, intent.leafHash.bytes), .init(.keyCheckValue, master.keyCheckValue.bytes),
      ]
      try store.close()
      _ = try Self.appendOrStoreError(outcome, to: log)
    } catch { throw .store(error) }
  }

  /// Opens log and store, checks each against the other, resolves what a crash left half done, and notes
  /// the start.
  ///
  /// `policyFile` is the file that the policy was read from: its hash is in the start's entry. `onRefusing` is told, on
  /// a thread of its own, when the log begins to refuse entries, and nil when it takes them again.
  package static func open(
    storePath: String, log storage: any LogStorage, options: LogOptions = LogOptions(),
    masterKeys: MasterKeySet, refusedFiles: [UInt32: KeyringError] = [:],
    policy: AccessPolicy = .empty, policyFile: [UInt8]? = nil, clock: LogClock = .system,
    keyring: ServiceKeyring? = nil, heads: HeadSettings? = nil,
    revocationSecondsMax: Int = Limits.revocationSecondsMax,
    onPoisoned: @escaping @Sendable (StorageFailure) -> Void = { _ in },
    onRefusing: (@Sendable (StorageFailure?) -> Void)? = nil,
    onFault: @escaping @Sendable (FoundFault) -> Void = { _ in }
  ) throws(StartError) -> (KeyService, StartReport) {
    try selfTest()
    let given = GivenMasters(masterKeys, refused: refusedFiles, directory: keyring?.place.path)
    let examined: KeyStore.Examined
    do throws(KeyStoreError) { examined = try examineStore(storePath, masterKeys) } catch { throw given.told(error) }
    let masters = try matchMasters(examined.masters, given)
    let signed = try heads.map { heads throws(StartError) in try SignedHeads(heads, of: storage) }
    let (examinedLog, newest) = try examineLog(storage, for: examined.row, rootsAt: signed?.sizes ?? [])
    try signed?.check(examinedLog)
    // why: the newest segment may begin after the intent of the store's last change.
    let isTold = newest.lastState?.generation == examined.head.generation
    let history = isTold ? newest : try StoreHistory(readingAll: storage, named: examined.head.logSequence)
    let heldIntent = try match(examined.row, with: history, logID: examinedLog.epoch.logID)
    // why: only now, for opening a log mends its end, and opening a store takes its journal in and may change its tables.
    let (log, recovery) = try opened(examinedLog, options, clock, onPoisoned)
    do throws(StartError) {
      let store = try opened(examined)
      do throws(StartError) {
        let service = KeyService(
          store: store, log: log, masterKeys: masters.usable(of: masterKeys), policy: policy, clock: clock,
          keyring: keyring, heads: signed?.keeper(of: log, after: examinedLog, clock),
          revocationSecondsMax: revocationSecondsMax, onFault: onFault)
        var report = StartReport(recovery: recovery)
        report.masters = masters
        report.hasReadWholeLog = !isTold
        report.resolved = try service.resolve(history, holding: heldIntent)
        try service.note(service.startEntry(policyFile))
        if let onRefusing { log.onRefusing(onRefusing) }
        log.onNewSegment { [weak service] in service?.noteStoreState() }
        service.resumeRewrapping()
        return (service, report)
      } catch {
        try? store.close()
        throw error
      }
    } catch {
      log.close()
      throw error
    }
  }

  private static func opened(_ examined: consuming KeyStore.Examined) throws(StartError) -> KeyStore {
    do throws(KeyStoreError) { return try examined.open() } catch { throw .store(error) }
  }

  static func examineStore(
    _ path: String, _ masterKeys: MasterKeySet, for use: KeyStore.Use = .serving
  ) throws(KeyStoreError) -> KeyStore.Examined {
    try KeyStore.examine(path: path, for: use) { (wrapping) throws(KeyStoreError) in
      guard wrapping.keyringID == masterKeys.keyringID else {
        throw .masterKey(.otherKeyring(store: wrapping.keyringID, keyring: masterKeys.keyringID))
      }
      guard let master = masterKeys[wrapping.masterVersion] else {
        throw .masterKey(.missingVersion(wrapping.masterVersion))
      }
      guard let wrapper = try? KeyWrapper() else { throw .cipherUnavailable }
      if let wrapped = try? WrappedKey(wrapping.wrappedBytes.span),
        let key = try? wrapper.unwrap(
          wrapped, kind: .storeKey, as: nil, under: master.derivationKey,
          wrappingKeyReference: master.reference,
          binding: wrapping.binding)
      {
        return key
      }
      // why: nothing is checked yet, so an edited check value must not put the blame on the right key.
      guard wrapping.keyCheckValue != master.keyCheckValue else { throw .tampered(record: "the store key") }
      throw .masterKey(.otherKey(version: wrapping.masterVersion, store: wrapping.keyCheckValue))
    }
  }

  /// Before anything is written: a tear in somebody else's log is not ours to mend.
  private static func checkLogID(of storage: any LogStorage, for store: StoreHeadRow) throws(StartError) {
    let logID: Identifier
    do throws(LogError) { logID = try LogReader(storage).epoch.logID } catch { throw .log(error) }
    guard store.logID == logID else { throw .otherLog(store: store.logID, log: logID) }
  }

  /// Before anything is written: the store's head, which nobody changes without the store key, names an entry and its
  /// hash, and so every entry before it. The history that it gives has met that entry alone.
  private static func checkNamedEntry(
    of storage: any LogStorage, for store: StoreHeadRow
  ) throws(StartError) -> StoreHistory {
    let history = try StoreHistory(finding: store.logSequence, in: storage)
    do throws(StartError) { try matchNamed(store, with: history) } catch {
      // why: a log that is wrong in itself says where, and a store of another time says so.
      _ = try match(store, with: StoreHistory(readingAll: storage, named: store.logSequence), logID: store.logID)
      throw error
    }
    return history
  }

  private static func matchNamed(_ store: StoreHeadRow, with history: StoreHistory) throws(StartError) {
    // why: a log that ends before it is another matter than one in which it is another.
    guard let leafHash = history.namedLeafHash else {
      throw .logRolledBack(storeGeneration: store.generation, logGeneration: history.lastState?.generation ?? 0)
    }
    guard leafHash == store.logLeafHash else { throw .logRewritten(sequence: store.logSequence) }
  }

  /// Reads the end of a store's log, and gives what it says of the store. Writes nothing.
  private static func examineLog(
    _ storage: any LogStorage, for store: StoreHeadRow, rootsAt sizes: [UInt64]
  ) throws(StartError) -> (log: LogWriter.Examined, history: StoreHistory) {
    try checkLogID(of: storage, for: store)
    var history = try checkNamedEntry(of: storage, for: store)
    do throws(LogError) {
      let known = KnownHead(sequence: store.logSequence)
      let examined = try LogWriter.examine(storage, knownHead: known, rootsAt: sizes) { history.take($0) }
      return (examined, history)
    } catch {
      guard case .corrupt(let fault, _) = error, fault.kind == .behindKnownHead else { throw .log(error) }
      history = try StoreHistory(readingAll: storage, named: store.logSequence)
      throw .logRolledBack(storeGeneration: store.generation, logGeneration: history.lastState?.generation ?? 0)
    }
  }

  private static func opened(
    _ examined: LogWriter.Examined, _ options: LogOptions, _ clock: LogClock,
    _ onPoisoned: @escaping @Sendable (StorageFailure) -> Void = { _ in }
  ) throws(StartError) -> (log: AuditLog, recovery: LogRecovery) {
    do throws(LogError) {
      let (writer, recovery) = try LogWriter.open(examined, options: options, clock: clock)
      return (AuditLog(writer, onPoisoned: onPoisoned), recovery)
    } catch { throw .log(error) }
  }

  // MARK: Store against log

  /// Writes the outcomes that a crash kept back.
  private func resolve(
    _ history: StoreHistory, holding heldIntent: StoreHistory.Intent?
  ) throws(StartError) -> [StartReport.Resolved] {
    var resolved: [StartReport.Resolved] = []
    for intent in history.open {
      let wasDone = intent.sequence == heldIntent?.sequence
      try note(recoveredOutcome(of: intent, wasDone: wasDone))
      resolved.append(.init(sequence: intent.sequence, wasDone: wasDone))
    }
    return resolved
  }

  /// Refuses a store and a log of different times. Gives the intent without an outcome that the store
  /// holds, if there is one.
  static func match(
    _ store: StoreHeadRow, with history: StoreHistory, logID: Identifier
  ) throws(StartError) -> StoreHistory.Intent? {
    let head = store
    guard store.logID == logID else { throw .otherLog(store: store.logID, log: logID) }
    let known = history.lastState?.generation ?? 0
    let heldIntent = history.open.first { $0.sequence == head.logSequence && $0.leafHash == head.logLeafHash }
    guard head.generation >= known else {
      throw .storeRolledBack(storeGeneration: head.generation, logGeneration: known)
    }
    if head.generation == known {
      guard head.root == history.lastState?.root else { throw .storeDiffers(generation: known) }
    } else {
      guard head.generation == known + 1, heldIntent != nil else {
        throw .logRolledBack(storeGeneration: head.generation, logGeneration: known)
      }
    }
    try matchNamed(store, with: history)
    return heldIntent
  }

  private func recoveredOutcome(of intent: StoreHistory.Intent, wasDone: Bool) -> AuditEntry {
    var entry = AuditEntry(.recovered, intent.operation)
    stamp(&entry)
    entry.outcome = wasDone ? .ok : .failed
    entry.tenant = intent.tenant
    entry.keyName = intent.keyName
    entry.requestID = intent.requestID
    entry.details = headDetails(intent: (intent.sequence, intent.leafHash))
    return entry
  }

  /// `policyFile` is what the policy was read from, for its hash.
  private func startEntry(_ policyFile: [UInt8]?) -> AuditEntry {
    var entry = serviceEntry(.serviceStart)
    if let policyFile { entry.details.append(.init(.policyHash, SHA256.hash(policyFile.span).bytes)) }
    entry.details.sort { $0.tag < $1.tag }
    return entry
  }

  private func note(_ entry: AuditEntry) throws(StartError) { _ = try Self.append(entry, to: log) }

  private static func append(_ entry: AuditEntry, to log: AuditLog) throws(StartError) -> AppendedEntry {
    do throws(AppendFailure) { return try log.appendAndWait(EntryDraft(entry)) } catch {
      throw .service(ServiceError(error))
    }
  }

  private static func appendOrStoreError(_ entry: AuditEntry, to log: AuditLog) throws(KeyStoreError)
    -> AppendedEntry
  {
    do throws(AppendFailure) { return try log.appendAndWait(EntryDraft(entry)) } catch {
      throw .database(code: 0, doing: "noting the new store in the log")
    }
  }

  private static func createEntry(
    _ entryClass: EntryClass, _ master: MasterKey, _ caller: Caller, _ tags: RequestTags, _ clock: LogClock
  ) -> AuditEntry {
    var entry = AuditEntry(entryClass, .storeCreate)
    caller.fill(&entry)
    tags.fill(&entry)
    entry.wall = clock.wall()
    entry.bootNanoseconds = clock.bootNanoseconds()
    entry.masterVersion = master.reference.version
    entry.details = [.init(.keyCheckValue, master.keyCheckValue.bytes)]
    return entry
  }
}
