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
  /// Makes tenants that are not there yet, each with a root and one key, in one change: how a store of a million comes
  /// about in minutes, for measuring and for trying out.
  ///
  /// One intent and one outcome stand for all, which say how many they are and name none of them: no door leads here.
  package func createTenants(
    _ ids: [TenantID], eachWithKey name: KeyName, by caller: Caller, _ tags: RequestTags
  ) throws(ServiceError) -> AppendedEntry {
    var subject = Subject(operation: .tenantCreate)
    subject.details = [.init(.count, ByteWriter.u64Bytes(UInt64(ids.count)))]
    for id in ids {
      try permit(&subject, caller.grants.grant(.tenantCreate, someKeyOf: id), by: caller, tags)
      try permit(&subject, caller.grants.grant(.keyCreate, tenant: id, key: name), by: caller, tags)
    }
    return try change(subject, by: caller, tags) { (change) throws(Refusal) in
      if let there = try self.lookUp({ () throws(KeyStoreError) in try self.store.firstTenant(among: ids) }) {
        throw Refusal(.taken(record: "Tenant \(there.rawValue)"))
      }
      let master = try self.primaryMaster()
      let wrapper = try self.wrapper()
      for id in ids { self.put(id, name, in: &change, wrapper, master) }
    }
  }

  private func put(
    _ id: TenantID, _ name: KeyName, in change: inout KeyStore.Change, _ wrapper: KeyWrapper, _ master: MasterKey
  ) {
    let created = clock.wall()
    let reference = KeyReference(id: SecureRandom.identifier(), version: 1)
    let root = SecretBytes.random(count: DerivationKey.byteCount)
    let wrappedRoot = wrapper.wrap(
      root, kind: .tenantRoot, as: reference, under: master.derivationKey, wrappingKeyReference: master.reference,
      binding: BindingHash.record(.init(tenant: id, created: created)))
    change.put(TenantRow(id: id, root: reference, state: .active, created: created, wrappedRoot: wrappedRoot))
    let row = TenantKeyRow(
      tenant: id, name: name, id: SecureRandom.identifier(), purpose: .seal, suite: .aes256GCM, state: .enabled,
      created: created, currentVersion: 1, floorVersion: 1, budgetMessages: Limits.budgetMessagesDefault,
      budgetBytes: Limits.budgetBytesDefault)
    change.put(row)
    let key = SecretBytes.random(count: DerivationKey.byteCount)
    let wrapped = wrapper.wrap(
      key, kind: .tenantKey, as: KeyReference(id: row.id, version: 1), under: root.withBytes { DerivationKey($0) },
      wrappingKeyReference: reference, binding: row.binding(versionCreated: created))
    change.put(
      KeyVersionRow(tenant: id, name: name, version: 1, state: .enabled, created: created, wrapped: wrapped))
  }
}
