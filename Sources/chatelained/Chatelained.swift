internal import ArgumentParser
internal import CWipingFree
internal import ChatelaineAuditLog
internal import ChatelaineCustody
internal import ChatelaineHardening
internal import ChatelaineKeyService
internal import ChatelaineKeyStore
internal import ChatelaineVocabulary
internal import Glibc

/// The service. Its doors are not built yet: until then it does what a start does before the first door
/// opens, reports it, and ends.
@main struct Chatelained: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "chatelained",
    abstract: "Checks keyring, key store and log as a start would, and puts nothing into them.",
    discussion: """
      Exit status: 0 all is well; 64 wrong arguments; 65 the store or the log is not as it was written, or they \
      do not belong together; 66 something is missing; 75 a service is using them; 77 permissions or passphrase; 78 the machine.
      """)

  @Option(help: "The keyring's directory.")
  var keyring: String

  @Option(help: "The key store.")
  var store: String

  @Option(help: "The log's directory.")
  var log: String

  @Option(name: .customLong("passphrase-fd"), help: "Read the keyring's passphrase from this file descriptor.")
  var passphraseDescriptor: Int32?

  @Option(name: .customLong("passphrase-credential"), help: "Read the passphrase from this systemd credential.")
  var passphraseCredential: String?

  @Flag(help: "Accept the example keyring, whose keys everybody knows, and no other.")
  var insecureExampleKeys = false

  @Flag(help: "Go on as root.")
  var allowRoot = false

  @Flag(help: "Check and end. The only thing this version does.")
  var check = false

  static func main() {
    do {
      var allowed: Hardening.Allowances = []
      // why: read before the command line is parsed, because parsing is not the first thing that may run.
      if CommandLine.arguments.contains("--allow-root") { allowed.insert(.root) }
      let measures = try Hardening.close(
        .init(allowed: allowed, lockedBytesNeeded: 4 << 20, freeWipes: ch_wiping_free_is_linked() == 1))
      let command = try Chatelained.parse()
      for measure in measures { print("\(measure.isHeld ? "held    " : "NOT HELD") \(measure.name): \(measure.detail)") }
      try command.run()
    } catch { fail(error) }
  }

  func validate() throws {
    guard check else { throw ValidationError("This version has no doors to open: give --check.") }
    guard passphraseDescriptor == nil || passphraseCredential == nil else {
      throw ValidationError("--passphrase-fd and --passphrase-credential exclude each other.")
    }
  }

  func run() throws {
    if insecureExampleKeys { printError(Keyring.exampleWarning) }
    let ring = try Keyring(
      at: keyring, .init(insecureExampleKeys: insecureExampleKeys, storePath: storeDirectory))
    let passphrase = try ring.headers().contains { $0.seal == .passphrase } ? readPassphrase() : nil
    let keys = try ring.open(passphrase: passphrase)
    print("keyring  \(keys.keyringID.hex), versions \(keys.keys.map { "\($0.reference.version)" }.joined(separator: " "))")
    let storage: FileStorage
    do throws(StorageFailure) { storage = try FileStorage(path: log, exclusively: true) } catch {
      throw StartError.log(.storage(error))
    }
    let report = try KeyService.check(storePath: store, log: storage, masterKeys: keys)
    print("store    generation \(report.storeGeneration), \(report.records) records hold")
    print("log      \(report.logName)/\(report.logID.hex), \(report.entries) entries hold")
    if case .torn(let count, _) = report.logEnd.tail {
      print("log      ends in an interrupted write of \(count) bytes: the next start mends it")
    }
    if report.openIntents > 0 { print("log      \(report.openIntents) changes without an outcome: the next start resolves them") }
    print("all is well")
  }

  private var storeDirectory: String {
    guard let slash = store.lastIndex(of: "/") else { return "." }
    return slash == store.startIndex ? "/" : String(store[..<slash])
  }

  private func readPassphrase() throws(PassphraseError) -> Passphrase {
    if let passphraseDescriptor { return try .read(from: .descriptor(passphraseDescriptor)) }
    if let passphraseCredential { return try .read(from: .credential(passphraseCredential)) }
    return try .read(from: .terminal(isNew: false))
  }
}

/// Every error's sentence and exit status, in one place.
private func fail(_ error: any Error) -> Never {
  let (status, sentence): (Int32, String) =
    switch error {
    case let error as KeyringError: (77, error.sentence)
    case let error as PassphraseError: (77, error.sentence)
    case let error as HardeningError: (78, error.sentence)
    case let error as StartError: (error.exitStatus, error.sentence)
    default: Chatelained.exit(withError: error)
    }
  printError("chatelained: \(sentence)")
  exit(status)
}

extension StartError {
  fileprivate var exitStatus: Int32 {
    switch self {
    case .log(.storage(let failure)) where failure.call == .lock: 75
    case .log(.storage), .store(.missing): 66
    case .log(.corrupt), .store(.tampered), .store(.rootMismatch), .otherLog, .storeRolledBack, .logRolledBack,
      .storeDiffers:
      65
    case .store, .service, .selfTest: 78
    }
  }
}

private func printError(_ line: String) {
  let bytes = Array((line + "\n").utf8)
  _ = unsafe bytes.withUnsafeBytes { unsafe write(2, $0.baseAddress, $0.count) }
}
