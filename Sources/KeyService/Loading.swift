internal import ChatelaineAuditTrail
internal import ChatelaineCustody
internal import ChatelaineEnvelopes
package import ChatelaineKeyStore
package import ChatelainePrimitives
internal import ChatelaineSecretMemory
package import ChatelaineVocabulary

extension KeyService {
  /// Reads and opens a key from the store: for a thread that may block.
  package func load(_ request: KeyRequest) -> LoadedKey {
    // why: the epoch of before the first read; a change that comes between makes the result stale.
    let stamp = epochs.stamp(of: request.tenant)
    do throws(Refusal) {
      return LoadedKey(request: request, found: .key(try open(request)), stamp: stamp)
    } catch {
      found(error.error)
      return LoadedKey(request: request, found: .refused(error), stamp: stamp)
    }
  }

  private func open(_ request: KeyRequest) throws(Refusal) -> OpenedKey {
    switch request {
    case .current(let tenant, let name): return try loadKey(name, of: tenant, version: nil)
    case .version(let tenant, let reference):
      _ = try activeTenant(tenant)
      guard let row = try lookUp({ () throws(KeyStoreError) in try store.key(tenant, id: reference.id) })
      else {
        throw Refusal(.notFound, .noSuchKey)
      }
      return try loadKey(row.name, of: tenant, version: reference.version)
    }
  }

  func loadKey(_ name: KeyName, of tenant: TenantID, version: UInt32?) throws(Refusal) -> OpenedKey {
    let records = try lookUp({ () throws(KeyStoreError) in try store.records(tenant, name, version: version) })
    let owner = try active(records.tenant)
    guard let row = records.key else { throw Refusal(.notFound, .noSuchKey) }
    do throws(Refusal) {
      return try unwrap(row, of: owner, version ?? row.currentVersion, records.version)
    } catch { throw Refusal(error.error, error.reason, keyName: name) }
  }

  private func unwrap(
    _ row: TenantKeyRow, of owner: TenantRow, _ version: UInt32, _ stored: KeyVersionRow?
  ) throws(Refusal) -> OpenedKey {
    guard row.state == .enabled else { throw Refusal(.keyDisabled) }
    let stored = try usable(stored, version, of: row)
    guard let wrapped = stored.wrapped else { throw Refusal(.notFound, .keyDestroyed) }
    let record = "key \(owner.id.rawValue)/\(row.name.rawValue) version \(version)"
    let root = try openRoot(owner)
    let wrapper = try wrapper()
    do throws(CommittingAEAD.Refusal) {
      let key = try wrapper.unwrap(
        wrapped, kind: .tenantKey, as: KeyReference(id: row.id, version: version), under: root,
        wrappingKeyReference: owner.root, binding: row.binding(versionCreated: stored.created))
      return OpenedKey(
        row: row, version: version, key: key.withBytes { DerivationKey($0) },
        contextKey: root.deriveKey(.auditContext))
    } catch { throw Refusal(.keyMaterial(.unwrap(record: record))) }
  }

  private func usable(
    _ stored: KeyVersionRow?, _ version: UInt32, of row: TenantKeyRow
  ) throws(Refusal) -> KeyVersionRow {
    guard version >= 1, version <= row.currentVersion else { throw Refusal(.notFound, .noSuchKey) }
    guard version >= row.floorVersion else { throw Refusal(.notFound, .belowFloor) }
    guard let stored else { throw Refusal(.notFound, .noSuchKey) }
    switch stored.state {
    case .enabled: return stored
    case .disabled: throw Refusal(.notFound, .keyDisabled)
    case .pendingDestruction, .destroyed: throw Refusal(.notFound, .keyDestroyed)
    }
  }

  func activeTenant(_ id: TenantID) throws(Refusal) -> TenantRow {
    try active(try lookUp { () throws(KeyStoreError) in try store.tenant(id) })
  }

  /// As above, or frozen: for looking at its keys, and for closing them.
  func knownTenant(_ id: TenantID) throws(Refusal) -> TenantRow {
    guard let row = try lookUp({ () throws(KeyStoreError) in try store.tenant(id) }) else {
      throw Refusal(.notFound, .noSuchTenant)
    }
    return row.state == .frozen ? row : try active(row)
  }

  private func active(_ row: TenantRow?) throws(Refusal) -> TenantRow {
    guard let row else { throw Refusal(.notFound, .noSuchTenant) }
    switch row.state {
    case .active: return row
    case .frozen: throw Refusal(.tenantFrozen)
    case .erased: throw Refusal(.notFound, .tenantErased)
    }
  }

  func existingKey(_ name: KeyName, of tenant: TenantID) throws(Refusal) -> TenantKeyRow {
    guard let row = try lookUp({ () throws(KeyStoreError) in try store.key(tenant, name) }) else {
      throw Refusal(.notFound, .noSuchKey)
    }
    return row
  }

  func lookUp<Value>(_ body: () throws(KeyStoreError) -> Value) throws(Refusal) -> Value {
    do throws(KeyStoreError) { return try body() } catch { throw Refusal(ServiceError(error)) }
  }

  func primaryMaster() throws(Refusal) -> MasterKey {
    let version = store.storeRow.primaryMasterVersion
    guard let master = masterKeys[version] else {
      throw Refusal(.keyMaterial(.missingMasterVersion(version)))
    }
    return master
  }

  func wrapper() throws(Refusal) -> KeyWrapper {
    do throws(CipherUnavailable) { return try KeyWrapper() } catch {
      throw Refusal(.keyMaterial(.cipherUnavailable))
    }
  }

  /// The opened root of a tenant.
  func openRoot(_ tenant: TenantRow) throws(Refusal) -> DerivationKey {
    guard let wrapped = tenant.wrappedRoot else { throw Refusal(.notFound, .tenantErased) }
    let version = wrapped.wrappingKey.version
    guard let master = masterKeys[version] else {
      throw Refusal(.keyMaterial(.missingMasterVersion(version)))
    }
    let wrapper = try wrapper()
    do throws(CommittingAEAD.Refusal) {
      let root = try wrapper.unwrap(
        wrapped, kind: .tenantRoot, as: tenant.root, under: master.derivationKey,
        wrappingKeyReference: master.reference, binding: tenant.binding)
      return root.withBytes { DerivationKey($0) }
    } catch { throw Refusal(.keyMaterial(.unwrap(record: "tenant \(tenant.id.rawValue)"))) }
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
