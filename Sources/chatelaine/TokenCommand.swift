internal import ArgumentParser
internal import ChatelaineAuditTrail
internal import ChatelaineConfiguration
internal import ChatelaineCustody
internal import ChatelaineExits
internal import ChatelainePrimitives
internal import ChatelaineSecretMemory
internal import ChatelaineTokens
internal import ChatelaineVocabulary

/// `chatelaine token`: the tokens that a service takes.
struct TokenCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "token", abstract: "Makes static tokens, and reads the file of tokens. Needs no service.",
    discussion: """
      Exit status: 0 done; 64 wrong arguments; 66 there is no such file; 73 a file cannot be made; 74 the disk; 77 the \
      file may not be read; 78 the tokens' file is not valid.
      """,
    subcommands: [TokenCreate.self, TokenCheck.self])
}

/// `chatelaine token create`: 256 random bits, which are shown once.
struct TokenCreate: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "create", abstract: "Makes a token, and the line for the tokens' file: it has the hash, not the token.")

  @Option(help: "As the policy names it: 1 to 64 of a-z 0-9 . _ -")
  var name: String

  @Option(help: "A tenant that it is good for; may be given again.")
  var tenant: [String]

  @Option(help: "When it ends, as 2027-01-31T00:00:00Z; without it, when its line is taken out.")
  var expires: String?

  @Option(help: ArgumentHelp("A file for the token, its owner's alone; without it, standard output.", valueName: "file"))
  var output: String?

  @OptionGroup var closing: ClosingOptions

  func validate() throws {
    guard (try? KeyName(name)) != nil else { throw ValidationError("--name: 1 to 64 of a-z 0-9 . _ -") }
    guard (1...Limits.tokenTenantsMax).contains(tenant.count), tenant.allSatisfy({ (try? TenantID($0)) != nil }) else {
      throw ValidationError("--tenant names tenants: each 1 to 64 of a-z 0-9 . _ -")
    }
    guard expires.map({ WallTime(rfc3339: $0) != nil }) ?? true else {
      throw ValidationError("--expires is a time, such as 2027-01-31T00:00:00Z")
    }
  }

  func run() throws {
    let random = SecretBytes.random(count: 32)
    // why: a command's own memory, for the moment of one line; the service has no token in a text.
    var token = StaticToken.prefix + random.withBytes { Array(Base64.encodeURL(Span<UInt8>(_bytes: $0)).utf8) }
    defer { for index in token.indices { token[index] = 0 } }
    let file = try output.map { try OutputFile($0, isSecret: true) }
    try (file ?? OutputFile(nil, isSecret: true)).write(token + [UInt8(ascii: "\n")])
    try file?.finish()
    let tenants = tenant.map { "\"\($0)\"" }.joined(separator: ", ")
    let end = expires.map { ", expires: \"\($0)\"" } ?? ""
    let line = "  - {name: \"\(name)\", tenant: [\(tenants)], sha256: \"\(SHA256.hash(token).hex)\"\(end)}"
    printError("Put this under 'static:' in the tokens' file, and send the service SIGHUP:")
    print(line)
  }
}

/// `chatelaine token check`: as a start or a SIGHUP would read it.
struct TokenCheck: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "Says whether a tokens' file and the sets of keys that it names are valid, and what they hold.")

  @Argument(help: "The tokens' file.")
  var file: String

  func run() throws {
    let rules = try TokensFile(reading: file, of: .anyone).rules
    print("valid: \(rules.issuers.count) issuers, \(rules.statics.count) static tokens")
    for issuer in rules.issuers {
      let audiences = issuer.audiences.map { EntryText.fieldValue($0) }.joined(separator: ", ")
      print(
        "issuer \(issuer.name.rawValue): \(EntryText.fieldValue(issuer.issuer)) for \(audiences), tenants in '\(printable(issuer.tenantClaim))', leeway \(issuer.leewaySeconds) s")
      for key in issuer.keys.keys {
        print("  key \(key.algorithm.rawValue) \(key.id.map { EntryText.fieldValue($0) } ?? "without kid")")
      }
    }
    for token in rules.statics {
      let tenants = token.tenants.map(\.rawValue).joined(separator: ", ")
      print("static \(token.name.rawValue): \(tenants), \(token.expires.map { "until \($0.rfc3339)" } ?? "without end")")
    }
  }
}
