package import ChatelaineAccessPolicy
package import ChatelaineVocabulary

/// The policy as operators write it.
package enum PolicyFile {
  /// `file` is for sentences only. `tokens` are the names that a rule may give to a token; nil: nobody knows them.
  package static func parse(
    _ bytes: [UInt8], file: String, accounts: AccountNames, tokens: Set<KeyName>? = nil
  ) throws(ConfigurationError) -> AccessPolicy {
    do throws(Fault) { return try parse(bytes, accounts, tokens) } catch { throw error.error(in: file) }
  }

  private static func parse(
    _ bytes: [UInt8], _ accounts: AccountNames, _ tokens: Set<KeyName>?
  ) throws(Fault) -> AccessPolicy {
    let root = try YAMLFile.parse(bytes)
    try Fields.checkVersion(root)
    let fields = try Fields(root, known: ["version", "allow-combined-roles", "rules"])
    let list = try fields.required("rules")
    guard case .list(let values) = list.content else {
      throw Fault(list.line, .type(key: "rules", wanted: .list))
    }
    var rules: [PolicyRule] = []
    for value in values { rules.append(try rule(value, accounts, tokens)) }
    let combined = try fields.flag("allow-combined-roles")
    do throws(PolicyError) { return try AccessPolicy(rules: rules, combinedRoles: combined) } catch {
      throw Fault(error.rule.map { values[$0].line } ?? list.line, .policy(error))
    }
  }

  private static func rule(
    _ value: Value, _ accounts: AccountNames, _ tokens: Set<KeyName>?
  ) throws(Fault) -> PolicyRule {
    let fields = try Fields(
      value, of: "rule", known: ["name", "role", "principals", "tenants", "keys", "operations", "token"])
    let role: Role = try Fields.word(try fields.text("role"), try fields.required("role").line, "role")
    var principals: [PrincipalPattern] = []
    for (text, line) in try requiredTexts(fields, "principals") {
      principals.append(try principal(text, line, accounts))
      if case .token(let name, _)? = principals.last { try check(name, tokens, line) }
    }
    return PolicyRule(
      name: try fields.text("name"), role: role, principals: principals,
      tenants: try patterns(fields, "tenants", role), keys: try patterns(fields, "keys", role),
      permissions: try permissions(fields, role), token: try token(fields, tokens), line: value.line)
  }

  /// The token that a rule demands.
  private static func token(_ fields: Fields, _ tokens: Set<KeyName>?) throws(Fault) -> KeyName? {
    guard let text = try fields.optionalText("token") else { return nil }
    let line = try fields.required("token").line
    guard let name = try? KeyName(text) else { throw Fault(line, .tokenName(text)) }
    try check(name, tokens, line)
    return name
  }

  /// why: a rule about a token that nobody can have would never grant anything.
  private static func check(_ name: KeyName, _ tokens: Set<KeyName>?, _ line: Int?) throws(Fault) {
    guard let tokens, !tokens.contains(name) else { return }
    let names = tokens.map(\.rawValue).sorted()
    throw Fault(line, .noToken(name.rawValue, nearest: nearest(to: name.rawValue, of: names)))
  }

  private static func requiredTexts(_ fields: Fields, _ key: String) throws(Fault) -> [(
    text: String, line: Int
  )] {
    _ = try fields.required(key)
    return try fields.texts(key) ?? []
  }

  /// A principal as a policy spells it, for other places where people name one: `uid:1000`, `group:staff`,
  /// `spiffe://acme.example/billing`.
  package static func principal(_ text: String, _ accounts: AccountNames) throws(ConfigurationError) -> PrincipalPattern {
    do throws(Fault) { return try principal(text, nil, accounts) } catch { throw error.error(in: "the principal") }
  }

  private static func principal(
    _ text: String, _ line: Int?, _ accounts: AccountNames
  ) throws(Fault) -> PrincipalPattern {
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 2 else { throw Fault(line, .principal(text)) }
    switch parts[0] {
    case "uid": if let uid = number(parts[1]) { return .uid(uid) }
    case "gid": if let gid = number(parts[1]) { return .gid(gid) }
    case "user":
      guard let uid = accounts.uid(ofUser: parts[1]) else { throw Fault(line, .account(text)) }
      return .uid(uid)
    case "group":
      guard let gid = accounts.gid(ofGroup: parts[1]) else { throw Fault(line, .account(text)) }
      return .gid(gid)
    case "spiffe", "dns": if let name = CertificateName(text) { return .certificate(name) }
    case "token":
      let name = parts[1].split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      let subject = name.count == 2 ? Array(name[1].utf8) : nil
      guard let token = try? KeyName(name[0]), (1...Limits.tokenSubjectBytesMax).contains(subject?.count ?? 1) else { break }
      return .token(token, subject: subject)
    default: break
    }
    throw Fault(line, .principal(text))
  }

  /// Decimal, in one spelling; the highest number stands for "nobody knows" in the kernel.
  private static func number(_ text: String) -> UInt32? {
    guard let number = UInt32(text), String(number) == text, number != .max else { return nil }
    return number
  }

  /// Of which tenants or keys; an operator's and a reviewer's rule may leave it open, an application's says it.
  private static func patterns(_ fields: Fields, _ key: String, _ role: Role) throws(Fault) -> [NamePattern] {
    if role == .application { _ = try fields.required(key) }
    guard let texts = try fields.texts(key) else { return [.any] }
    var patterns: [NamePattern] = []
    for (text, line) in texts {
      do throws(InvalidPattern) { patterns.append(try NamePattern(text)) } catch {
        throw Fault(line, .pattern(key: key, text))
      }
    }
    return patterns
  }

  private static func permissions(_ fields: Fields, _ role: Role) throws(Fault) -> Set<Permission> {
    var permissions: Set<Permission> = []
    for (text, line) in try requiredTexts(fields, "operations") {
      guard text != "*" else {
        permissions.formUnion(role.permissions)
        continue
      }
      let permission: Permission = try Fields.word(text, line, "operations")
      guard role.permissions.contains(permission) else { throw Fault(line, .outsideRole(permission, role)) }
      permissions.insert(permission)
    }
    return permissions
  }
}
