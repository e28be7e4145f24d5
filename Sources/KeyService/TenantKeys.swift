internal import ChatelaineAccessPolicy
package import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineEnvelopes
package import ChatelaineKeyStore
internal import ChatelainePrimitives
internal import ChatelaineSecretMemory
package import ChatelaineVocabulary

extension KeyService {
  /// Makes a tenant key with version 1. `suite` is nil for MAC and index keys.
  package func createKey(
    _ name: KeyName, of tenant: TenantID, purpose: Purpose = .seal, suite: Suite? = .aes256GCM,
    by caller: Caller,
    _ tags: RequestTags
  ) throws(ServiceError) -> AppendedEntry {
    precondition((suite != nil) == (purpose == .seal), "a suite belongs to keys that seal")
    let id = SecureRandom.identifier()
    var subject = Subject(operation: .keyCreate, tenant: tenant, keyName: name, keyID: id, keyVersion: 1)
    try permit(&subject, caller.grants.grant(.keyCreate, tenant: tenant, key: name), by: caller, tags)
    return try change(subject, by: caller, tags) { (change) throws(Refusal) in
      let owner = try self.activeTenant(tenant)
      guard try self.lookUp({ () throws(KeyStoreError) in try self.store.key(tenant, name) }) == nil else {
        throw Refusal(.taken(record: "Key \(tenant.rawValue)/\(name.rawValue)"))
      }
      let row = self.newKey(id, name, of: tenant, purpose, suite)
      change.put(row)
      change.put(try self.newVersion(1, of: row, owner: owner))
    }
  }

  /// Adds a version and makes it current; older ones go on decrypting.
  package func rotateKey(
    _ name: KeyName, of tenant: TenantID, by caller: Caller, _ tags: RequestTags
  ) throws(ServiceError) -> UInt32 {
    var subject = Subject(operation: .keyRotate, tenant: tenant, keyName: name)
    try permit(&subject, caller.grants.grant(.keyRotate, tenant: tenant, key: name), by: caller, tags)
    let before = try knownKey(&subject, by: caller, tags)
    subject.keyVersion += 1
    _ = try change(subject, by: caller, tags) { (change) throws(Refusal) in
      let owner = try self.activeTenant(tenant)
      var row = try self.existingKey(name, of: tenant)
      // why: two rotations at once: the second finds another version than its intent names.
      guard row.currentVersion == before.currentVersion else { throw Refusal(.conflict) }
      row.currentVersion += 1
      change.put(row)
      change.put(try self.newVersion(row.currentVersion, of: row, owner: owner))
    }
    return before.currentVersion + 1
  }

  /// Enables or disables a key, all versions at once. When it returns, no thread uses what the key was
  /// before.
  package func setKeyState(
    _ state: TenantKeyRow.State, _ name: KeyName, of tenant: TenantID, by caller: Caller, _ tags: RequestTags
  ) throws(ServiceError) -> AppendedEntry {
    let isEnabling = state == .enabled
    var subject = Subject(operation: isEnabling ? .keyEnable : .keyDisable, tenant: tenant, keyName: name)
    let permission = isEnabling ? Permission.keyEnable : .keyDisable
    try permit(&subject, caller.grants.grant(permission, tenant: tenant, key: name), by: caller, tags)
    _ = try knownKey(&subject, by: caller, tags)
    return try change(subject, by: caller, tags) { (change) throws(Refusal) in
      var row = try self.existingKey(name, of: tenant)
      row.state = state
      change.put(row)
    }
  }

  /// The key that a change is about; one that is not there is noted.
  private func knownKey(
    _ subject: inout Subject, by caller: Caller, _ tags: RequestTags
  ) throws(ServiceError) -> TenantKeyRow {
    guard let tenant = subject.tenant, let name = subject.keyName else {
      preconditionFailure("no key is named")
    }
    do throws(Refusal) {
      _ = try knownTenant(tenant)
      let row = try existingKey(name, of: tenant)
      subject.keyID = row.id
      subject.keyVersion = row.currentVersion
      return row
    } catch { throw try note(error, subject, by: caller, tags) }
  }

  /// A version of a tenant key, opened, with its row.
  package func openKey(
    _ name: KeyName, of tenant: TenantID, version: UInt32? = nil
  ) throws(ServiceError) -> OpenedKey {
    try telling { () throws(Refusal) in try loadKey(name, of: tenant, version: version) }
  }

  /// The row of a key whose first version is to follow.
  func newKey(
    _ id: Identifier, _ name: KeyName, of tenant: TenantID, _ purpose: Purpose, _ suite: Suite?
  ) -> TenantKeyRow {
    TenantKeyRow(
      tenant: tenant, name: name, id: id, purpose: purpose, suite: suite, state: .enabled, created: clock.wall(),
      currentVersion: 1, floorVersion: 1, budgetMessages: Limits.budgetMessagesDefault,
      budgetBytes: Limits.budgetBytesDefault)
  }

  private func newVersion(_ version: UInt32, of row: TenantKeyRow, owner: TenantRow) throws(Refusal)
    -> KeyVersionRow
  {
    newVersion(version, of: row, wrappedBy: try wrapper(), under: try openRoot(owner), owner.root)
  }

  /// A fresh key as a version, wrapped under its tenant's root.
  func newVersion(
    _ version: UInt32, of row: TenantKeyRow, wrappedBy wrapper: KeyWrapper, under root: borrowing DerivationKey,
    _ reference: KeyReference
  ) -> KeyVersionRow {
    let created = clock.wall()
    let key = SecretBytes.random(count: DerivationKey.byteCount)
    let wrapped = wrapper.wrap(
      key, kind: .tenantKey, as: KeyReference(id: row.id, version: version), under: root,
      wrappingKeyReference: reference, binding: row.binding(versionCreated: created))
    return KeyVersionRow(
      tenant: row.tenant, name: row.name, version: version, state: .enabled, created: created,
      wrapped: wrapped)
  }
}
