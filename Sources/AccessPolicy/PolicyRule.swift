package import ChatelaineVocabulary

/// One rule: these principals, in this role, may do this to these keys of these tenants.
package struct PolicyRule: Sendable, Equatable {
  /// Shown in the log entries of what it granted.
  package let name: String
  package let role: Role
  package let principals: [PrincipalPattern]
  package let tenants: [NamePattern]
  package let keys: [NamePattern]
  package let permissions: Set<Permission>
  /// The name of the token that the request must carry besides, for the tenant that it names; nil: none is needed.
  package let token: KeyName?
  /// Where in its file it stands, from 1.
  package let line: Int?

  package init(
    name: String, role: Role, principals: [PrincipalPattern], tenants: [NamePattern] = [.any],
    keys: [NamePattern] = [.any], permissions: Set<Permission>, token: KeyName? = nil, line: Int? = nil
  ) {
    self.name = name
    self.role = role
    self.principals = principals
    self.tenants = tenants
    self.keys = keys
    self.permissions = permissions
    self.token = token
    self.line = line
  }
}
