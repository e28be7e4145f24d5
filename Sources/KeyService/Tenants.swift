internal import ChatelaineAccessPolicy
package import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineCustody
internal import ChatelaineEnvelopes
internal import ChatelaineKeyStore
internal import ChatelainePrimitives
internal import ChatelaineSecretMemory
package import ChatelaineVocabulary

extension KeyService {
  /// Makes a tenant with a root of its own, wrapped by the primary master key.
  package func createTenant(
    _ id: TenantID, by caller: Caller, _ tags: RequestTags
  ) throws(ServiceError) -> AppendedEntry {
    var subject = Subject(operation: .tenantCreate, tenant: id)
    try permit(&subject, caller.grants.grant(.tenantCreate, someKeyOf: id), by: caller, tags)
    return try change(subject, by: caller, tags) { (change) throws(Refusal) in
      guard try self.lookUp({ () throws(KeyStoreError) in try self.store.tenant(id) }) == nil else {
        throw Refusal(.taken(record: "Tenant \(id.rawValue)"))
      }
      let root = SecretBytes.random(count: DerivationKey.byteCount)
      change.put(self.newTenant(id, root, wrappedBy: try self.wrapper(), under: try self.primaryMaster()))
    }
  }

  /// Freezes a tenant, or ends that. When it returns, no thread uses a key of a tenant that was frozen.
  package func setTenantState(
    isFrozen: Bool, _ id: TenantID, by caller: Caller, _ tags: RequestTags
  ) throws(ServiceError) -> AppendedEntry {
    var subject = Subject(operation: isFrozen ? .tenantFreeze : .tenantUnfreeze, tenant: id)
    let permission = isFrozen ? Permission.tenantFreeze : .tenantUnfreeze
    try permit(&subject, caller.grants.grant(permission, allOf: id), by: caller, tags)
    _ = try noting(subject, by: caller, tags) { () throws(Refusal) in try knownTenant(id) }
    return try change(subject, by: caller, tags) { (change) throws(Refusal) in
      var row = try self.knownTenant(id)
      row.state = isFrozen ? .frozen : .active
      change.put(row)
    }
  }

  /// The row of a tenant whose root this is.
  func newTenant(
    _ id: TenantID, _ root: borrowing SecretBytes, wrappedBy wrapper: KeyWrapper, under master: MasterKey
  ) -> TenantRow {
    let created = clock.wall()
    let reference = KeyReference(id: SecureRandom.identifier(), version: 1)
    let wrapped = wrapper.wrap(
      root, kind: .tenantRoot, as: reference, under: master.derivationKey, wrappingKeyReference: master.reference,
      binding: BindingHash.record(.init(tenant: id, created: created)))
    return TenantRow(id: id, root: reference, state: .active, created: created, wrappedRoot: wrapped)
  }
}
