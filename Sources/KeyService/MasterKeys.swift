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
  /// Files that are refused, of versions that nothing needs.
  package var faults: [MasterFileFault] = []

  package init() {}

  /// What the service keeps in memory.
  func usable(of keys: MasterKeySet) -> MasterKeySet {
    let others = Set(faults.map(\.version)).union(retired)
    return keys.filter { key in !others.contains(key.reference.version) && key.reference.version != lost }
  }
}

/// What a start has of the keyring.
struct GivenMasters {
  let keys: MasterKeySet
  /// Files that do not open: refused where they are needed.
  let refused: [UInt32: KeyringError]
  /// nil where nobody said.
  let directory: String?

  init(_ keys: MasterKeySet, refused: [UInt32: KeyringError] = [:], directory: String? = nil) {
    self.keys = keys
    self.refused = refused
    self.directory = directory
  }

  func path(_ version: UInt32) -> String { (directory.map { $0 + "/" } ?? "") + Keyring.fileName(version) }

  func missing(_ version: UInt32) -> StartError {
    guard let error = refused[version] else { return .store(.masterKey(.missingVersion(version))) }
    return .masterFile(MasterFileFault(version: version, kind: .refused(error)))
  }

  /// What the store says of the version that wraps its key, with the file's name.
  func told(_ error: KeyStoreError) -> StartError {
    switch error {
    case .masterKey(.missingVersion(let version)): missing(version)
    case .masterKey(.otherKey(let version, let store)):
      if let key = keys[version] {
        .masterFile(
          MasterFileFault(version: version, kind: .otherKey(path: path(version), file: key.keyCheckValue, store: store)))
      } else { .store(error) }
    default: .store(error)
    }
  }
}

extension KeyService {
  /// Refuses a store that needs a version that the keyring does not have, or has with another key.
  static func matchMasters(
    _ rows: [MasterVersionRow], _ given: GivenMasters
  ) throws(StartError) -> MasterReport {
    var report = MasterReport()
    for row in rows {
      let key = given.keys[row.version]
      let other = key.flatMap { otherKey(row, $0.keyCheckValue, path: given.path(row.version)) }
      switch row.state {
      case .inUse:
        guard key != nil else { throw given.missing(row.version) }
        if let other { throw .masterFile(other) }
      case .pending:
        if key != nil, other == nil { report.pending = row.version } else { report.lost = row.version }
        if let other { report.faults.append(other) }
      case .retired:
        if key != nil, other == nil { report.retired.append(row.version) }
        if let other { report.faults.append(other) }
      }
    }
    let known = Set(rows.map(\.version))
    report.unknown = given.keys.keys.map(\.reference.version).filter { !known.contains($0) }
    report.faults += given.refused.map { MasterFileFault(version: $0, kind: .refused($1)) }
    report.faults.sort { $0.version < $1.version }
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
