package import ChatelaineVocabulary

/// Why something is allowed or denied: what `Grants` answers, with its reasons, for people and on no request's way.
package enum Explanation: Equatable, Sendable {
  /// A rule that is about somebody, and the first thing that keeps it from granting what was asked.
  package struct Shortfall: Equatable, Sendable {
    package enum Lack: Sendable {
      case operation, tenant, key
      /// The token that the rule demands, or one that is for this tenant; or no tenant is named.
      case token
    }

    package let rule: PolicyRule
    package let lacks: Lack
  }

  case allowed(PolicyRule)
  /// Rules are about them, in the order in which they are asked; where there is none, nobody knows them.
  case denied([Shortfall])
  /// The rules about them have several roles, and grant nothing for it.
  case rolesConflict([PolicyRule])
}

extension AccessPolicy {
  /// What is asked of a rule: without a key, whether it is granted for some key of the tenant; without a tenant, at all.
  package func explain(
    _ permission: Permission, by principal: Principal, bearing bearer: Bearer? = nil, tenant: TenantID? = nil, key: KeyName? = nil
  ) -> Explanation {
    let concerned = rules(about: principal, bearer)
    guard combinedRoles || Set(concerned.map(\.role)).count < 2 else { return .rolesConflict(concerned) }
    var shortfalls: [Explanation.Shortfall] = []
    for rule in concerned {
      guard let lack = rule.lack(of: permission, principal, bearer, tenant, key) else { return .allowed(rule) }
      shortfalls.append(.init(rule: rule, lacks: lack))
    }
    return .denied(shortfalls)
  }
}

extension PolicyRule {
  fileprivate func lack(
    of permission: Permission, _ principal: Principal, _ bearer: Bearer?, _ tenant: TenantID?, _ key: KeyName?
  ) -> Explanation.Shortfall.Lack? {
    guard permissions.contains(permission) else { return .operation }
    if let tenant, !tenants.contains(where: { $0.matches(tenant.bytes) }) { return .tenant }
    if let key, !keys.contains(where: { $0.matches(key.bytes) }) { return .key }
    let isByToken = token != nil || !principals.contains { $0.matches(principal) }
    guard isByToken else { return nil }
    guard let bearer, let tenant, token.map({ $0 == bearer.name }) ?? true, bearer.isFor(tenant) else { return .token }
    return nil
  }
}
