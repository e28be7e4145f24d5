internal import ChatelaineAccessPolicy
package import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineCustody
internal import ChatelaineEnvelopes
internal import ChatelaineKeyStore
internal import ChatelainePrimitives
internal import ChatelaineSecretMemory
package import ChatelaineVocabulary
internal import Synchronization

extension KeyService {
  /// Makes the pending master version the primary one, and rewraps the store key in the same transaction. The tenants'
  /// roots follow in the background.
  ///
  /// `keyCheckValue` is what `chatelaine keyring check` said of the second copy; nil: there is none, and the log says so.
  package func commitMaster(
    _ keyCheckValue: Digest?, by caller: Caller, _ tags: RequestTags
  ) throws(ServiceError) -> (version: UInt32, entry: AppendedEntry) {
    var subject = Subject(operation: .masterCommit)
    subject.leavesKeysAtHand = true
    let permission = keyCheckValue == nil ? Permission.masterRotate : .masterCommit
    try permit(&subject, caller.grants.grant(permission), by: caller, tags)
    let pending: MasterVersionRow
    do throws(Refusal) { pending = try pendingVersion(keyCheckValue) } catch {
      throw try note(error, subject, by: caller, tags)
    }
    let copies = keyCheckValue == nil ? "single copy" : "second copy checked"
    subject.details = masterDetails(pending.version, pending.keyCheckValue)
    subject.details.insert(.init(.note, Array(copies.utf8)), at: 1)
    let entry = try change(subject, by: caller, tags) { (change) throws(Refusal) in
      guard try self.pendingVersion(keyCheckValue) == pending else { throw Refusal(.conflict) }
      let master = try self.confirmedMaster(pending)
      var row = pending
      row.state = .inUse
      change.put(row)
      change.put(RotationRow(version: pending.version, started: self.clock.wall()))
      change.setPrimaryMaster(pending.version, wrappedStoreKey: try self.rewrappedStoreKey(under: master))
    }
    resumeRewrapping()
    return (pending.version, entry)
  }

  private func pendingVersion(_ keyCheckValue: Digest?) throws(Refusal) -> MasterVersionRow {
    guard let pending = try masterRows().first(where: { $0.state == .pending }) else {
      throw Refusal(.master(.nothingPending))
    }
    guard keyCheckValue == nil || keyCheckValue == pending.keyCheckValue else {
      throw Refusal(.otherKeyCheckValue(version: pending.version))
    }
    return pending
  }

  /// The key, once its file was read again and is on the disk. Where it was not there at the start, it is read now.
  private func confirmedMaster(_ row: MasterVersionRow) throws(Refusal) -> MasterKey {
    if let fault = masterFiles([row])[row.version]?.fault {
      switch fault.kind {
      case .refused(.fileMissing): throw Refusal(.master(.pendingLost(version: row.version)))
      case .refused(let error): throw Refusal(.keyring(error))
      case .otherKey: throw Refusal(.master(.otherFile(fault)))
      }
    }
    let master = try pendingMaster(row)
    try inKeyring { (ring) throws(KeyringError) in try ring.confirm(master) }
    return master
  }

  private func pendingMaster(_ row: MasterVersionRow) throws(Refusal) -> MasterKey {
    if let master = masterKeys[row.version], master.keyCheckValue == row.keyCheckValue { return master }
    let header = try inKeyring { (ring) throws(KeyringError) in try ring.header(row.version) }
    guard header.seal == .file else { throw Refusal(.master(.needsRestart(version: row.version))) }
    let master = try inKeyring { (ring) throws(KeyringError) in try ring.open(row.version, passphrase: nil) }
    guard master.keyCheckValue == row.keyCheckValue, master.reference.id == masterKeys.keyringID else {
      throw Refusal(.master(.pendingLost(version: row.version)))
    }
    // why: before it is primary, for the next tenant is wrapped by it.
    masters.withLock { $0 = $0.adding(master) }
    return master
  }

  private func rewrappedStoreKey(under master: MasterKey) throws(Refusal) -> WrappedKey {
    let head = store.storeRow
    let old = head.wrappedStoreKey
    guard let current = masterKeys[old.wrappingKey.version] else {
      throw Refusal(.keyMaterial(.missingMasterVersion(old.wrappingKey.version)))
    }
    let binding = KeyStore.storeKeyBinding(created: head.created)
    let wrapper = try wrapper()
    do throws(CommittingAEAD.Refusal) {
      let key = try wrapper.unwrap(
        old, kind: .storeKey, as: old.key, under: current.derivationKey, wrappingKeyReference: current.reference,
        binding: binding)
      return wrapper.wrap(
        key, kind: .storeKey, as: old.key, under: master.derivationKey, wrappingKeyReference: master.reference,
        binding: binding)
    } catch { throw Refusal(.keyMaterial(.unwrap(record: "the store"))) }
  }
}
