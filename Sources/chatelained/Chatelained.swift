internal import ArgumentParser
internal import CWipingFree
internal import ChatelaineAuditTrail
internal import ChatelaineConfiguration
internal import ChatelaineCustody
internal import ChatelaineExits
internal import ChatelaineHardening
internal import ChatelaineKeyService
internal import ChatelaineKeyStore
internal import Glibc

/// The service.
@main struct Chatelained: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "chatelained",
    abstract:
      "Keeps the keys. With --check: looks at keyring, store and log as a start would, and puts nothing into them.",
    discussion: """
      Exit status: 0 all is well; 64 wrong arguments; 65 the keyring, the store or the log is not as it was written, \
      or they do not belong together; 66 something is missing; 73 it cannot be written; 74 the disk fails; 75 another \
      service is using them; 77 permissions or passphrase; 78 the configuration or the machine.
      """)

  @Option(help: "The configuration (chatelaine.yaml); `chatelaine init` makes one.")
  var config: String

  @Option(
    name: .customLong("passphrase-fd"), help: "Read the keyring's passphrase from this file descriptor.")
  var passphraseDescriptor: Int32?

  @Flag(help: "Accept the example keyring, whose keys everybody knows, and no other.")
  var insecureExampleKeys = false

  @Flag(help: "Go on as root.")
  var allowRoot = false

  @Flag(help: "Check and end.")
  var check = false

  @Option(
    help: ArgumentHelp(
      "Go on without what is lost, as the refusal of a start names it: log, store or heads of different times. Ends when it is noted.",
      valueName: "lost"))
  var acknowledgeRollback: String?

  static func main() {
    Signals.hold()
    do {
      try Hardening.holdStandardDescriptors()
      // why: a file at RLIMIT_FSIZE is refused like a full disk; the default is death.
      signal(SIGXFSZ, SIG_IGN)
      // why: the configuration says what may be missing of the process's protection; it holds no secret.
      let settings = try settings(named: CommandLine.arguments)
      let measures = try Hardening.close(
        .init(
          allowed: allowances(CommandLine.arguments, settings), lockedBytesNeeded: 4 << 20,
          freeWipes: ch_wiping_free_is_linked() == 1))
      let command = try Chatelained.parse()
      guard let settings else { throw ValidationError("Give --config FILE.") }
      try command.run(settings, measures)
    } catch { end(error) }
  }

  private func run(_ settings: ServiceConfiguration, _ measures: [Measure]) throws {
    if check || acknowledgeRollback != nil { Signals.release() } else { Signals.endAtStop() }
    if accepts(exampleKeysOf: settings) { printError(Keyring.exampleWarning) }
    try checkPlaces(settings)
    try checkThreads(settings)
    if check { return try runCheck(settings, measures) }
    guard let text = acknowledgeRollback, let lost = LostRange(text) else { return try serve(settings, measures) }
    try runAcknowledge(lost, settings)
  }

  func validate() throws {
    guard acknowledgeRollback == nil || !check else { throw ValidationError("--check changes nothing: give one of the two.") }
    guard acknowledgeRollback.map({ LostRange($0) != nil }) ?? true else {
      throw ValidationError("Give --acknowledge-rollback what a start names as lost, such as log:1/104-1/119,9f3c21ab.")
    }
    guard passphraseDescriptor ?? 0 >= 0 else { throw ValidationError("A file descriptor is not negative.") }
  }

  // MARK: Before the command line is parsed, which is not the first thing that may run

  /// What the file after `--config` says, or nil where none is named.
  private static func settings(named arguments: [String]) throws -> ServiceConfiguration? {
    var path: String?
    for (index, argument) in arguments.enumerated() {
      if argument == "--config", index + 1 < arguments.count { path = arguments[index + 1] }
      if argument.hasPrefix("--config=") { path = String(argument.dropFirst(9)) }
    }
    guard let path else { return nil }
    return try ServiceConfiguration(ConfigurationFile.read(path), file: path, accounts: .system())
  }

  private static func allowances(_ arguments: [String], _ settings: ServiceConfiguration?)
    -> Hardening.Allowances
  {
    let mayBeRoot = !Set(arguments).isDisjoint(with: ["--allow-root", "--help", "-h"])
    var allowed: Hardening.Allowances = mayBeRoot ? .root : []
    for allowance in settings?.allow ?? [] {
      switch allowance {
      case .root: allowed.insert(.root)
      case .preload: allowed.insert(.preload)
      case .swap: allowed.insert(.swap)
      case .unlockedMemory: allowed.insert(.unlockedMemory)
      }
    }
    return allowed
  }

  // MARK: What check and service share

  func accepts(exampleKeysOf settings: ServiceConfiguration) -> Bool {
    insecureExampleKeys || settings.insecureExampleKeys
  }

  /// Opens what can be opened of the keyring that the configuration names: the store says later what is needed of it.
  func openKeyring(_ settings: ServiceConfiguration) throws -> KeyringContents {
    let ring = try Keyring(
      at: settings.keyring.directory,
      .init(insecureExampleKeys: accepts(exampleKeysOf: settings), storePath: settings.storeDirectory))
    let seals = Set(ring.examine().values.compactMap { try? $0.get().seal })
    guard seals.contains(.passphrase) else { return try ring.openEach(passphrase: nil) }
    let passphrase: Passphrase?
    do throws(PassphraseError) { passphrase = try readPassphrase(settings) } catch {
      // why: where nobody is to be asked, what needs no passphrase may be all that is needed.
      guard case .noTerminal = error, seals.contains(.file) else { throw error }
      passphrase = nil
    }
    return try ring.openEach(passphrase: passphrase)
  }

  /// Does `work` with the keyring that the store says is its own: files of another one may lie beside it.
  func withKeyring<Result>(
    _ keyring: KeyringContents, _ work: (KeyringContents) throws -> Result
  ) throws -> (Result, KeyringContents) {
    do { return (try work(keyring), keyring) } catch let error as StartError {
      // why: a keyring is compared with the store before anything is written.
      guard case .store(.masterKey(.otherKeyring(let store, _))) = error, let own = keyring.taken(as: store) else {
        throw error
      }
      return (try work(own), own)
    }
  }

  private func readPassphrase(_ settings: ServiceConfiguration) throws(PassphraseError) -> Passphrase {
    if let passphraseDescriptor { return try .read(from: .descriptor(passphraseDescriptor)) }
    if let credential = settings.keyring.passphraseCredential {
      return try .read(from: .credential(credential))
    }
    return try .read(from: .terminal(isNew: false))
  }
}

/// Ends with the error's one sentence and its status.
private func end(_ error: any Error) -> Never {
  guard let failure = Failure(error) else { Chatelained.exit(withError: error) }
  printError("chatelained: \(failure.sentence)")
  exit(failure.status.rawValue)
}

func printError(_ line: String) {
  let bytes = Array((line + "\n").utf8)
  _ = unsafe bytes.withUnsafeBytes { unsafe write(2, $0.baseAddress, $0.count) }
}
