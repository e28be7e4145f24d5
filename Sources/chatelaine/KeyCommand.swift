internal import ArgumentParser
internal import ChatelaineAdminClient
internal import ChatelaineMessages
internal import ChatelaineVocabulary

/// `chatelaine key`: tenants' keys.
struct KeyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "key", abstract: "Creates, lists, rotates, enables and disables tenants' keys.",
    subcommands: [KeyCreate.self, KeyList.self, KeyRotate.self, KeyEnable.self, KeyDisable.self])
}

/// The cipher as the command line spells it.
enum SuiteOption: String, ExpressibleByArgument, CaseIterable {
  case aes256GCM = "aes-256-gcm"
  case xchacha20Poly1305 = "xchacha20-poly1305"

  fileprivate var message: Chatelaine_V1_Suite { self == .aes256GCM ? .aes256Gcm : .xchacha20Poly1305 }
}

struct KeyCreate: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "create", abstract: "Creates a key, version 1.", discussion: exitCodesHelp)

  @Argument(help: "TENANT/KEY")
  var name: KeyPath

  @Option(help: "The cipher of its envelopes: aes-256-gcm, xchacha20-poly1305.")
  var suite: SuiteOption = .aes256GCM

  @OptionGroup var admin: AdminOptions

  func run() async throws {
    let reply = try await admin.withService {
      try await $0.createKey(name.key, of: name.tenant, suite: suite.message)
    }
    admin.report("created", name, [("version", .number(1)), ("receipt", reply.receipt.json)], "version 1")
  }
}

struct KeyList: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "Lists a tenant's keys, in order of their names.",
    discussion: exitCodesHelp)

  @Argument(help: "The tenant.")
  var tenant: String

  @OptionGroup var admin: AdminOptions

  func run() async throws {
    try await admin.withService { service in
      var after = ""
      repeat {
        let page = try await service.listKeys(of: tenant, after: after)
        for key in page.keys { print(admin.json ? key.json(of: tenant).text : key.line(of: tenant)) }
        after = page.next
      } while !after.isEmpty
    }
  }
}

struct KeyRotate: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rotate",
    abstract: "Makes a new version of a key the current one. Old envelopes still open.",
    discussion: exitCodesHelp)

  @Argument(help: "TENANT/KEY")
  var name: KeyPath

  @OptionGroup var admin: AdminOptions

  func run() async throws {
    let reply = try await admin.withService { try await $0.rotateKey(name.key, of: name.tenant) }
    let fields: [(String, JSON)] = [
      ("version", .number(UInt64(reply.version))), ("receipt", reply.receipt.json),
    ]
    admin.report("rotated", name, fields, "version \(reply.version) is current")
  }
}

struct KeyEnable: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "enable", abstract: "Lets a disabled key be used again.", discussion: exitCodesHelp)

  @Argument(help: "TENANT/KEY")
  var name: KeyPath

  @OptionGroup var admin: AdminOptions

  func run() async throws {
    let reply = try await admin.withService { try await $0.enableKey(name.key, of: name.tenant) }
    admin.report("enabled", name, [("receipt", reply.receipt.json)], nil)
  }
}

struct KeyDisable: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "disable", abstract: "Refuses every use of a key, old envelopes' too, until it is enabled.",
    discussion: exitCodesHelp)

  @Argument(help: "TENANT/KEY")
  var name: KeyPath

  @OptionGroup var admin: AdminOptions

  func run() async throws {
    let reply = try await admin.withService { try await $0.disableKey(name.key, of: name.tenant) }
    admin.report("disabled", name, [("receipt", reply.receipt.json)], nil)
  }
}

// MARK: Printing

extension AdminOptions {
  fileprivate func report(_ verb: String, _ name: KeyPath, _ more: [(String, JSON)], _ detail: String?) {
    let fields: [(String, JSON)] = [("tenant", .string(name.tenant)), ("key", .string(name.key))] + more
    print(
      json
        ? JSON.object(fields).text : "\(verb) \(name.tenant)/\(name.key)" + (detail.map { ": \($0)" } ?? ""))
  }
}

extension Chatelaine_V1_Key {
  private var created: WallTime { WallTime(nanoseconds: createdUnixNs) }
  private var suiteText: String {
    switch suite {
    case .unspecified, .aes256Gcm: "aes-256-gcm"
    case .xchacha20Poly1305: "xchacha20-poly1305"
    case .UNRECOGNIZED(let number): "suite \(number)"
    }
  }

  fileprivate func line(of tenant: String) -> String {
    let state = enabled ? "enabled" : "DISABLED"
    let id = Hex.encode([UInt8](keyID).span)
    return "\(tenant)/\(name)  v\(currentVersion)  \(state)  \(suiteText)  \(created.rfc3339)  \(id)"
  }

  fileprivate func json(of tenant: String) -> JSON {
    .object([
      ("tenant", .string(tenant)), ("key", .string(name)),
      ("keyId", .string(Hex.encode([UInt8](keyID).span))),
      ("suite", .string(suiteText)), ("enabled", .bool(enabled)),
      ("currentVersion", .number(UInt64(currentVersion))), ("floorVersion", .number(UInt64(floorVersion))),
      ("created", .string(created.rfc3339)),
    ])
  }
}
