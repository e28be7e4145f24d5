/// Why rules are not a policy. Rules are counted from 0, in their order.
package enum PolicyError: Error, Equatable {
  /// The name is not 1 to 64 characters of `a-z 0-9 . _ -`.
  case name(rule: Int)
  case duplicateName(rule: Int, earlier: Int)
  case nobody(rule: Int)
  case noTenants(rule: Int)
  case noKeys(rule: Int)
  case nothingAllowed(rule: Int)
  case listTooLong(rule: Int)
  case tooManyRules
  case outsideRole(rule: Int, Permission)
  /// An earlier rule of another role is about the same principal.
  case twoRoles(rule: Int, earlier: Int, PrincipalPattern)

  /// The rule to be mended.
  package var rule: Int? {
    switch self {
    case .name(let rule), .duplicateName(let rule, _), .nobody(let rule), .noTenants(let rule),
      .noKeys(let rule),
      .nothingAllowed(let rule), .listTooLong(let rule), .outsideRole(let rule, _), .twoRoles(let rule, _, _):
      rule
    case .tooManyRules: nil
    }
  }
}
