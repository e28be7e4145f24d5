package import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineEnvelopes
package import ChatelaineKeyStore
package import ChatelainePrimitives
internal import ChatelaineSecretMemory
package import ChatelaineVocabulary

extension KeyService {
  /// Makes a tenant key with version 1. `suite` is nil for MAC and index keys.
  package func createKey(
    _ name: KeyName, of tenant: TenantID, purpose: Purpose = .seal, suite: Suite? = .aes256GCM, by caller: Caller
  ) throws(ServiceError) -> AppendedEntry {
    precondition((suite != nil) == (purpose == .seal), "a suite belongs to keys that seal")
    let id = SecureRandom.identifier()
    let subject = Subject(operation: .keyCreate, tenant: tenant, keyName: name, keyID: id, keyVersion: 1)
    return try change(subject, by: caller) { (change) throws(ServiceError) in
      let owner = try self.activeTenant(tenant)
      guard try self.lookUp({ () throws(KeyStoreError) in try self.store.key(tenant, name) }) == nil else {
        throw .taken(record: "Key \(tenant.rawValue)/\(name.rawValue)")
      }
      let row = TenantKeyRow(
        tenant: tenant, name: name, id: id, purpose: purpose, suite: suite, state: .enabled,
        created: self.clock.wall(), currentVersion: 1, floorVersion: 1, budgetMessages: Limits.budgetMessagesDefault,
        budgetBytes: Limits.budgetBytesDefault)
      change.put(row)
      change.put(try self.newVersion(1, of: row, owner: owner))
    }
  }

  /// Adds a version and makes it current; older ones go on decrypting.
  package func rotateKey(_ name: KeyName, of tenant: TenantID, by caller: Caller) throws(ServiceError) -> UInt32 {
    let before = try existingKey(name, of: tenant)
    let subject = Subject(
      operation: .keyRotate, tenant: tenant, keyName: name, keyID: before.id, keyVersion: before.currentVersion + 1)
    _ = try change(subject, by: caller) { (change) throws(ServiceError) in
      let owner = try self.activeTenant(tenant)
      var row = try self.existingKey(name, of: tenant)
      // why: two rotations at once: the second finds another version than its intent names.
      guard row.currentVersion == before.currentVersion else { throw .taken(record: "The next version") }
      row.currentVersion += 1
      change.put(row)
      change.put(try self.newVersion(row.currentVersion, of: row, owner: owner))
    }
    return before.currentVersion + 1
  }

  /// Enables or disables a key, all versions at once.
  package func setKeyState(
    _ state: TenantKeyRow.State, _ name: KeyName, of tenant: TenantID, by caller: Caller
  ) throws(ServiceError) -> AppendedEntry {
    let before = try existingKey(name, of: tenant)
    let subject = Subject(
      operation: state == .enabled ? .keyEnable : .keyDisable, tenant: tenant, keyName: name, keyID: before.id,
      keyVersion: before.currentVersion)
    return try change(subject, by: caller) { (change) throws(ServiceError) in
      var row = try self.existingKey(name, of: tenant)
      row.state = state
      change.put(row)
    }
  }

  /// A tenant's keys in order of their names.
  package func keys(of tenant: TenantID) throws(ServiceError) -> [TenantKeyRow] {
    try lookUp { () throws(KeyStoreError) in
      var rows: [TenantKeyRow] = []
      for name in try store.keyNames(of: tenant) {
        if let row = try store.key(tenant, name) { rows.append(row) }
      }
      return rows
    }
  }

  /// A version of a tenant key, opened, with its row: what a cache of keys at hand holds.
  package func openKey(
    _ name: KeyName, of tenant: TenantID, version: UInt32? = nil
  ) throws(ServiceError) -> OpenedKey {
    let owner = try activeTenant(tenant)
    let row = try existingKey(name, of: tenant)
    guard row.state == .enabled else { throw .keyDisabled }
    let number = version ?? row.currentVersion
    guard number >= row.floorVersion, number <= row.currentVersion,
      let stored = try lookUp({ () throws(KeyStoreError) in try store.keyVersion(tenant, name, number) }),
      stored.state == .enabled, let wrapped = stored.wrapped
    else { throw .notFound }
    let record = "key \(tenant.rawValue)/\(name.rawValue) version \(number)"
    let root = try openRoot(owner)
    let wrapper = try wrapper()
    do throws(CommittingAEAD.Refusal) {
      let key = try wrapper.unwrap(
        wrapped, kind: .tenantKey, as: KeyReference(id: row.id, version: number), under: root,
        wrappingKeyReference: owner.root, binding: row.binding(versionCreated: stored.created))
      return OpenedKey(
        row: row, version: number, key: key.withBytes { DerivationKey($0) }, contextKey: root.deriveKey(.auditContext))
    } catch { throw .keyMaterial(.unwrap(record: record)) }
  }

  /// The version that an envelope names, where the key is one of this tenant.
  func openKey(_ reference: KeyReference, of tenant: TenantID) throws(ServiceError) -> OpenedKey {
    guard let row = try lookUp({ () throws(KeyStoreError) in try store.key(tenant, id: reference.id) }) else {
      throw .notFound
    }
    return try openKey(row.name, of: tenant, version: reference.version)
  }

  private func newVersion(
    _ version: UInt32, of row: TenantKeyRow, owner: TenantRow
  ) throws(ServiceError) -> KeyVersionRow {
    let created = clock.wall()
    let root = try openRoot(owner)
    let key = SecretBytes.random(count: DerivationKey.byteCount)
    let wrapped = try wrapper().wrap(
      key, kind: .tenantKey, as: KeyReference(id: row.id, version: version), under: root,
      wrappingKeyReference: owner.root, binding: row.binding(versionCreated: created))
    return KeyVersionRow(
      tenant: row.tenant, name: row.name, version: version, state: .enabled, created: created, wrapped: wrapped)
  }

  private func activeTenant(_ id: TenantID) throws(ServiceError) -> TenantRow {
    guard let row = try lookUp({ () throws(KeyStoreError) in try store.tenant(id) }), row.state == .active else {
      throw .notFound
    }
    return row
  }

  private func existingKey(_ name: KeyName, of tenant: TenantID) throws(ServiceError) -> TenantKeyRow {
    guard let row = try lookUp({ () throws(KeyStoreError) in try store.key(tenant, name) }) else { throw .notFound }
    return row
  }
}

/// One version of a tenant key in secret memory, with what its row says.
package final class OpenedKey: Sendable {
  package let row: TenantKeyRow
  package let version: UInt32
  package let key: DerivationKey
  /// Keys the context digests of the tenant's log entries.
  let contextKey: DerivationKey

  init(
    row: TenantKeyRow, version: UInt32, key: consuming DerivationKey, contextKey: consuming DerivationKey
  ) {
    self.row = row
    self.version = version
    self.key = key
    self.contextKey = contextKey
  }

  package var reference: KeyReference { KeyReference(id: row.id, version: version) }
}
