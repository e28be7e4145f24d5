internal import ArgumentParser
internal import ChatelaineAdminClient
internal import ChatelaineCustody
internal import ChatelaineMessages
internal import ChatelaineVocabulary

/// `chatelaine master`: the key over all others.
struct MasterCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "master", abstract: "Rotates the master key while the service runs.",
    subcommands: [MasterRotate.self, MasterCommit.self, MasterStatusCommand.self, MasterRetire.self])
}

struct MasterRotate: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rotate",
    abstract: "Makes a new version of the master key, which waits for its second copy to be confirmed.",
    discussion: """
      Then: copy the new file to the keyring's second copy, 'chatelaine keyring check' there, and 'chatelaine master \
      commit' with the key check value that it prints. A version that 'chatelaine keyring add' made is taken up. Data, \
      envelopes and tenants' keys stay as they are.

      \(exitCodesHelp) 130 interrupted, while the service goes on.
      """)

  @Flag(help: "There is and will be no second copy: commit at once. The log says so.")
  var singleCopy = false

  @Flag(help: "Wait until every tenant's root is rewrapped.")
  var wait = false

  @OptionGroup var admin: AdminOptions

  func run() async throws {
    let watch = wait ? MasterWatch(json: false) : nil
    let reply = try await admin.withService { service in
      let reply = try await service.rotateMaster(singleCopy: singleCopy)
      print(admin.json ? reply.json.text : reply.lines.joined(separator: "\n"))
      flushOutput()
      return reply
    }
    try await watch?.untilRewrapped(to: reply.version, admin)
  }
}

struct MasterCommit: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "commit",
    abstract: "Takes the version that waits into use, once its second copy was checked.",
    discussion: exitCodesHelp + " 130 interrupted, while the service goes on.")

  @Argument(
    help: "The version's key check value, as 'chatelaine keyring check' prints it of the second copy.",
    transform: parseKeyCheckValue)
  var keyCheckValue: [UInt8]

  @Flag(help: "Wait until every tenant's root is rewrapped.")
  var wait = false

  @OptionGroup var admin: AdminOptions

  func run() async throws {
    let watch = wait ? MasterWatch(json: false) : nil
    let reply = try await admin.withService { try await $0.commitMaster(keyCheckValue) }
    let fields = [("version", JSON.number(UInt64(reply.version))), ("receipt", reply.receipt.json)]
    print(
      admin.json
        ? JSON.object(fields).text
        : "master key version \(reply.version) is primary; tenants' roots are being rewrapped")
    flushOutput()
    try await watch?.untilRewrapped(to: reply.version, admin)
  }
}

private func parseKeyCheckValue(_ text: String) throws -> [UInt8] {
  guard let digest = Digest(hex: text.lowercased()) else { throw ValidationError("'\(text)' is not 64 hexadecimal digits") }
  return digest.bytes
}

struct MasterStatusCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract: "Shows the versions of the master key, how many tenants are on each, and which can be retired.",
    discussion: exitCodesHelp + " 130 interrupted, while the service goes on.")

  @Flag(help: "Show progress until every tenant's root is rewrapped; with --json a line a second.")
  var watch = false

  @OptionGroup var admin: AdminOptions

  func run() async throws {
    if watch { try await MasterWatch(json: admin.json).untilRewrapped(to: nil, admin) }
    let status = try await admin.withService { try await $0.masterStatus() }
    print(admin.json ? status.json.text : status.lines.joined(separator: "\n"))
  }
}

struct MasterRetire: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "retire",
    abstract: "Takes an old version out of use for good. Refused while anything needs it.",
    discussion: exitCodesHelp)

  @Argument(help: "The version.")
  var version: UInt32

  @OptionGroup var admin: AdminOptions

  func run() async throws {
    let reply = try await admin.withService { try await $0.retireMaster(version) }
    let fields = [
      ("version", JSON.number(UInt64(version))), ("file", .string(reply.file)), ("receipt", reply.receipt.json),
    ]
    let told = """
      master key version \(version) is retired: the service no longer has it
      destroy its file and every copy of it when no backup of the store needs it any more:
        \(printable(reply.file))
      """
    print(admin.json ? JSON.object(fields).text : told)
  }
}
