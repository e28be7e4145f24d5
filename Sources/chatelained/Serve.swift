internal import ChatelaineAccessPolicy
internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineConfiguration
internal import ChatelaineCustody
internal import ChatelaineDoors
internal import ChatelaineExits
internal import ChatelaineHardening
internal import ChatelaineKeyService
internal import ChatelaineKeyStore
internal import ChatelaineTokens
internal import ChatelaineVocabulary
internal import CWipingFree
internal import Glibc

extension Chatelained {
  static let version = "0.3.0"
  /// Freed memory that stays with the process for the next requests.
  private static let freedBytesKept = 64 << 20

  /// Policy, keyring, files confined, store and log each against the other, doors, system calls confined; then
  /// signals until the end.
  func serve(_ settings: ServiceConfiguration, _ measures: [Measure]) throws {
    let budget = try descriptorBudget(settings)
    let (data, admin) = (DoorSocket(settings.dataSocket), DoorSocket(settings.adminSocket))
    let http = settings.httpSocket.map { DoorSocket($0) }
    let all = settings.sockets.map { DoorSocket($0) }
    let passed: PassedSockets
    do throws(DoorError) { passed = try .take(for: all) } catch { throw Failure(error) }
    let rules = try readPolicy(settings)
    let found = try openKeyring(settings)
    let heads = try headSettings(settings)
    let tcp = try bindListeners(settings, readTLS(settings))
    let signals = Signals()
    // why: before the first thread, for Landlock binds those that come after it.
    var measures = measures + [confineFiles(settings, found, rules.tokens)]
    let sockets = all.filter { passed.byPath[$0.path] == nil }
    let ((service, report), keyring) = try withKeyring(found) {
      try open(settings, $0, heads, rules, sockets: sockets)
    }
    tell("open", report, service)
    guard !signals.isStopWaiting else { return stop(service) }
    let facts = try Facts(settings, keyring.keys.keyringID, measures, service, budget)
    let doors: Doors
    do {
      doors = try Doors.open(
        service, data: data, admin: admin, http: http, tcp: tcp, eventLoops: settings.eventLoops,
        keysAtHandMax: settings.keysAtHand, limits: DoorLimits(settings, connectionsMax: budget.data),
        adminLimits: DoorLimits(settings, connectionsMax: budget.admin),
        httpLimits: DoorLimits(settings, connectionsMax: budget.http), softwareVersion: Self.version, passed: passed
      ) { facts.now() }
    } catch {
      service.close()
      throw (error as? DoorError).map(Failure.init) ?? error
    }
    let systemCalls = Hardening.confineSystemCalls()
    measures.append(systemCalls)
    facts.note(systemCalls)
    for measure in measures where !measure.isHeld {
      tellOperator("not held", [("measure", measure.name.rawValue), ("detail", measure.detail)])
    }
    if let bound = budget.sentence(settings) { tellOperator("connections bounded", [("why", bound)]) }
    let places = [("data", settings.dataSocket.path), ("admin", settings.adminSocket.path)]
    let listeners = settings.listeners.map { ($0.name, $0.listener.address.text) }
    tellOperator("serving", places + (http.map { [("http", $0.path)] } ?? []) + listeners)
    var (faults, looks) = ([MasterFileFault](), 0)
    signals.forEachUntilStop(every: 5) {
      ch_give_back(Self.freedBytesKept)
      looks += 1
      if looks.isMultiple(of: 12) { tellMasterFiles(service, since: &faults) }
    } reload: {
      reloadPolicy(settings, service, facts)
      reloadTLS(settings, doors, facts)
    }
    stop(service, doors)
  }

  private func stop(_ service: KeyService, _ doors: Doors? = nil) {
    tellOperator("stopping", [])
    doors?.close()
    service.close()
    tellOperator("stopped", [])
  }

  func confineFiles(
    _ settings: ServiceConfiguration, _ keyring: KeyringContents, _ tokens: AcceptedTokens? = nil
  ) -> Measure {
    let writable = ([settings.store] + settings.sockets.map(\.path)).map(directoryAbove)
    let system = ["/etc", "/usr", "/lib", "/lib64", "/proc"]
    let tls = Set(settings.listeners.flatMap(\.listener.tls.paths).map(directoryAbove)).sorted()
    let readable = [directoryAbove(settings.policy), settings.keyring.directory] + tls + system + (tokens?.directories ?? [])
    return Hardening.confineFiles(
      writable: writable + [settings.log.directory] + (settings.log.anchor.map { [directoryAbove($0)] } ?? []),
      addable: makesVersions(settings, keyring) ? [settings.keyring.directory] : [], readable: readable)
  }

  /// A passphrase is not kept, and the example's keys are what they are.
  private func makesVersions(_ settings: ServiceConfiguration, _ keyring: KeyringContents) -> Bool {
    settings.keyring.newVersions == .service && !accepts(exampleKeysOf: settings)
      && keyring.headers.contains { $0.seal == .file }
  }

  /// `sockets` are those that are to be made: whether they can be is seen before the log has an entry of this start.
  private func open(
    _ settings: ServiceConfiguration, _ keyring: KeyringContents, _ heads: HeadSettings?,
    _ rules: (policy: AccessPolicy, file: [UInt8], tokens: AcceptedTokens), sockets: [DoorSocket]
  ) throws -> (KeyService, StartReport) {
    let storage = try openLog(settings)
    try checkSockets(sockets, asking: true)
    let place = KeyringPlace(
      path: settings.keyring.directory, rules: .init(insecureExampleKeys: accepts(exampleKeysOf: settings)))
    return try tellingOfRollback(settings, keyring, heads, storage) {
      try KeyService.open(
        storePath: settings.store, log: storage, options: LogOptions(settings), masterKeys: keyring.keys,
        refusedFiles: keyring.refused, policy: rules.policy, policyFile: rules.file,
        tokens: rules.tokens.rules,
        keyring: ServiceKeyring(place, makesVersions: makesVersions(settings, keyring)), heads: heads,
        onPoisoned: Self.endAfterFailedSync, onRefusing: Self.tellOfRefusing
      ) { fault in
        tellOperator("fault", [("times", "\(fault.times)"), ("what", fault.sentence)])
      }
    }
  }

  /// The key that signs the log's heads is read before files are confined, and kept.
  func headSettings(_ settings: ServiceConfiguration) throws(SigningKeyError) -> HeadSettings? {
    guard let path = settings.log.signingKey else { return nil }
    let key = try SigningKey.load(path, insecureExampleKeys: accepts(exampleKeysOf: settings))
    return HeadSettings(key: key, anchor: settings.log.anchor) { problem in
      guard let problem else { return tellOperator("heads are signed again", []) }
      tellOperator("heads are not signed", [("why", problem)])
    }
  }

  /// On the log's own thread, when every waiting call was refused. What the disk holds is known only after a start
  /// has read it again.
  private static func endAfterFailedSync(_ failure: StorageFailure) {
    tellOperator("the log's disk failed: ending", [("call", failure.call.rawValue), ("reason", failure.reason)])
    usleep(200_000)  // for the refusals to leave
    _exit(ExitStatus.inputOutput.rawValue)
  }

  private static func tellOfRefusing(_ failure: StorageFailure?) {
    guard let failure else { return tellOperator("the log takes entries again", []) }
    tellOperator("the log refuses", [("why", failure.refusalSentence)])
  }

  private func tell(_ event: String, _ report: StartReport, _ service: KeyService) {
    let head = service.logHead
    tellOperator(
      event,
      [
        ("log", "\(head.epoch.name)/\(head.epoch.logID.hex)"), ("entries", "\(head.nextSequence)"),
        ("store-generation", "\(service.storeHead.generation)"), ("resolved", "\(report.resolved.count)"),
        ("recovery", report.recovery.words),
      ])
    tell(report.masters)
  }

  private func tell(_ masters: MasterReport) {
    for version in masters.unknown {
      tellOperator("master key not used: the store does not know it", [("version", "\(version)")])
    }
    for version in masters.retired {
      tellOperator("master key retired, its file is still in the keyring", [("version", "\(version)")])
    }
    for fault in masters.faults {
      tellOperator("master key not used: its file is refused", [("version", "\(fault.version)"), ("why", fault.sentence)])
    }
    if let version = masters.pending {
      tellOperator("master key waits to be committed", [("version", "\(version)")])
    }
    if let version = masters.lost {
      tellOperator("master key waited to be committed, and its file is gone", [("version", "\(version)")])
    }
  }

  /// What went wrong with the file of a master key in use, once; and that it is mended.
  private func tellMasterFiles(_ service: KeyService, since told: inout [MasterFileFault]) {
    let found = service.neededFileFaults()
    for fault in found where !told.contains(fault) {
      tellOperator(
        "master key in use: the next start would refuse its file",
        [("version", "\(fault.version)"), ("why", fault.sentence)])
    }
    for fault in told where !found.contains(where: { $0.version == fault.version }) {
      tellOperator("master key in use: its file is as it should be again", [("version", "\(fault.version)")])
    }
    told = found
  }

  private func reloadPolicy(_ settings: ServiceConfiguration, _ service: KeyService, _ facts: Facts) {
    var file: [UInt8]?
    let refusal: String
    do {
      let bytes = try ConfigurationFile.read(settings.policy)
      file = bytes
      // why: rules name tokens, so both are taken, or neither.
      let tokens = try AcceptedTokens(settings).rules
      let policy = try PolicyFile.parse(bytes, file: settings.policy, accounts: .system(), tokens: tokens.names)
      _ = try service.reloadPolicy(policy, tokens: tokens, file: bytes, by: .service, RequestTags())
      facts.notePolicy(refusedBecause: nil)
      let taken = settings.tokens == nil ? [] : [("tokens", "\(tokens.issuers.count + tokens.statics.count)")]
      return tellOperator("policy reloaded", [("rules", "\(policy.rules.count)")] + taken)
    } catch let error as ConfigurationError {
      refusal = error.sentence
      // why: where the log takes no entry it says so itself.
      _ = try? service.noteRefusedPolicy(file: file, by: .service, RequestTags())
    } catch let error as ServiceError { refusal = error.sentence } catch { refusal = "\(error)" }
    facts.notePolicy(refusedBecause: refusal)
    tellOperator("policy not reloaded, the old one stays", [("why", refusal)])
  }
}

/// With the log's lock held: then nobody who answers at a socket is a service of this configuration.
func checkSockets(_ sockets: [DoorSocket], asking: Bool) throws(Failure) {
  do throws(DoorError) { for socket in sockets { try socket.checkPlace(asking: asking) } } catch { throw Failure(error) }
}

extension Failure {
  init(_ error: DoorError) {
    let status: ExitStatus =
      switch error {
      case .pathTooLong, .noListener, .strayListener: .configuration
      case .inUse, .notKnownStale, .address(_, EADDRINUSE): .busy
      case .notASocket, .failed, .address: .cannotCreate
      }
    self.init(status, printable(error.sentence))
  }
}

extension LogRecovery {
  fileprivate var words: String { tear.map { "tear of \($0.byteCount) bytes in \($0.quarantineFile)" } ?? "none" }
}

extension DoorSocket {
  init(_ socket: ServiceConfiguration.Socket) {
    self.init(path: socket.path, mode: socket.mode, gid: socket.gid)
  }
}

extension DoorLimits {
  /// One user's share stays what it is of the whole.
  fileprivate init(_ settings: ServiceConfiguration, connectionsMax: Int) {
    self.init()
    self.connectionsMax = connectionsMax
    connectionsPerCallerMax = max(1, settings.connectionsPerUserMax * connectionsMax / settings.connectionsMax)
  }
}
