import ChatelaineAccessPolicy
import ChatelaineVocabulary
import Testing

@Suite("Access policy")
struct AccessPolicyTests {
  static let app = Principal(uid: 1000, gid: 100)
  static let ops = Principal(uid: 2000, gid: 200)

  /// An application on two tenants' payment keys, another on everything of a third, and an operator.
  static func policy() throws -> AccessPolicy {
    try AccessPolicy(rules: [
      PolicyRule(
        name: "payments", role: .application, principals: [.uid(1000)],
        tenants: [NamePattern("acme"), NamePattern("beta-*")], keys: [NamePattern("pay-*")],
        permissions: [.encrypt, .decrypt]),
      PolicyRule(
        name: "archive", role: .application, principals: [.uid(1000), .gid(300)],
        tenants: [NamePattern("old")], permissions: Role.application.permissions),
      PolicyRule(
        name: "operators", role: .operator, principals: [.gid(200)], permissions: Role.operator.permissions),
    ])
  }

  private func names(_ grant: Grants.Grant?) -> String? {
    grant.map { String(decoding: $0.role + [UInt8(ascii: "/")] + $0.rule, as: UTF8.self) }
  }

  @Test("A rule grants its operations on its keys of its tenants, and says its name and role")
  func granted() throws {
    let grants = try Self.policy().grants(to: Self.app)
    #expect(
      try names(grants.grant(.encrypt, tenant: TenantID("acme"), key: KeyName("pay-1")))
        == "application/payments")
    #expect(
      try names(grants.grant(.decrypt, tenant: TenantID("beta-2"), key: KeyName("pay-")))
        == "application/payments")
    #expect(
      try names(grants.grant(.rewrap, tenant: TenantID("old"), key: KeyName("x"))) == "application/archive")
    #expect(try names(grants.grant(.decrypt, someKeyOf: TenantID("beta-"))) == "application/payments")
    #expect(names(grants.grant(.rewrap)) == "application/archive")
  }

  @Test("What no rule grants is denied: another tenant, key, operation or principal")
  func denied() throws {
    let policy = try Self.policy()
    let grants = policy.grants(to: Self.app)
    let (acme, pay) = try (TenantID("acme"), KeyName("pay-1"))
    #expect(grants.grant(.encrypt, tenant: acme, key: pay) != nil, "the control")
    #expect(try grants.grant(.encrypt, tenant: TenantID("acme2"), key: pay) == nil)
    #expect(try grants.grant(.encrypt, tenant: TenantID("beta"), key: pay) == nil)
    #expect(try grants.grant(.encrypt, tenant: acme, key: KeyName("pay")) == nil)
    #expect(grants.grant(.rewrap, tenant: acme, key: pay) == nil)
    #expect(grants.grant(.rewrap, someKeyOf: acme) == nil)
    #expect(try grants.grant(.decrypt, someKeyOf: TenantID("gamma")) == nil)
    for stranger in [
      Principal(uid: 0, gid: 0), Principal(uid: 100, gid: 1000), Principal(uid: 200, gid: 2000),
    ] {
      let grants = policy.grants(to: stranger)
      for permission in Permission.allCases {
        #expect(grants.grant(permission) == nil && grants.grant(permission, tenant: acme, key: pay) == nil)
      }
    }
  }

  @Test("An explanation says what a request is answered, whoever asks for whatever")
  func explained() throws {
    let policy = try Self.policy()
    let tenants = try ["acme", "beta-2", "beta", "old"].map { try TenantID($0) }
    let keys = try ["pay-1", "pay", "x"].map { try KeyName($0) }
    let principals = [Self.app, Self.ops, Principal(uid: 7, gid: 300), Principal(uid: 1000, gid: 200), Principal(uid: 7, gid: 7)]
    var allowed = 0
    for principal in principals {
      let grants = policy.grants(to: principal)
      func check(_ grant: Grants.Grant?, _ explanation: Explanation) {
        let rule: PolicyRule? = if case .allowed(let rule) = explanation { rule } else { nil }
        #expect(rule.map { Array($0.name.utf8) } == grant?.rule)
        allowed += grant == nil ? 0 : 1
      }
      for permission in Permission.allCases {
        check(grants.grant(permission), policy.explain(permission, by: principal))
        for tenant in tenants {
          check(grants.grant(permission, someKeyOf: tenant), policy.explain(permission, by: principal, tenant: tenant))
          for key in keys {
            check(
              grants.grant(permission, tenant: tenant, key: key),
              policy.explain(permission, by: principal, tenant: tenant, key: key))
          }
        }
      }
    }
    #expect(allowed > 100, "the control: some are")
  }

  @Test("What is denied is told with what each rule lacks")
  func shortfalls() throws {
    let policy = try Self.policy()
    let pay = try KeyName("pay-1")
    func lacks(_ permission: Permission, _ tenant: String, _ key: KeyName) throws -> [Explanation.Shortfall.Lack]? {
      let explanation = policy.explain(permission, by: Self.app, tenant: try TenantID(tenant), key: key)
      return if case .denied(let shortfalls) = explanation { shortfalls.map(\.lacks) } else { nil }
    }
    #expect(try lacks(.encrypt, "acme", pay) == nil, "the control")
    #expect(try lacks(.encrypt, "gamma", pay) == [.tenant, .tenant])
    #expect(try lacks(.encrypt, "acme", KeyName("x")) == [.key, .tenant])
    #expect(try lacks(.keyList, "acme", pay) == [.operation, .operation])
    #expect(policy.explain(.encrypt, by: Principal(uid: 7, gid: 7)) == .denied([]))
    let both = policy.explain(.encrypt, by: Principal(uid: 1000, gid: 200))
    #expect(both == .rolesConflict(policy.rules.filter { $0.name != "none" }))
  }

  @Test("An application cannot administer, an operator cannot decrypt, a reviewer can only read")
  func rolesApart() throws {
    let policy = try Self.policy()
    let (acme, pay) = try (TenantID("acme"), KeyName("pay-1"))
    let (app, ops) = (policy.grants(to: Self.app), policy.grants(to: Self.ops))
    for permission in Role.operator.permissions {
      #expect(app.grant(permission) == nil)
      #expect(names(ops.grant(permission, tenant: acme, key: pay)) == "operator/operators")
    }
    for permission in Role.application.permissions { #expect(ops.grant(permission) == nil) }
    #expect(Role.application.permissions.isDisjoint(with: Role.operator.permissions))
    #expect(Role.reviewer.permissions == [.status, .logRead])
    let all = Role.allCases.reduce(into: Set<Permission>()) { $0.formUnion($1.permissions) }
    #expect(all == Set(Permission.allCases), "every permission belongs to a role")
  }

  @Test("Nobody has anything of an empty policy")
  func empty() throws {
    for grants in [
      AccessPolicy.empty.grants(to: Self.app), try AccessPolicy(rules: []).grants(to: Self.app), .none,
    ] {
      #expect(Permission.allCases.allSatisfy { grants.grant($0) == nil })
    }
  }

  @Test("Every permission is asked for by itself: none stands for another")
  func permissionsAreDistinct() throws {
    for granted in Permission.allCases {
      let role =
        granted == .status ? Role.operator : Role.allCases.first { $0.permissions.contains(granted) }!
      let rule = PolicyRule(name: "one", role: role, principals: [.uid(1)], permissions: [granted])
      let grants = try AccessPolicy(rules: [rule]).grants(to: Principal(uid: 1, gid: 1))
      for asked in Permission.allCases { #expect((grants.grant(asked) != nil) == (asked == granted)) }
    }
  }

  @Test("A uid is not a gid of the same number, and the log shows the uid")
  func principals() {
    #expect(PrincipalPattern.uid(1000).matches(Self.app) && PrincipalPattern.gid(100).matches(Self.app))
    #expect(!PrincipalPattern.uid(100).matches(Self.app) && !PrincipalPattern.gid(1000).matches(Self.app))
    #expect(Self.app.text == Array("uid:1000".utf8))
    #expect(PrincipalPattern.gid(7).text == "gid:7")
  }
}
