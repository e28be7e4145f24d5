package import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineCustody
internal import ChatelaineEnvelopes
package import ChatelaineKeyStore
internal import ChatelainePrimitives
internal import ChatelaineSecretMemory
package import ChatelaineVocabulary

extension KeyService {
  /// Makes a tenant with a root of its own, wrapped by the primary master key.
  package func createTenant(_ id: TenantID, by caller: Caller) throws(ServiceError) -> AppendedEntry {
    let subject = Subject(operation: .tenantCreate, tenant: id)
    return try change(subject, by: caller) { (change) throws(ServiceError) in
      guard try self.lookUp({ () throws(KeyStoreError) in try self.store.tenant(id) }) == nil else {
        throw .taken(record: "Tenant \(id.rawValue)")
      }
      let master = try self.primaryMaster()
      let created = self.clock.wall()
      let reference = KeyReference(id: SecureRandom.identifier(), version: 1)
      let root = SecretBytes.random(count: DerivationKey.byteCount)
      let wrapped = try self.wrapper().wrap(
        root, kind: .tenantRoot, as: reference, under: master.derivationKey, wrappingKeyReference: master.reference,
        binding: BindingHash.record(.init(tenant: id, created: created)))
      change.put(TenantRow(id: id, root: reference, state: .active, created: created, wrappedRoot: wrapped))
    }
  }

  /// Tenants in order of their ids, a page at a time.
  package func tenants(after: TenantID? = nil, limit: Int) throws(ServiceError) -> [TenantRow] {
    try lookUp { () throws(KeyStoreError) in
      var rows: [TenantRow] = []
      for id in try store.tenantIDs(after: after, limit: limit) {
        if let row = try store.tenant(id) { rows.append(row) }
      }
      return rows
    }
  }

  // MARK: Shared by the use cases

  func lookUp<Value>(_ body: () throws(KeyStoreError) -> Value) throws(ServiceError) -> Value {
    do throws(KeyStoreError) { return try body() } catch { throw ServiceError(error) }
  }

  func primaryMaster() throws(ServiceError) -> MasterKey {
    let version = store.storeRow.primaryMasterVersion
    guard let master = masterKeys[version] else { throw .keyMaterial(.missingMasterVersion(version)) }
    return master
  }

  func wrapper() throws(ServiceError) -> KeyWrapper {
    do throws(CipherUnavailable) { return try KeyWrapper() } catch { throw .keyMaterial(.cipherUnavailable) }
  }

  /// The opened root of a tenant.
  func openRoot(_ tenant: TenantRow) throws(ServiceError) -> DerivationKey {
    guard let wrapped = tenant.wrappedRoot else { throw .notFound }
    let version = wrapped.wrappingKey.version
    guard let master = masterKeys[version] else { throw .keyMaterial(.missingMasterVersion(version)) }
    let wrapper = try wrapper()
    do throws(CommittingAEAD.Refusal) {
      let root = try wrapper.unwrap(
        wrapped, kind: .tenantRoot, as: tenant.root, under: master.derivationKey,
        wrappingKeyReference: master.reference, binding: tenant.binding)
      return root.withBytes { DerivationKey($0) }
    } catch { throw .keyMaterial(.unwrap(record: "tenant \(tenant.id.rawValue)")) }
  }
}
