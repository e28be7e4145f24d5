import ChatelaineAccessPolicy
import ChatelaineVocabulary
import Testing

@Suite("Access policy, tokens")
struct TokenRuleTests {
  static let app = Principal(uid: 1000, gid: 100)
  static let other = Principal(uid: 1001, gid: 100)

  private func bearer(_ name: String, _ tenants: String..., subject: String = "") throws -> Bearer {
    Bearer(name: try KeyName(name), tenants: try tenants.map { try TenantID($0) }, subject: Array(subject.utf8))
  }

  private func rule(
    _ name: String, _ principals: [PrincipalPattern], role: Role = .application, tenants: [NamePattern] = [.any],
    keys: [NamePattern] = [.any], token: String? = nil
  ) throws -> PolicyRule {
    PolicyRule(
      name: name, role: role, principals: principals, tenants: tenants, keys: keys, permissions: role.permissions,
      token: try token.map { try KeyName($0) })
  }

  /// Every way to ask about a tenant.
  private func allows(_ grants: Grants, _ tenant: String, _ permission: Permission = .encrypt) throws -> Set<Bool> {
    let tenant = try TenantID(tenant)
    return [
      try grants.grant(permission, tenant: tenant, key: KeyName("pay")) != nil,
      grants.grant(permission, someKeyOf: tenant) != nil, grants.grant(permission, allOf: tenant) != nil,
    ]
  }

  /// Every way to ask about what is no tenant's.
  private func allowsAll(_ grants: Grants, _ permission: Permission = .encrypt) -> Set<Bool> {
    [grants.grant(permission) != nil, grants.grant(toAll: permission) != nil]
  }

  @Test("A rule that demands a token grants to its principals alone, with a token of that name for the tenant addressed")
  func demanded() throws {
    let policy = try AccessPolicy(rules: [rule("apps", [.uid(1000)], token: "platform")])
    let own = policy.grants(to: Self.app)
    let acme = own.shown(try bearer("platform", "acme"))
    #expect(try allows(acme, "acme") == [true], "the control")
    #expect(try allows(acme, "beta") == [false])
    #expect(try allows(acme, "acme2") == [false] && allows(acme, "acm") == [false])
    #expect(try allows(own, "acme") == [false], "without a token")
    #expect(try allows(acme.shown(nil), "acme") == [false], "the next request")
    #expect(try allows(own.shown(bearer("elsewhere", "acme")), "acme") == [false], "of another name")
    #expect(try allows(policy.grants(to: Self.other).shown(bearer("platform", "acme")), "acme") == [false], "another uid")
    let both = own.shown(try bearer("platform", "acme", "beta"))
    #expect(try allows(both, "acme") == [true] && allows(both, "beta") == [true] && allows(both, "gamma") == [false])
  }

  @Test("The rule's own tenants and keys hold beside the token's")
  func bounded() throws {
    let policy = try AccessPolicy(rules: [
      rule("apps", [.uid(1000)], tenants: [NamePattern("acme")], keys: [NamePattern("pay")], token: "platform")
    ])
    let grants = policy.grants(to: Self.app).shown(try bearer("platform", "acme", "beta"))
    #expect(try grants.grant(.encrypt, tenant: TenantID("acme"), key: KeyName("pay")) != nil, "the control")
    #expect(try grants.grant(.encrypt, tenant: TenantID("acme"), key: KeyName("other")) == nil)
    #expect(try grants.grant(.encrypt, tenant: TenantID("beta"), key: KeyName("pay")) == nil)
  }

  @Test("What is no tenant's is granted by no token, though the rule is about everything")
  func everything() throws {
    let policy = try AccessPolicy(rules: [
      rule("review", [.uid(1000)], role: .reviewer, token: "platform"),
      rule("bearers", [.token(KeyName("cron"), subject: nil)], role: .reviewer),
    ])
    let own = policy.grants(to: Self.app)
    for bearer in [try bearer("platform", "acme"), try bearer("cron", "acme")] {
      #expect(try allows(own.shown(bearer), "acme", .logRead) == [true], "the control")
      #expect(allowsAll(own.shown(bearer), .logRead) == [false] && allowsAll(own.shown(bearer), .status) == [false])
    }
    let free = try AccessPolicy(rules: [rule("review", [.uid(1000)], role: .reviewer)]).grants(to: Self.app)
    let shown = free.shown(try bearer("x", "acme"))
    #expect(allowsAll(free, .logRead) == [true] && allowsAll(shown, .logRead) == [true], "the control")
  }

  @Test("A rule about whoever carries a token grants for the token's tenants, and to its subject alone where it names one")
  func bearers() throws {
    let policy = try AccessPolicy(rules: [
      rule("alice", [.token(KeyName("platform"), subject: Array("alice".utf8))]), rule("cron", [.token(KeyName("cron"), subject: nil)]),
    ])
    for principal in [Self.app, Self.other] {
      let own = policy.grants(to: principal)
      #expect(try allows(own, "acme") == [false], "without a token")
      #expect(try allows(own.shown(bearer("platform", "acme", subject: "alice")), "acme") == [true], "the control")
      #expect(try allows(own.shown(bearer("platform", "acme", subject: "alice")), "beta") == [false])
      for subject in ["", "bob", "alice2", "Alice"] {
        #expect(try allows(own.shown(bearer("platform", "acme", subject: subject)), "acme") == [false], "\(subject)")
      }
      #expect(try allows(own.shown(bearer("cron", "acme", subject: "bob")), "acme") == [true])
    }
  }

  @Test("Both: a principal by a token and another token demanded is what nobody can show; one and the same is")
  func both() throws {
    let policy = try AccessPolicy(rules: [
      rule("two", [.token(KeyName("cron"), subject: nil)], token: "platform"),
      rule("one", [.token(KeyName("batch"), subject: nil)], token: "batch"),
    ])
    let own = policy.grants(to: Self.app)
    #expect(try allows(own.shown(bearer("cron", "acme")), "acme") == [false])
    #expect(try allows(own.shown(bearer("platform", "acme")), "acme") == [false])
    #expect(try allows(own.shown(bearer("batch", "acme")), "acme") == [true], "the control")
  }

  @Test("A token of another role than the caller's takes both away, unless roles may be combined")
  func roles() throws {
    let rules = [
      try rule("apps", [.uid(1000)]), try rule("operators", [.token(KeyName("ops"), subject: nil)], role: .operator),
    ]
    let own = try AccessPolicy(rules: rules).grants(to: Self.app)
    #expect(try allows(own, "acme") == [true] && !own.rolesConflict, "the control")
    let shown = own.shown(try bearer("ops", "acme"))
    #expect(try shown.rolesConflict && allows(shown, "acme") == [false] && allows(shown, "acme", .keyCreate) == [false])
    #expect(try allows(shown.shown(nil), "acme") == [true])
    let other = try AccessPolicy(rules: rules).grants(to: Self.other).shown(bearer("ops", "acme"))
    #expect(try allows(other, "acme", .keyCreate) == [true], "the control")
    let combined = try AccessPolicy(rules: rules, combinedRoles: true).grants(to: Self.app).shown(bearer("ops", "acme"))
    #expect(try allows(combined, "acme") == [true] && allows(combined, "acme", .keyCreate) == [true])
  }

  @Test("An explanation says what a request with a token is answered")
  func explained() throws {
    let policy = try AccessPolicy(rules: [
      rule("apps", [.uid(1000)], tenants: [NamePattern("acme"), NamePattern("beta")], token: "platform"),
      rule("cron", [.token(KeyName("cron"), subject: Array("x".utf8))]),
    ])
    let bearers = [
      nil, try bearer("platform", "acme"), try bearer("platform", "gamma"), try bearer("cron", "acme", subject: "x"),
      try bearer("cron", "beta", subject: "y"),
    ]
    var allowed = 0
    for (principal, bearer) in [Self.app, Self.other].flatMap({ one in bearers.map { (one, $0) } }) {
      let grants = policy.grants(to: principal).shown(bearer)
      func check(_ grant: Grants.Grant?, _ explanation: Explanation) {
        let rule: PolicyRule? = if case .allowed(let rule) = explanation { rule } else { nil }
        #expect(rule.map { Array($0.name.utf8) } == grant?.rule)
        allowed += grant == nil ? 0 : 1
      }
      check(grants.grant(.encrypt), policy.explain(.encrypt, by: principal, bearing: bearer))
      for tenant in try ["acme", "beta", "gamma"].map({ try TenantID($0) }) {
        check(
          grants.grant(.encrypt, someKeyOf: tenant),
          policy.explain(.encrypt, by: principal, bearing: bearer, tenant: tenant))
      }
    }
    #expect(allowed == 3, "the control: some are")
    let lack = policy.explain(.encrypt, by: Self.app, bearing: try bearer("platform", "acme"), tenant: try TenantID("beta"))
    guard case .denied(let shortfalls) = lack else { return #expect(Bool(false), "denied") }
    #expect(shortfalls.map(\.lacks) == [.token])
  }
}
