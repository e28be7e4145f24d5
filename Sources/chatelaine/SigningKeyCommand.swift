internal import ArgumentParser
internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineCustody
internal import ChatelaineVocabulary

/// `chatelaine signing-key`: the key that signs the log's heads.
struct SigningKeyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "signing-key", abstract: "Makes and shows the key that signs the log's heads.",
    discussion: """
      Exit status: 0 done; 64 wrong arguments; 65 the file or the log is not as it was written; 66 there is none; 73 it \
      cannot be made there; 74 the disk; 77 permissions or owner; 78 the machine, or a newer version wrote the file.
      """,
    subcommands: [SigningKeyInit.self, SigningKeyShow.self])
}

/// `chatelaine signing-key init`: a new key, in a file of its own.
struct SigningKeyInit: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "init", abstract: "Makes a key: name its file in the configuration, log.signing-key.")

  @Argument(help: "A file that does not exist, of mode 0400 then; run as the service's user.")
  var file: String

  @OptionGroup var closing: ClosingOptions

  func run() throws {
    let key = try SigningKey.create(at: file, created: LogClock.system.wall())
    print("made        \(printable(file))")
    let publicKey = key.publicKey
    print("public key  \(Hex.encode(publicKey.span))")
    print("Name the file as 'log.signing-key' in the configuration; then: chatelaine signing-key show FILE --log DIR")
  }
}

/// `chatelaine signing-key show`: the public key, in the form that every verifier of signed notes takes.
struct SigningKeyShow: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show",
    abstract: "Prints the public key that a log's heads hold under, as name+hash+base64: keep it elsewhere.")

  @Argument(help: "The key's file; run as its owner.")
  var file: String

  @OptionGroup var log: LogOption
  @OptionGroup var epoch: EpochOption
  @OptionGroup var closing: ClosingOptions

  func run() throws {
    let key = try SigningKey.load(file)
    let epoch = try epoch.descriptor(in: log.open())
    print(NoteKey(name: epoch.origin, publicKey: key.publicKey).text)
  }
}
