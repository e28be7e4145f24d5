internal import ChatelaineAuditTrail
package import ChatelaineCustody
internal import ChatelaineKeyStore
internal import ChatelaineVocabulary
internal import Synchronization

/// The keyring of a running service, and who makes new versions in it.
package struct ServiceKeyring: Sendable {
  package let place: KeyringPlace
  /// Else they are made on the operator's side, and the keyring is only read.
  package let makesVersions: Bool

  package init(_ place: KeyringPlace, makesVersions: Bool) {
    self.place = place
    self.makesVersions = makesVersions
  }
}

/// How keyring and store go together, beyond what a start refuses.
package struct MasterReport: Equatable, Sendable {
  /// In the keyring and unknown to the store: not used.
  package var unknown: [UInt32] = []
  /// Retired, and still in the keyring: not kept in memory.
  package var retired: [UInt32] = []
  /// Waits for its second copy to be confirmed.
  package var pending: UInt32?
  /// Waited for that, and is not in the keyring as it was made.
  package var lost: UInt32?

  package init() {}

  /// What the service keeps in memory.
  func usable(of keys: MasterKeySet) -> MasterKeySet {
    keys.filter { key in !retired.contains(key.reference.version) && key.reference.version != lost }
  }
}

extension KeyService {
  /// Refuses a store that needs a version that the keyring does not have.
  static func matchMasters(_ rows: [MasterVersionRow], _ keys: MasterKeySet) throws(KeyStoreError) -> MasterReport {
    var report = MasterReport()
    for row in rows {
      let key = keys[row.version]
      switch row.state {
      case .inUse:
        guard let key else { throw .masterKey(.missingVersion(row.version)) }
        guard key.keyCheckValue == row.keyCheckValue else { throw .masterKey(.otherKey(version: row.version)) }
      case .pending:
        if key?.keyCheckValue == row.keyCheckValue { report.pending = row.version } else { report.lost = row.version }
      case .retired:
        if key != nil { report.retired.append(row.version) }
      }
    }
    let known = Set(rows.map(\.version))
    report.unknown = keys.keys.map(\.reference.version).filter { !known.contains($0) }
    return report
  }

  /// The versions as the store has them.
  func masterRows() throws(Refusal) -> [MasterVersionRow] {
    try lookUp { () throws(KeyStoreError) in try store.masterVersions() }
  }

  /// The rotation to the primary version, where rows may be left to rewrap.
  func unfinishedRotation() throws(Refusal) -> RotationRow? {
    let primary = store.storeRow.primaryMasterVersion
    let rotation = try lookUp { () throws(KeyStoreError) in try store.rotation(to: primary) }
    return rotation?.finished == nil ? rotation : nil
  }

  func census() throws(Refusal) -> Census { try lookUp { () throws(KeyStoreError) in try store.census() } }

  /// Looks into the keyring as it is now.
  func inKeyring<Value>(
    _ body: (borrowing Keyring) throws(KeyringError) -> Value
  ) throws(Refusal) -> Value {
    guard let keyring else { throw Refusal(.master(.operatorMakesVersions(reason: .configured))) }
    do throws(KeyringError) { return try body(keyring.place.keyring()) } catch { throw Refusal(.keyring(error)) }
  }

  /// What entries about a version say of it.
  func masterDetails(_ version: UInt32, _ keyCheckValue: Digest?) -> [AuditEntry.Detail] {
    var details: [AuditEntry.Detail] = []
    if let keyCheckValue { details.append(.init(.keyCheckValue, keyCheckValue.bytes)) }
    var writer = ByteWriter(capacity: 4)
    writer.u32(version)
    details.append(.init(.version, writer.bytes))
    return details
  }
}
