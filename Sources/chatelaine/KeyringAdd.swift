internal import ArgumentParser
internal import ChatelaineAuditLog
internal import ChatelaineCustody
internal import ChatelaineVocabulary

/// `chatelaine keyring add`: the next version of the master key.
struct KeyringAdd: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "add", abstract: "Adds the next version of the master key.")

  @OptionGroup var keyring: KeyringOptions
  @Option(help: "What keeps the new version: file, passphrase (default: as the newest one).")
  var seal: SealOption?
  @OptionGroup var passphrase: PassphraseOptions
  @OptionGroup var cost: CostOptions

  func run() throws {
    let ring = try Keyring(at: keyring.directory, keyring.rules())
    let headers = try ring.headers()
    let seal = self.seal ?? headers.last.map { SealOption($0.seal) } ?? .file
    var secret = try passphrase.read(for: headers)
    if secret == nil, seal == .passphrase { secret = try passphrase.read(isNew: true) }
    let key = try ring.add(
      Keyring.NewVersion(seal: seal.seal, cost: cost.cost, created: LogClock.system.wall()), passphrase: secret)
    print(NewKeyReport(key: key, seal: seal, directory: ring.path).rendered(json: keyring.json))
  }
}
