internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineConfiguration
internal import ChatelaineCustody
internal import ChatelaineExits
internal import ChatelaineHardening
internal import ChatelaineKeyService
internal import ChatelaineVocabulary
internal import Glibc

extension Chatelained {
  private static let changesShownMax = 100

  /// Takes note of a loss that a start was refused for, and ends: the next start goes on without what is lost.
  func runAcknowledge(_ lost: LostRange, _ settings: ServiceConfiguration) throws {
    let found = try openKeyring(settings)
    let heads = try headSettings(settings)
    _ = confineFiles(settings, found)
    let (done, _) = try withKeyring(found) { keyring in
      let storage = try openLog(settings)
      return try KeyService.acknowledge(
        lost, storePath: settings.store, log: storage, options: LogOptions(settings), masterKeys: keyring.keys,
        refusedFiles: keyring.refused, keyringPath: settings.keyring.directory, heads: heads,
        by: .command(uid: getuid(), pid: UInt32(getpid())))
    }
    print("acknowledged  \(done.lost.text): \(done.lost.words) are lost")
    print("log           goes on as \(done.origin)")
    print("store         generation \(done.storeGeneration)")
    for one in done.closed {
      let what = one.key.map { "disabled      \(one.tenant.rawValue)/\($0.rawValue)" } ?? "frozen        \(one.tenant.rawValue)"
      print("\(what), as it was before the store was put back")
    }
    print("Start the service, look through what was lost, and tell who keeps heads of this log.")
    guard Hardening.hasOutputArrived() else { throw Failure(.inputOutput, "standard output cannot be written: \(Hardening.outputFault)") }
  }

  /// The log's directory, with the writer's lock; of the configuration's log.
  func openLog(_ settings: ServiceConfiguration) throws -> FileStorage {
    let storage: FileStorage
    do throws(StorageFailure) {
      storage = try FileStorage(path: settings.log.directory, exclusively: true)
    } catch { throw StartError.log(.storage(error)) }
    // why: before anything is written; what a start notes stays in the log.
    let name: String
    do throws(LogError) { name = try LogDirectory(storage).epoch.name } catch { throw StartError.log(error) }
    try checkName(settings, of: name)
    return storage
  }

  /// Runs `work`, and where it is refused for an older copy that was put back, says what is lost and how to go on.
  func tellingOfRollback<Result>(
    _ settings: ServiceConfiguration, _ keyring: KeyringContents, _ heads: HeadSettings?, _ storage: FileStorage,
    _ work: () throws -> Result
  ) throws -> Result {
    do { return try work() } catch let error as StartError {
      guard error.mayBeRollback, let rollback = try rollback(settings, keyring, heads, storage), let failure = Failure(error)
      else { throw error }
      for change in rollback.changes.prefix(Self.changesShownMax) { tell(change) }
      if rollback.changes.count > Self.changesShownMax {
        tellOperator("changes lost, more", [("count", "\(rollback.changes.count - Self.changesShownMax)")])
      }
      throw Failure(
        failure.status,
        "\(failure.sentence) Lost: \(rollback.lost.words). If it cannot be had, go on without it: chatelained --config \(printable(config))\(asStarted) --acknowledge-rollback \(rollback.lost.text)")
    }
  }

  /// What this start was told beside its configuration, and the next must be told too.
  private var asStarted: String {
    (allowRoot ? " --allow-root" : "") + (insecureExampleKeys ? " --insecure-example-keys" : "")
      + (passphraseDescriptor.map { " --passphrase-fd \($0)" } ?? "")
  }

  /// nil where it is none, for a reason that the refusal names already.
  private func rollback(
    _ settings: ServiceConfiguration, _ keyring: KeyringContents, _ heads: HeadSettings?, _ storage: FileStorage
  ) throws -> Rollback? {
    do throws(StartError) {
      return try KeyService.findRollback(
        storePath: settings.store, log: storage, masterKeys: keyring.keys, heads: heads)
    } catch {
      switch error {
      case .unsignedEpoch, .impossibleGeneration: throw error
      default: return nil
      }
    }
  }

  private func tell(_ change: LostChange) {
    let key = (change.tenant?.rawValue ?? AuditEntry.serviceTenant) + (change.keyName.map { "/" + $0.rawValue } ?? "")
    tellOperator(
      "change lost",
      [
        ("what", change.operation.word), ("of", key), ("at", change.wall.rfc3339), ("entry", change.place.text),
        ("generation", "\(change.generation)"),
      ])
  }
}

extension StartError {
  /// Store, log or heads of different times; what differs in content is none.
  fileprivate var mayBeRollback: Bool {
    switch self {
    case .storeRolledBack, .logRolledBack, .otherEpoch, .heads(.beyondLog), .heads(.laterEpoch): true
    default: false
    }
  }
}

extension LogOptions {
  init(_ settings: ServiceConfiguration) {
    self.init()
    segmentBytes = settings.log.segmentBytes
    firstSegmentBytes = settings.log.firstSegmentBytes
  }
}
