internal import ArgumentParser
internal import ChatelaineCustody
internal import ChatelaineVocabulary

/// `chatelaine keyring`: the directory of master keys.
struct KeyringCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "keyring", abstract: "Makes and checks the directory of master keys.",
    subcommands: [KeyringInit.self, KeyringAdd.self, KeyringCheck.self, KeyringShow.self])
}

/// What every keyring command takes.
struct KeyringOptions: ParsableArguments {
  @Argument(help: "The keyring: a directory of its own.")
  var directory: String

  @Option(name: .customLong("store"), help: "The store's directory, which the keyring must lie apart from.")
  var storePath: String?

  @Flag(help: "Accept the example keyring, whose keys everybody knows, and no other.")
  var insecureExampleKeys = false

  @Flag(help: "Print one line of JSON.")
  var json = false

  @OptionGroup var closing: ClosingOptions

  /// Warns of example keys as soon as they are asked for.
  func rules() -> Keyring.Rules {
    if insecureExampleKeys { printError(Keyring.exampleWarning) }
    return Keyring.Rules(insecureExampleKeys: insecureExampleKeys, storePath: storePath)
  }
}

/// What may be missing that closes the process up. Looked for before the command line is parsed (`allowances`), and
/// declared here for its help.
struct ClosingOptions: ParsableArguments {
  @Flag(help: "Go on where memory cannot be locked.")
  var allowUnlockedMemory = false

  @Flag(help: "Go on where unlocked memory could be swapped.")
  var allowSwap = false

  @Flag(help: "Go on where LD_PRELOAD or LD_AUDIT is set.")
  var allowPreload = false
}

/// Where a passphrase comes from, if one is needed; without an option, from a prompt.
struct PassphraseOptions: ParsableArguments {
  @Option(name: .customLong("passphrase-fd"), help: "Read the passphrase from this file descriptor.")
  var descriptor: Int32?

  @Option(
    name: .customLong("passphrase-credential"), help: "Read the passphrase from this systemd credential.")
  var credential: String?

  func validate() throws {
    guard descriptor == nil || credential == nil else {
      throw ValidationError("--passphrase-fd and --passphrase-credential exclude each other.")
    }
    guard descriptor ?? 0 >= 0 else { throw ValidationError("A file descriptor is not negative.") }
  }

  var isGiven: Bool { descriptor != nil || credential != nil }

  func read(isNew: Bool) throws(PassphraseError) -> Passphrase {
    if let descriptor { return try .read(from: .descriptor(descriptor)) }
    if let credential { return try .read(from: .credential(credential)) }
    return try .read(from: .terminal(isNew: isNew))
  }

  /// The passphrase of a keyring with these files, or nil where none is sealed by one.
  func read(for headers: [KeyringFile.Header]) throws(PassphraseError) -> Passphrase? {
    guard headers.contains(where: { $0.seal == .passphrase }) else { return nil }
    return try read(isNew: false)
  }
}

/// What a passphrase is to cost whoever guesses it.
struct CostOptions: ParsableArguments {
  @Option(name: .customLong("argon2-memory-kib"), help: "Memory of Argon2id, 8192 to 1048576 KiB.")
  var memoryKiB: UInt32 = Argon2Cost.standard.memoryKiB

  @Option(name: .customLong("argon2-passes"), help: "Passes of Argon2id, 1 to 16.")
  var passes: UInt32 = Argon2Cost.standard.passes

  func validate() throws {
    guard Argon2Cost(memoryKiB: memoryKiB, passes: passes) != nil else {
      throw ValidationError("Argon2id takes 8192 to 1048576 KiB and 1 to 16 passes.")
    }
  }

  var cost: Argon2Cost { Argon2Cost(memoryKiB: memoryKiB, passes: passes) ?? .standard }
}

/// The seal as the command line spells it.
enum SealOption: String, ExpressibleByArgument, CaseIterable {
  case file
  case passphrase

  init(_ seal: KeyringFile.Seal) { self = seal == .file ? .file : .passphrase }

  var seal: KeyringFile.Seal { self == .file ? .file : .passphrase }
}
