internal import ArgumentParser
internal import ChatelaineAuditLog
internal import ChatelaineCustody
internal import ChatelaineVocabulary

/// `chatelaine keyring init`: a new keyring with version 1 of its master key.
struct KeyringInit: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "init", abstract: "Makes a keyring with its first master key.")

  @OptionGroup var keyring: KeyringOptions
  @Option(help: "What keeps the master key: file, passphrase.")
  var seal: SealOption = .file
  @OptionGroup var passphrase: PassphraseOptions
  @OptionGroup var cost: CostOptions

  func validate() throws {
    guard seal == .passphrase || !passphrase.isGiven else {
      throw ValidationError("A passphrase goes with --seal passphrase.")
    }
  }

  func run() throws {
    let rules = keyring.rules()
    try Keyring.checkAbsent(at: keyring.directory, rules)
    let new = Keyring.NewVersion(seal: seal.seal, cost: cost.cost, created: LogClock.system.wall())
    let key = try Keyring.create(
      at: keyring.directory, rules, new, passphrase: seal == .passphrase ? passphrase.read(isNew: true) : nil)
    print(NewKeyReport(key: key, seal: seal, directory: keyring.directory).rendered(json: keyring.json))
  }
}

/// What `init` and `add` tell of the key they made.
struct NewKeyReport {
  let key: MasterKey
  let seal: SealOption
  let directory: String

  func rendered(json: Bool) -> String {
    let file = directory + "/" + Keyring.fileName(key.reference.version)
    guard !json else {
      return JSON.object([
        ("file", .string(file)), ("keyringId", .string(key.reference.id.hex)),
        ("version", .number(UInt64(key.reference.version))), ("seal", .string(seal.rawValue)),
        ("createdNs", .string(String(key.created.nanoseconds))), ("created", .string(key.created.rfc3339)),
        ("keyCheckValue", .string(key.keyCheckValue.hex)),
      ]).text
    }
    return """
      made             \(printable(file))
      keyring          \(key.reference.id.hex)
      version          \(key.reference.version)
      seal             \(seal.rawValue)
      key check value  \(key.keyCheckValue.hex)
      Keep a second copy in another place, and compare it: chatelaine keyring check
      """
  }
}
