internal import ChatelaineAccessPolicy
internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineConfiguration
internal import ChatelaineCustody
internal import ChatelaineDoors
internal import ChatelaineExits
internal import ChatelaineHardening
internal import ChatelaineKeyService
internal import ChatelaineTLS
internal import ChatelaineTokens
internal import ChatelaineVocabulary
internal import Glibc

extension Chatelained {
  /// Does what a start does before its first door opens and more, and reports it.
  func runCheck(_ settings: ServiceConfiguration, _ measures: [Measure]) throws {
    for measure in measures {
      print("\(measure.isHeld ? "held    " : "NOT HELD") \(measure.name.rawValue): \(measure.detail)")
    }
    if let bound = try descriptorBudget(settings).sentence(settings) { print("doors    \(bound)") }
    let (policy, _, tokens) = try readPolicy(settings)
    print(
      "policy   \(policy.rules.count) rules\(policy.combinedRoles ? ", roles may be combined: for trying things out" : "")"
    )
    let contexts = try readTLS(settings)
    for (name, listener) in settings.listeners {
      let days = (contexts[name]?.secondsLeft ?? 0) / 86_400
      print("\(name) \(listener.address.text), its certificate ends in \(days) days")
    }
    if settings.tokens != nil {
      print("tokens   \(tokens.rules.issuers.count) issuers, \(tokens.rules.statics.count) static")
    }
    let found = try openKeyring(settings)
    let heads = try headSettings(settings)
    let storage: FileStorage
    do throws(StorageFailure) {
      storage = try FileStorage(path: settings.log.directory, for: .checking)
    } catch {
      throw StartError.log(.storage(error))
    }
    // why: who connects to a service manager's socket starts the service.
    try checkSockets(settings.sockets.map { DoorSocket($0) }, asking: false)
    let (report, keyring) = try withKeyring(found) { keyring in
      try tellingOfRollback(settings, keyring, heads, storage) {
        try KeyService.check(
          storePath: settings.store, log: storage, masterKeys: keyring.keys, refusedFiles: keyring.refused,
          keyringPath: settings.keyring.directory, heads: heads)
      }
    }
    let keys = keyring.keys
    print(
      "keyring  \(keys.keyringID.hex), versions \(keys.keys.map { "\($0.reference.version)" }.joined(separator: " "))"
    )
    try checkName(settings, of: report.logName)
    describe(report)
    print("all is well")
    guard Hardening.hasOutputArrived() else { throw Failure(.inputOutput, "standard output cannot be written: \(Hardening.outputFault)") }
  }

  /// The policy, the file that it stands in, and the tokens that it may name.
  func readPolicy(
    _ settings: ServiceConfiguration
  ) throws(ConfigurationError) -> (AccessPolicy, file: [UInt8], tokens: AcceptedTokens) {
    let file = try ConfigurationFile.read(settings.policy)
    let tokens = try AcceptedTokens(settings)
    let policy = try PolicyFile.parse(file, file: settings.policy, accounts: .system(), tokens: tokens.rules.names)
    return (policy, file, tokens)
  }

  /// The configuration of one service does not run with the log of another.
  func checkName(_ settings: ServiceConfiguration, of log: String) throws(Failure) {
    guard settings.log.name == log else {
      throw Failure(
        .configuration,
        "\(printable(settings.log.directory)): the log's name is \(printable(log)) and the configuration says \(printable(settings.log.name)): name the right log, or mend 'log.name'"
      )
    }
  }

  private func describe(_ report: CheckReport) {
    print("store    generation \(report.storeGeneration), \(report.records) records hold")
    print("log      \(report.logName)/\(report.logID.hex), \(report.entries) entries hold")
    if case .torn(let count, _) = report.logEnd.tail {
      print("log      ends in an interrupted write of \(count) bytes: the next start mends it")
    }
    if let heads = report.heads { print("heads    \(heads) hold") }
    for lost in report.acknowledged { print("log      a loss was acknowledged: \(lost.words)") }
    for fault in report.masters.faults {
      print("keyring  version \(fault.version) is not used: \(fault.sentence)")
    }
    if report.openIntents > 0 {
      print("log      \(report.openIntents) changes without an outcome: the next start resolves them")
    }
  }
}

/// The tokens that the configuration names, and the directories of their files; none where it names none.
struct AcceptedTokens {
  let rules: TokenRules
  let directories: [String]

  init(_ settings: ServiceConfiguration) throws(ConfigurationError) {
    guard let path = settings.tokens else {
      (rules, directories) = (.none, [])
      return
    }
    let file = try TokensFile(reading: path)
    (rules, directories) = (file.rules, ([path] + file.keySets).map(directoryAbove))
  }
}
