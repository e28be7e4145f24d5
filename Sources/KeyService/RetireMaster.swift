internal import ChatelaineAccessPolicy
package import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineCustody
internal import ChatelaineKeyStore
internal import ChatelaineVocabulary
internal import Synchronization

extension KeyService {
  /// Takes a master version out of use, once no row needs it: from then on the service has it neither in its store's
  /// set nor in memory. Its number is never used again.
  ///
  /// Its file stays, for backups of the store still need it. The path that is returned is what the operator destroys
  /// when they no longer do, with every copy.
  package func retireMaster(
    _ version: UInt32, by caller: Caller, _ tags: RequestTags
  ) throws(ServiceError) -> (file: String, entry: AppendedEntry) {
    var subject = Subject(operation: .masterRetire)
    subject.leavesKeysAtHand = true
    subject.details = masterDetails(version, nil)
    try permit(&subject, caller.grants.grant(.masterRetire), by: caller, tags)
    do throws(Refusal) {
      let row = try retirable(version)
      subject.details = masterDetails(version, row.keyCheckValue)
      try refuseWhileNeeded(version, roots: try census()[version])
    } catch { throw try note(error, subject, by: caller, tags) }
    let entry = try change(subject, by: caller, tags) { (change) throws(Refusal) in
      var row = try self.retirable(version)
      // why: what was counted and kept up is good enough to look at; this cannot be taken back.
      let roots = try self.lookUp { () throws(KeyStoreError) in try change.countRoots(wrappedBy: version) }
      try self.refuseWhileNeeded(version, roots: roots)
      row.state = .retired
      change.put(row)
    }
    masters.withLock { $0 = $0.filter { key in key.reference.version != version } }
    return (keyringFile(version), entry)
  }

  private func retirable(_ version: UInt32) throws(Refusal) -> MasterVersionRow {
    guard let row = try masterRows().first(where: { $0.version == version }) else {
      throw Refusal(.master(.unknown(version: version)))
    }
    guard version != store.storeRow.primaryMasterVersion else { throw Refusal(.master(.primary(version: version))) }
    switch row.state {
    case .inUse:
      // why: its file is what the operator is told to destroy.
      let file = masterFiles([row]).filter { $0.key == version }
      try refuseOtherKeys(file)
      return row
    case .pending: throw Refusal(.master(.notCommitted(version: version)))
    case .retired: throw Refusal(.master(.retired(version: version)))
    }
  }

  private func refuseWhileNeeded(_ version: UInt32, roots: Int) throws(Refusal) {
    guard roots == 0 else { throw Refusal(.master(.needed(version: version, roots: roots))) }
  }
}
