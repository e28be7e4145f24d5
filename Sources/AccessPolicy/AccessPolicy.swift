internal import ChatelaineVocabulary

/// Who may do what. What no rule grants is denied.
package struct AccessPolicy: Sendable, Equatable {
  /// In the order in which they are asked.
  package let rules: [PolicyRule]
  /// Whether one principal may have several roles: for trying things out.
  package let combinedRoles: Bool

  /// Refuses what nobody can have meant: a rule that grants nothing, or more than its role has; two rules of one
  /// name; and, unless roles may be combined, one principal in rules of two roles.
  package init(rules: [PolicyRule], combinedRoles: Bool = false) throws(PolicyError) {
    guard rules.count <= Limits.policyRulesMax else { throw .tooManyRules }
    for index in rules.indices { try Self.check(rules[index], index) }
    try Self.checkNames(rules)
    if !combinedRoles { try Self.checkRoles(rules) }
    self.rules = rules
    self.combinedRoles = combinedRoles
  }

  /// Nobody may do anything.
  package static let empty = AccessPolicy()

  private init() {
    rules = []
    combinedRoles = false
  }

  /// What concerns one principal: made once a connection, and again when the policy changed. What a token adds or fulfils is
  /// decided for each request: `Grants.shown`.
  ///
  /// Somebody whose uid and group come to different roles has none of them, unless roles may be combined.
  package func grants(to principal: Principal) -> Grants {
    Grants(rules, of: principal, combinedRoles: combinedRoles)
  }

  /// The rules that are about somebody, with the token that they carry or without one.
  func rules(about principal: Principal, _ bearer: Bearer?) -> [PolicyRule] {
    rules.filter { rule in
      rule.principals.contains { pattern in pattern.matches(principal) || bearer.map { pattern.matches($0) } ?? false }
    }
  }

  /// What the log shows of who asks: of a certificate's names the first that a rule is about, else its first.
  package func text(of principal: Principal) -> [UInt8] {
    let known = principal.names.first { name in
      rules.contains { $0.principals.contains(.certificate(name)) }
    }
    return known.map { Array($0.text.utf8) } ?? principal.text
  }

  private static func check(_ rule: PolicyRule, _ index: Int) throws(PolicyError) {
    guard (try? KeyName(rule.name)) != nil else { throw .name(rule: index) }
    guard !rule.principals.isEmpty else { throw .nobody(rule: index) }
    guard !rule.tenants.isEmpty else { throw .noTenants(rule: index) }
    guard !rule.keys.isEmpty else { throw .noKeys(rule: index) }
    guard !rule.permissions.isEmpty else { throw .nothingAllowed(rule: index) }
    let longest = max(rule.principals.count, rule.tenants.count, rule.keys.count)
    guard longest <= Limits.policyListMax else { throw .listTooLong(rule: index) }
    for permission in Permission.allCases where rule.permissions.contains(permission) {
      guard rule.role.permissions.contains(permission) else { throw .outsideRole(rule: index, permission) }
    }
  }

  private static func checkNames(_ rules: [PolicyRule]) throws(PolicyError) {
    var seen: [String: Int] = [:]
    for (index, rule) in rules.enumerated() {
      if let earlier = seen.updateValue(index, forKey: rule.name) {
        throw .duplicateName(rule: index, earlier: earlier)
      }
    }
  }

  private static func checkRoles(_ rules: [PolicyRule]) throws(PolicyError) {
    var seen: [PrincipalPattern: Int] = [:]
    for (index, rule) in rules.enumerated() {
      for pattern in rule.principals {
        let earlier = seen[pattern, default: index]
        guard rules[earlier].role == rule.role else {
          throw .twoRoles(rule: index, earlier: earlier, pattern)
        }
        seen[pattern] = earlier
      }
    }
  }
}
