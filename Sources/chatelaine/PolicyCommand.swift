internal import ArgumentParser
internal import ChatelaineAccessPolicy
internal import ChatelaineConfiguration
internal import ChatelaineCustody
internal import ChatelaineExits
internal import ChatelaineTokens
internal import ChatelaineVocabulary

/// `chatelaine policy`: what a policy says, before the service is told to take it.
struct PolicyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "policy", abstract: "Checks a policy, and says who may do what by which rule. Needs no service.",
    discussion: """
      Exit status: 0 the policy holds, or what was asked is allowed; 64 wrong arguments; 66 there is no such file; 77 it \
      is denied, or the file may not be read; 78 the policy is not valid.
      """,
    subcommands: [PolicyCheck.self, PolicyExplain.self])
}

struct PolicyFileArgument: ParsableArguments {
  @Argument(help: "The policy's file.")
  var file: String

  @Option(help: ArgumentHelp("The tokens' file, for the names that rules give to tokens.", valueName: "file"))
  var tokens: String?

  func parsed(_ accounts: AccountNames) throws -> AccessPolicy {
    let bytes = try ConfigurationFile.read(file, of: .anyone)
    let names = try tokens.map { try TokensFile(reading: $0, of: .anyone).rules.names }
    return try PolicyFile.parse(bytes, file: file, accounts: accounts, tokens: names)
  }
}

/// `chatelaine policy check`: as a start or a SIGHUP would read it.
struct PolicyCheck: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "Says whether a policy is valid, and what its rules are.")

  @OptionGroup var policy: PolicyFileArgument

  func run() throws {
    let policy = try policy.parsed(.system())
    print("valid: \(policy.rules.count) rules\(policy.combinedRoles ? ", roles may be combined" : "")")
    for rule in policy.rules {
      let principals = rule.principals.map(\.text).joined(separator: ", ")
      let operations = Permission.allCases.filter(rule.permissions.contains).map(\.rawValue).joined(separator: ", ")
      let token = rule.token.map { " with token \($0.rawValue)" } ?? ""
      print("\(rule.place): \(rule.name), \(rule.role.rawValue): \(printable(principals))\(token): \(operations)")
    }
  }
}

/// `chatelaine policy explain`: the service's answer to one question, and why.
struct PolicyExplain: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "explain", abstract: "Says whether a principal may do something, and by which rule.",
    discussion: """
      Without --key it says whether that is allowed for some key of the tenant, without --tenant whether it is allowed \
      at all. The service answers for the whole policy; whether the key is there and enabled is another question.
      """)

  @OptionGroup var policy: PolicyFileArgument

  @Option(help: "uid:N or user:NAME, who asks; or a name of their certificate, spiffe://… or dns:NAME.")
  var principal: String

  @Option(help: "gid:N or group:NAME, their primary group; without it, the one that /etc/passwd names.")
  var group: String?

  @Option(help: "An operation, as policies spell it: decrypt, key-rotate.")
  var operation: String

  @Option(help: "TENANT/KEY")
  var key: KeyPath?

  @Option(help: "A tenant, where no key is asked about.")
  var tenant: String?

  @Option(help: ArgumentHelp("The token that they show, by its name in the tokens' file.", valueName: "name[/subject]"))
  var token: String?

  @Option(help: ArgumentHelp("A tenant that the token names; may be given again.", valueName: "tenant"))
  var tokenTenant: [String] = []

  @Flag(help: "Print JSON.")
  var json = false

  func run() throws {
    let accounts = AccountNames.system()
    let question = try PolicyQuestion(self, accounts)
    let answer = PolicyAnswer(question, try policy.parsed(accounts))
    print(json ? answer.json.text : answer.lines.joined(separator: "\n"))
    if !answer.isAllowed { throw ExitCode(ExitStatus.noPermission.rawValue) }
  }
}

/// What was asked, with names that can be some.
private struct PolicyQuestion {
  let principal: Principal
  let permission: Permission
  let tenant: TenantID?
  let key: KeyName?
  let bearer: Bearer?

  init(_ asked: PolicyExplain, _ accounts: AccountNames) throws {
    switch try? PolicyFile.principal(asked.principal, accounts) {
    case .uid(let uid): principal = Principal(uid: uid, gid: try Self.group(of: uid, asked.group, accounts))
    case .certificate(let name): principal = Principal(certificate: [name])
    default:
      throw Failure(
        .usage,
        "--principal names who asks: uid:N, user:NAME of /etc/passwd, spiffe://… or dns:NAME; a group goes to --group")
    }
    guard let permission = Permission(rawValue: asked.operation) else {
      let words = Permission.allCases.map(\.rawValue).joined(separator: ", ")
      throw Failure(.usage, "--operation: there is no '\(printable(asked.operation))'; there are: \(words)")
    }
    guard asked.key == nil || asked.tenant == nil else { throw Failure(.usage, "--key names the tenant already") }
    self.permission = permission
    tenant = try Self.name(asked.key?.tenant ?? asked.tenant) { try TenantID($0) }
    key = try Self.name(asked.key?.key) { try KeyName($0) }
    bearer = try Self.bearer(asked, accounts)
  }

  private static func bearer(_ asked: PolicyExplain, _ accounts: AccountNames) throws -> Bearer? {
    guard let text = asked.token else {
      guard asked.tokenTenant.isEmpty else { throw Failure(.usage, "--token-tenant is a token's: give --token NAME too") }
      return nil
    }
    guard case .token(let name, let subject) = try? PolicyFile.principal("token:" + text, accounts) else {
      throw Failure(.usage, "--token names a token of the tokens' file: NAME, or NAME/SUBJECT")
    }
    guard !asked.tokenTenant.isEmpty else {
      throw Failure(.usage, "--token: every token names tenants: give --token-tenant TENANT")
    }
    let tenants = try asked.tokenTenant.compactMap { try Self.name($0) { try TenantID($0) } }
    return Bearer(name: name, tenants: tenants, subject: subject ?? [])
  }

  /// The kernel's number for nobody stands for a group that is not known: no rule is about it.
  private static func group(of uid: UInt32, _ group: String?, _ accounts: AccountNames) throws -> UInt32 {
    guard let group else { return accounts.primaryGroup(ofUID: uid) ?? .max }
    guard case .gid(let gid) = try? PolicyFile.principal(group, accounts) else {
      throw Failure(.usage, "--group names a group: gid:N, or group:NAME of /etc/group")
    }
    return gid
  }

  private static func name<Name>(_ text: String?, _ parse: (String) throws -> Name) throws -> Name? {
    guard let text else { return nil }
    guard let name = try? parse(text) else {
      throw Failure(.usage, "'\(printable(text))' is no name of a tenant or a key: 1 to 64 of a-z 0-9 . _ -")
    }
    return name
  }

  var about: String {
    if let name = principal.names.first { return name.text }
    let group = principal.gid == .max ? "" : ", gid:\(principal.gid)"
    let token = bearer.map { ", token:\(printable(String(decoding: $0.text, as: UTF8.self)))" } ?? ""
    return "uid:\(principal.uid)\(group)\(token)"
  }
}

/// The answer, for people and as JSON.
private struct PolicyAnswer {
  private let question: PolicyQuestion
  private let explanation: Explanation

  init(_ question: PolicyQuestion, _ policy: AccessPolicy) {
    self.question = question
    explanation = policy.explain(
      question.permission, by: question.principal, bearing: question.bearer, tenant: question.tenant, key: question.key)
  }

  var isAllowed: Bool { if case .allowed = explanation { true } else { false } }

  var lines: [String] {
    switch explanation {
    case .allowed(let rule): ["allowed by rule \(rule.name), \(rule.place)"]
    case .rolesConflict(let rules):
      ["denied: rules of several roles are about \(question.about)"]
        + rules.map { "  rule \($0.name), \($0.place): \($0.role.rawValue)" }
    case .denied(let shortfalls) where shortfalls.isEmpty: ["denied: no rule is about \(question.about)"]
    case .denied(let shortfalls):
      ["denied: no rule about \(question.about) grants it"]
        + shortfalls.map { "  rule \($0.rule.name), \($0.rule.place): \(sentence($0.lacks))" }
    }
  }

  private func sentence(_ lack: Explanation.Shortfall.Lack) -> String {
    switch lack {
    case .operation: "not \(question.permission.rawValue)"
    case .tenant: "not tenant \(question.tenant?.rawValue ?? "")"
    case .key: "not key \(question.key?.rawValue ?? "")"
    case .token:
      question.tenant == nil
        ? "by a token, and so only for a tenant that is named"
        : "no token of the right name that is for tenant \(question.tenant?.rawValue ?? "")"
    }
  }

  var json: JSON {
    let rule: [(String, JSON)]
    if case .allowed(let granted) = explanation {
      rule = [("rule", .string(granted.name))] + (granted.line.map { [("line", .number(UInt64($0)))] } ?? [])
    } else {
      rule = []
    }
    return .object([("allowed", .bool(isAllowed))] + rule + [("reasons", .array(lines.map { .string($0) }))])
  }
}

extension PolicyRule {
  fileprivate var place: String { line.map { "line \($0)" } ?? "no line" }
}
