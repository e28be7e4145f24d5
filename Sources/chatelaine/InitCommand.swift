internal import ArgumentParser
internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineConfiguration
internal import ChatelaineCustody
internal import ChatelaineExits
internal import ChatelaineKeyService
internal import ChatelaineVocabulary
internal import Foundation
internal import Glibc

/// `chatelaine init`: everything that a service needs, in one new directory.
struct InitCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "init",
    abstract: "Makes a service's directory: configuration, policy, keyring, store, log.",
    discussion: """
      The directory is there whole or not at all. Exit status: 0 made; 64 wrong arguments; 65 passphrase; 73 it cannot \
      be made there; 74 the disk; 75 another init is making it; 77 permissions; 78 the machine.
      """)

  @Argument(help: "A directory that does not exist, or is empty.")
  var directory: String

  @Option(help: "What keeps the master key: file, passphrase.")
  var seal: SealOption = .file

  @OptionGroup var passphrase: PassphraseOptions
  @OptionGroup var cost: CostOptions

  @Option(help: "The log's name, 1 to 128 of A-Z a-z 0-9 . _ -: it stands in its signed heads for good.")
  var logName = "chatelaine"

  @Option(help: "The user, by name or number, whose programs may encrypt and decrypt; without it, you.")
  var appUser: String?

  @Option(
    name: .customLong("insecure-example-keys"),
    help: ArgumentHelp(
      "Use the example keyring in this directory, whose keys everybody knows, instead of making one.",
      valueName: "directory"))
  var exampleKeys: String?

  @Flag(help: "Print one line of JSON.")
  var json = false

  @OptionGroup var closing: ClosingOptions

  func validate() throws {
    guard seal == .passphrase || !passphrase.isGiven else {
      throw ValidationError("A passphrase goes with --seal passphrase.")
    }
    guard exampleKeys == nil || seal == .file else {
      throw ValidationError("The example keys are sealed by nothing: leave --seal away.")
    }
    guard ServiceConfiguration.isLogName(logName) else {
      throw ValidationError("A log's name is 1 to 128 of A-Z a-z 0-9 . _ -")
    }
  }

  func run() throws {
    var files = InitFiles(
      logName: logName, uid: getuid(), application: try application(),
      credential: seal == .passphrase ? passphrase.credential : nil)
    files.exampleKeys = try exampleKeys.map(absolute)
    if exampleKeys != nil { printError(Keyring.exampleWarning) }
    let place = try NewDirectory(at: directory)
    try checkSocketPaths(place.path)
    let secret = seal == .passphrase ? try passphrase.read(isNew: true) : nil
    for leftover in try place.leftovers() {
      printError(
        "chatelaine: \(printable(leftover)) is left over from an interrupted init, and nothing uses it: remove it"
      )
    }
    let made = try place.fill { path in try make(files, in: path, secret) }
    let report = InitReport(directory: place.path, key: made.master, logKey: made.logKey, seal: seal, files: files)
    print(report.rendered(json: json))
  }

  /// why: a service in a place where its sockets cannot be would be found out only at its start.
  private func checkSocketPaths(_ directory: String) throws {
    let above = directory.hasPrefix("/") ? "" : FileManager.default.currentDirectoryPath + "/"
    let count = "\(above)\(directory)/\(InitFiles.longestSocketPath)".utf8.count
    guard count > ConfigurationError.socketPathBytesMax else { return }
    throw Failure(
      .usage,
      "\(printable(directory)): a socket there would have a path of \(count) bytes, and \(ConfigurationError.socketPathBytesMax) are the most: choose a shorter one, nothing was written"
    )
  }

  /// Whom the policy calls the application, or nil for the user who runs this.
  private func application() throws -> InitFiles.Application? {
    guard let appUser else { return nil }
    let known = AccountNames.system().uid(ofUser: appUser)
    guard let uid = known ?? UInt32(appUser), uid != .max else {
      throw ValidationError(
        "There is no user \(printable(appUser)) in /etc/passwd: name another, or give a number.")
    }
    guard uid != getuid() else {
      throw ValidationError(
        "--app-user is for another user than the one who runs the service: leave it away.")
    }
    return .init(uid: uid, principal: known == nil ? "uid:\(uid)" : "user:\(appUser)")
  }

  private func make(
    _ files: InitFiles, in path: String, _ secret: Passphrase?
  ) throws -> (master: MasterKey, logKey: NoteKey) {
    try NewDirectory.makeFolder(path + "/store", mode: 0o700)
    try NewDirectory.makeFolder(path + "/log", mode: 0o700)
    try NewDirectory.makeFolder(path + "/run", mode: files.folderMode)
    try NewDirectory.makeFolder(path + "/signing", mode: 0o700)
    let keys = try masterKeys(files, in: path, secret)
    let storage: FileStorage
    do throws(StorageFailure) { storage = try FileStorage(path: path + "/log", exclusively: true) } catch {
      throw StartError.log(.storage(error))
    }
    try KeyService.initialize(
      storePath: path + "/store/keys.sqlite", log: storage, logName: logName, masterKeys: keys,
      caller: .command(uid: getuid(), pid: UInt32(getpid())))
    try NewDirectory.write(files.policy, to: path + "/policy.yaml", mode: files.fileMode)
    try NewDirectory.write(files.configuration, to: path + "/chatelaine.yaml", mode: files.fileMode)
    try NewDirectory.setMode(path, files.folderMode)
    let signing = try SigningKey.create(
      at: path + "/" + InitFiles.signingKey, created: LogClock.system.wall(),
      insecureExampleKeys: files.exampleKeys != nil)
    let origin = try LogDirectory(storage).epoch.origin
    return (keys.newest, NoteKey(name: origin, publicKey: signing.publicKey))
  }

  /// Of a keyring that is made, or of the example's.
  private func masterKeys(_ files: InitFiles, in path: String, _ secret: Passphrase?) throws -> MasterKeySet {
    let rules = Keyring.Rules(insecureExampleKeys: files.exampleKeys != nil, storePath: path + "/store")
    if let directory = files.exampleKeys { return try Keyring(at: directory, rules).open(passphrase: nil) }
    let new = Keyring.NewVersion(seal: seal.seal, cost: cost.cost, created: LogClock.system.wall())
    _ = try Keyring.create(at: path + "/keyring", rules, new, passphrase: secret)
    return try Keyring(at: path + "/keyring", rules).open(passphrase: secret)
  }

  private func absolute(_ path: String) throws -> String {
    guard let whole = unsafe realpath(path, nil) else {
      throw ValidationError("There is no directory \(printable(path)).")
    }
    defer { unsafe free(whole) }
    return unsafe String(cString: whole)
  }
}
