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
    let root = SecretBytes.random(count: DerivationKey.byteCount)
    let tenant = newTenant(id, root, wrappedBy: wrapper, under: master)
    let key = newKey(SecureRandom.identifier(), name, of: id, .seal, .aes256GCM)
    change.put(tenant)
    change.put(key)
    let opened = root.withBytes { DerivationKey($0) }
    change.put(newVersion(1, of: key, wrappedBy: wrapper, under: opened, tenant.root))
  }
}
