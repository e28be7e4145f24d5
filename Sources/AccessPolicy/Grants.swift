package import ChatelaineVocabulary

/// The rules that concern one principal. It is asked for every request: on the way to "yes" it allocates nothing.
package struct Grants: Sendable {
  /// The rule that said yes, for the log entry.
  package struct Grant: Sendable, Equatable {
    package let rule: [UInt8]
    package let role: [UInt8]
  }

  /// Nothing is allowed.
  package static let none = Grants(clauses: [], rolesConflict: false)
  static let conflicting = Grants(clauses: [], rolesConflict: true)

  private struct Clause: Sendable {
    let mask: UInt32
    let tenants: [NamePattern]
    let keys: [NamePattern]
    let grant: Grant
  }

  private let clauses: [Clause]
  /// Whether everything is denied because uid and group come to different roles.
  package let rolesConflict: Bool

  private init(clauses: [Clause], rolesConflict: Bool) {
    self.clauses = clauses
    self.rolesConflict = rolesConflict
  }

  init(_ rules: [PolicyRule]) {
    clauses = rules.map { rule in
      Clause(
        mask: rule.permissions.reduce(0) { $0 | $1.bit }, tenants: rule.tenants, keys: rule.keys,
        grant: Grant(rule: Array(rule.name.utf8), role: Array(rule.role.rawValue.utf8)))
    }
    rolesConflict = false
  }

  /// Whether this may be done to this key, and by which rule: the first that says yes.
  package func grant(_ permission: Permission, tenant: TenantID, key: KeyName) -> Grant? {
    let bit = permission.bit
    for clause in clauses
    where clause.mask & bit != 0 && Self.any(of: clause.tenants, matches: tenant.bytes)
      && Self.any(of: clause.keys, matches: key.bytes)
    {
      return clause.grant
    }
    return nil
  }

  /// Whether this may be done to some key of this tenant, or to the tenant itself. The key is asked for again when
  /// it is known: for an envelope that is after it was read.
  package func grant(_ permission: Permission, someKeyOf tenant: TenantID) -> Grant? {
    let bit = permission.bit
    for clause in clauses
    where clause.mask & bit != 0 && Self.any(of: clause.tenants, matches: tenant.bytes) {
      return clause.grant
    }
    return nil
  }

  /// Whether this may be done at all: for what is about the whole service. A list of tenants then shows those
  /// for which `grant(_:someKeyOf:)` says yes.
  package func grant(_ permission: Permission) -> Grant? {
    let bit = permission.bit
    for clause in clauses where clause.mask & bit != 0 { return clause.grant }
    return nil
  }

  /// Whether this may be done to all that belongs to a tenant, whatever its keys are called.
  package func grant(_ permission: Permission, allOf tenant: TenantID) -> Grant? {
    let bit = permission.bit
    for clause in clauses
    where clause.mask & bit != 0 && clause.keys.contains(.any) && Self.any(of: clause.tenants, matches: tenant.bytes) {
      return clause.grant
    }
    return nil
  }

  /// Whether this may be done to everything there is: all tenants, and what belongs to none.
  package func grant(toAll permission: Permission) -> Grant? {
    let bit = permission.bit
    for clause in clauses
    where clause.mask & bit != 0 && clause.keys.contains(.any) && clause.tenants.contains(.any) {
      return clause.grant
    }
    return nil
  }

  private static func any(of patterns: [NamePattern], matches name: [UInt8]) -> Bool {
    for pattern in patterns where pattern.matches(name) { return true }
    return false
  }
}
