/// Whoever carries a token that was verified: by which name it is known here, for which tenants, and for whom it says that it is.
package struct Bearer: Hashable, Sendable {
  /// Of the issuer, or of the token itself where it is a static one.
  package let name: KeyName
  /// The only tenants that it is good for; no pattern.
  package let tenants: [TenantID]
  /// The `sub` claim; empty where there is none.
  package let subject: [UInt8]

  package init(name: KeyName, tenants: [TenantID], subject: [UInt8] = []) {
    self.name = name
    self.tenants = tenants
    self.subject = subject
  }

  /// Whether the token names this tenant: byte by byte, and without an allocation.
  package func isFor(_ tenant: TenantID) -> Bool {
    for one in tenants where one == tenant { return true }
    return false
  }

  /// What the log and the policy call it: `platform`, `platform/alice`.
  package var text: [UInt8] { name.bytes + (subject.isEmpty ? [] : [UInt8(ascii: "/")] + subject) }
}
