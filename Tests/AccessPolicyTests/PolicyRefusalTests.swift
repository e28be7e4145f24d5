import ChatelaineAccessPolicy
import ChatelaineVocabulary
import Testing

@Suite("Access policy, refusals")
struct PolicyRefusalTests {
  static func rule(
    _ name: String, _ role: Role = .application, _ principals: [PrincipalPattern] = [.uid(1)],
    tenants: [NamePattern] = [.any], keys: [NamePattern] = [.any], permissions: Set<Permission>? = nil
  ) -> PolicyRule {
    PolicyRule(
      name: name, role: role, principals: principals, tenants: tenants, keys: keys,
      permissions: permissions ?? role.permissions)
  }

  private func refusal(_ rules: PolicyRule..., combined: Bool = false) -> PolicyError? {
    do throws(PolicyError) {
      _ = try AccessPolicy(rules: rules, combinedRoles: combined)
      return nil
    } catch { return error }
  }

  @Test("Two rules of one name, and a name that is none, are refused")
  func names() {
    #expect(refusal(Self.rule("a"), Self.rule("b")) == nil, "the control")
    #expect(refusal(Self.rule("a"), Self.rule("b"), Self.rule("a")) == .duplicateName(rule: 2, earlier: 0))
    for name in ["", "A", "a b", "-a", "ä", String(repeating: "a", count: 65)] {
      #expect(refusal(Self.rule("x"), Self.rule(name)) == .name(rule: 1), "\(name)")
    }
  }

  @Test("A rule for nobody, for nothing or about nothing is refused")
  func emptyLists() {
    #expect(refusal(Self.rule("a", [])) == .nobody(rule: 0))
    #expect(refusal(Self.rule("a", tenants: [])) == .noTenants(rule: 0))
    #expect(refusal(Self.rule("a", keys: [])) == .noKeys(rule: 0))
    #expect(refusal(Self.rule("a", permissions: [])) == .nothingAllowed(rule: 0))
  }

  @Test("A permission outside the rule's role is refused, each of them")
  func outsideRole() {
    for role in Role.allCases {
      for permission in Permission.allCases {
        let isInside = role.permissions.contains(permission)
        let expected: PolicyError? = isInside ? nil : .outsideRole(rule: 0, permission)
        #expect(refusal(Self.rule("a", role, permissions: [permission])) == expected)
        #expect(refusal(Self.rule("a", role, permissions: [permission]), combined: true) == expected)
      }
    }
  }

  @Test("One principal in rules of two roles is refused, unless roles may be combined")
  func twoRoles() throws {
    let (application, operators) = (Self.rule("a"), Self.rule("o", .operator, [.gid(1), .uid(1)]))
    #expect(refusal(application, operators) == .twoRoles(rule: 1, earlier: 0, .uid(1)))
    #expect(refusal(application, operators, combined: true) == nil)
    #expect(
      refusal(application, Self.rule("o", .operator, [.uid(2)])) == nil, "another uid is another principal")
    let combined = try AccessPolicy(rules: [application, operators], combinedRoles: true)
    let grants = combined.grants(to: Principal(uid: 1, gid: 9))
    #expect(grants.grant(.encrypt) != nil && grants.grant(.keyRotate) != nil && !grants.rolesConflict)
  }

  @Test("Whose uid has one role and whose group another has neither, unless roles may be combined")
  func rolesConflict() throws {
    let rules = [Self.rule("a", .application, [.uid(1)]), Self.rule("o", .operator, [.gid(5)])]
    let both = Principal(uid: 1, gid: 5)
    let grants = try AccessPolicy(rules: rules).grants(to: both)
    #expect(grants.rolesConflict && Permission.allCases.allSatisfy { grants.grant($0) == nil })
    let one = try AccessPolicy(rules: rules).grants(to: Principal(uid: 1, gid: 6))
    #expect(!one.rolesConflict && one.grant(.encrypt) != nil, "the control")
    let combined = try AccessPolicy(rules: rules, combinedRoles: true).grants(to: both)
    #expect(combined.grant(.encrypt) != nil && combined.grant(.keyCreate) != nil)
  }

  @Test("Rules and lists are bounded")
  func bounds() throws {
    let many = (0...Limits.policyListMax).map { PrincipalPattern.uid(UInt32($0)) }
    #expect(refusal(Self.rule("a", many)) == .listTooLong(rule: 0))
    #expect(refusal(Self.rule("a", many.dropLast())) == nil)
    let rules = (0...Limits.policyRulesMax).map { Self.rule("r\($0)") }
    #expect(throws: PolicyError.tooManyRules) { try AccessPolicy(rules: rules) }
    #expect(try AccessPolicy(rules: rules.dropLast()).rules.count == Limits.policyRulesMax)
  }

  @Test("A pattern is a name, the beginning of one with a star, or a star")
  func patterns() throws {
    let accepted: [(String, yes: [String], no: [String])] = [
      ("*", ["a", "zz.9"], []), ("a", ["a"], ["aa", "b"]), ("a*", ["a", "ab", "a-b"], ["b", "ba"]),
      ("a.b-*", ["a.b-", "a.b-c"], ["a.b", "axb-c"]),
    ]
    for (text, yes, no) in accepted {
      let pattern = try NamePattern(text)
      for name in yes { #expect(pattern.matches(Array(name.utf8)), "\(text) \(name)") }
      for name in no { #expect(!pattern.matches(Array(name.utf8)), "\(text) \(name)") }
    }
    let refused: [(String, InvalidPattern)] = [
      ("", .name(.length)), ("**", .star), ("*a", .star), ("a*b", .star), ("a*b*", .star),
      ("A*", .name(.character)),
      ("-*", .name(.character)), ("a/b", .name(.character)), ("é*", .name(.character)),
      (String(repeating: "a", count: 65) + "*", .name(.length)),
    ]
    for (text, reason) in refused { #expect(throws: reason, "\(text)") { try NamePattern(text) } }
  }
}

extension PolicyRefusalTests {
  static func rule(_ name: String, _ principals: [PrincipalPattern]) -> PolicyRule {
    rule(name, .application, principals)
  }
}
