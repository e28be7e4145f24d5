package import ChatelaineAccessPolicy
package import ChatelaineAuditLog
internal import ChatelaineAuditTrail
package import ChatelaineCustody
internal import ChatelaineEnvelopes
internal import ChatelaineKeyStore
internal import ChatelainePrimitives
internal import ChatelaineSecretMemory
package import ChatelaineTokens
internal import ChatelaineVocabulary

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
    policy: AccessPolicy = .empty, policyFile: [UInt8]? = nil, tokens: TokenRules = .none, clock: LogClock = .system,
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
    try nameAcknowledgedEpoch(of: examined.row, in: storage)
    let signed = try heads.map { heads throws(StartError) in try SignedHeads(heads, of: storage) }
    let (examinedLog, newest) = try examineLog(storage, for: examined.row, rootsAt: signed?.sizes ?? [])
    try signed?.check(examinedLog)
    // why: the newest segment may begin after the intent of the store's last change.
    let isTold = newest.lastState?.generation == examined.head.generation
    let history = isTold ? newest : try StoreHistory(readingAll: storage, named: examined.head.logPlace.sequence)
    let heldIntent = try match(examined.row, with: history, logID: examinedLog.epoch.logID)
    // why: only now, for opening a log mends its end, and opening a store takes its journal in and may change its tables.
    let (log, recovery) = try opened(examinedLog, options, clock, onPoisoned)
    do throws(StartError) {
      let store = try opened(examined)
      do throws(StartError) {
        let service = KeyService(
          store: store, log: log, logFiles: storage, masterKeys: masters.usable(of: masterKeys), policy: policy,
          tokens: tokens, clock: clock,
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

  static func opened(_ examined: consuming KeyStore.Examined) throws(StartError) -> KeyStore {
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
  private static func checkEpoch(of storage: any LogStorage, for store: StoreHeadRow) throws(StartError) {
    let epoch: EpochDescriptor
    do throws(LogError) { epoch = try LogReader(storage).epoch } catch { throw .log(error) }
    try matchEpoch(store, with: epoch)
  }

  /// The store's last change is in the log's newest epoch: an acknowledgement is a change, too.
  static func matchEpoch(_ store: StoreHeadRow, with epoch: EpochDescriptor) throws(StartError) {
    guard store.logID == epoch.logID else { throw .otherLog(store: store.logID, log: epoch.logID) }
    guard store.logPlace.epoch == epoch.epoch else {
      throw .otherEpoch(store: store.logPlace.epoch, log: epoch.epoch)
    }
  }

  /// Before anything is written: the store's head, which nobody changes without the store key, names an entry and its
  /// hash, and so every entry before it. The history that it gives has met that entry alone.
  private static func checkNamedEntry(
    of storage: any LogStorage, for store: StoreHeadRow
  ) throws(StartError) -> StoreHistory {
    let history = try StoreHistory(finding: store.logPlace.sequence, in: storage)
    do throws(StartError) { try matchNamed(store, with: history) } catch {
      // why: a log that is wrong in itself says where, and a store of another time says so.
      _ = try match(store, with: StoreHistory(readingAll: storage, named: store.logPlace.sequence), logID: store.logID)
      throw error
    }
    return history
  }

  static func matchNamed(_ store: StoreHeadRow, with history: StoreHistory) throws(StartError) {
    // why: a log that ends before it is another matter than one in which it is another.
    guard let leafHash = history.namedLeafHash else {
      throw .logRolledBack(storeGeneration: store.generation, logGeneration: history.lastState?.generation ?? 0)
    }
    guard leafHash == store.logLeafHash else { throw .logRewritten(sequence: store.logPlace.sequence) }
  }

  /// Reads the end of a store's log, and gives what it says of the store. Writes nothing.
  private static func examineLog(
    _ storage: any LogStorage, for store: StoreHeadRow, rootsAt sizes: [UInt64]
  ) throws(StartError) -> (log: LogWriter.Examined, history: StoreHistory) {
    try checkEpoch(of: storage, for: store)
    var history = try checkNamedEntry(of: storage, for: store)
    do throws(LogError) {
      let known = KnownHead(sequence: store.logPlace.sequence)
      let examined = try LogWriter.examine(storage, knownHead: known, rootsAt: sizes) { history.take($0) }
      return (examined, history)
    } catch {
      guard case .corrupt(let fault, _) = error, fault.kind == .behindKnownHead else { throw .log(error) }
      history = try StoreHistory(readingAll: storage, named: store.logPlace.sequence)
      throw .logRolledBack(storeGeneration: store.generation, logGeneration: history.lastState?.generation ?? 0)
    }
  }

  static func opened(
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
    let heldIntent = history.open.first { $0.sequence == head.logPlace.sequence && $0.leafHash == head.logLeafHash }
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
    entry.add(tokens.details)
    return entry
  }

  private func note(_ entry: AuditEntry) throws(StartError) { _ = try Self.append(entry, to: log) }

  static func append(_ entry: AuditEntry, to log: AuditLog) throws(StartError) -> AppendedEntry {
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
