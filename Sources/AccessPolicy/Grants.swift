package import ChatelaineVocabulary

/// The rules that concern one principal, and the token that a request carries. It is asked for every request: on the way to "yes"
/// it allocates nothing.
///
/// What a rule grants by a token, because it demands one or is about whoever carries one, it grants for the tenants that the
/// token names and for nothing else: neither for other tenants, nor for what is no tenant's.
package struct Grants: Sendable {
  /// The rule that said yes, for the log entry.
  package struct Grant: Sendable, Equatable {
    package let rule: [UInt8]
    package let role: [UInt8]
  }

  /// Nothing is allowed.
  package static let none = Grants()

  private struct Clause: Sendable {
    let mask: UInt32
    let tenants: [NamePattern]
    let keys: [NamePattern]
    let grant: Grant
    let role: Role
    /// Whether the rule is about the principal without a token.
    let isOwn: Bool
    /// Patterns of tokens that it is about.
    let bearers: [PrincipalPattern]
    let demanded: KeyName?

    func isAbout(_ bearer: Bearer?) -> Bool {
      if isOwn { return true }
      guard let bearer else { return false }
      for pattern in bearers where pattern.matches(bearer) { return true }
      return false
    }

    /// Whether it grants without regard to tokens.
    var isFree: Bool { isOwn && demanded == nil }

    func admits(_ bearer: Bearer?, _ tenant: TenantID) -> Bool {
      if isFree { return true }
      guard let bearer, isAbout(bearer), bearer.isFor(tenant) else { return false }
      return demanded == nil || demanded == bearer.name
    }
  }

  private let clauses: [Clause]
  private let combinesRoles: Bool
  private var bearer: Bearer?
  /// Whether everything is denied because uid, group and token come to different roles.
  package private(set) var rolesConflict = false

  private init() {
    clauses = []
    combinesRoles = false
  }

  init(_ rules: [PolicyRule], of principal: Principal, combinedRoles: Bool) {
    clauses = rules.compactMap { rule in
      let isOwn = rule.principals.contains { $0.matches(principal) }
      let bearers = rule.principals.filter(\.isToken)
      guard isOwn || !bearers.isEmpty else { return nil }
      return Clause(
        mask: rule.permissions.reduce(0) { $0 | $1.bit }, tenants: rule.tenants, keys: rule.keys,
        grant: Grant(rule: Array(rule.name.utf8), role: Array(rule.role.rawValue.utf8)), role: rule.role, isOwn: isOwn,
        bearers: bearers, demanded: rule.token)
    }
    combinesRoles = combinedRoles
    rolesConflict = conflict(nil)
  }

  /// The same with the token of one request, or without one.
  package func shown(_ bearer: Bearer?) -> Grants {
    var grants = self
    grants.bearer = bearer
    grants.rolesConflict = conflict(bearer)
    return grants
  }

  private func conflict(_ bearer: Bearer?) -> Bool {
    guard !combinesRoles else { return false }
    var role: Role?
    for clause in clauses where clause.isAbout(bearer) {
      if let role, role != clause.role { return true }
      role = clause.role
    }
    return false
  }

  /// Whether this may be done to this key, and by which rule: the first that says yes.
  package func grant(_ permission: Permission, tenant: TenantID, key: KeyName) -> Grant? {
    guard !rolesConflict else { return nil }
    let bit = permission.bit
    for clause in clauses
    where clause.mask & bit != 0 && clause.admits(bearer, tenant) && Self.any(of: clause.tenants, matches: tenant.bytes)
      && Self.any(of: clause.keys, matches: key.bytes)
    {
      return clause.grant
    }
    return nil
  }

  /// Whether this may be done to some key of this tenant, or to the tenant itself. The key is asked for again when
  /// it is known: for an envelope that is after it was read.
  package func grant(_ permission: Permission, someKeyOf tenant: TenantID) -> Grant? {
    guard !rolesConflict else { return nil }
    let bit = permission.bit
    for clause in clauses
    where clause.mask & bit != 0 && clause.admits(bearer, tenant) && Self.any(of: clause.tenants, matches: tenant.bytes) {
      return clause.grant
    }
    return nil
  }

  /// Whether this may be done at all: for what is about the whole service. A list of tenants then shows those
  /// for which `grant(_:someKeyOf:)` says yes. No token grants it.
  package func grant(_ permission: Permission) -> Grant? {
    guard !rolesConflict else { return nil }
    let bit = permission.bit
    for clause in clauses where clause.mask & bit != 0 && clause.isFree { return clause.grant }
    return nil
  }

  /// Whether this may be done to all that belongs to a tenant, whatever its keys are called.
  package func grant(_ permission: Permission, allOf tenant: TenantID) -> Grant? {
    guard !rolesConflict else { return nil }
    let bit = permission.bit
    for clause in clauses
    where clause.mask & bit != 0 && clause.keys.contains(.any) && clause.admits(bearer, tenant)
      && Self.any(of: clause.tenants, matches: tenant.bytes)
    {
      return clause.grant
    }
    return nil
  }

  /// Whether this may be done to everything there is: all tenants, and what belongs to none. No token grants it.
  package func grant(toAll permission: Permission) -> Grant? {
    guard !rolesConflict else { return nil }
    let bit = permission.bit
    for clause in clauses
    where clause.mask & bit != 0 && clause.isFree && clause.keys.contains(.any) && clause.tenants.contains(.any) {
      return clause.grant
    }
    return nil
  }

  private static func any(of patterns: [NamePattern], matches name: [UInt8]) -> Bool {
    for pattern in patterns where pattern.matches(name) { return true }
    return false
  }
}
