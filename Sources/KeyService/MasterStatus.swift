internal import ChatelaineAccessPolicy
internal import ChatelaineAuditTrail
package import ChatelaineCustody
package import ChatelaineKeyStore
package import ChatelaineVocabulary

/// How the master key stands: its versions, and what is wrapped by each.
package struct MasterStatus: Sendable {
  package enum State: String, Sendable {
    case primary
    case inUse = "in-use"
    case pending
    case retired
    /// In the keyring, and unknown to the store.
    case unknown
  }

  package struct Version: Sendable {
    package let version: UInt32
    /// nil where it is not in use yet: who commits it has the value from its second copy.
    package let keyCheckValue: Digest?
    package let state: State
    package let created: WallTime
    /// nil where the keyring does not have it, or not as it should.
    package let seal: KeyringFile.Seal?
    /// What is wrong with its file.
    package let fault: MasterFileFault?
    /// Tenant roots on it.
    package let roots: Int
    /// Nothing needs it: it can be retired.
    package let isSafeToRetire: Bool
  }

  package let versions: [Version]
  package let roots: Int
  /// The newest rotation.
  package let rotation: RotationRow?
  /// Why the rewrapping does not go on.
  package let stalledBy: ServiceError?

  package var primary: Version? { versions.first { $0.state == .primary } }
}

extension KeyService {
  package func masterStatus(by caller: Caller, _ tags: RequestTags) throws(ServiceError) -> MasterStatus {
    var subject = Subject(operation: .readMaster)
    try permit(&subject, caller.grants.grant(.masterStatus), by: caller, tags)
    let status: MasterStatus
    do throws(Refusal) { status = try masterStatus() } catch { throw try note(error, subject, by: caller, tags) }
    try noteRead(subject, by: caller, tags)
    return status
  }

  func masterStatus() throws(Refusal) -> MasterStatus {
    let (primary, rotation, census) = try newestRotation()
    let rows = try masterRows()
    let files = masterFiles(rows)
    let known = rows.map { row in
      version(row, primary: primary, roots: census[row.version], files[row.version] ?? MasterFile())
    }
    let unknown = files.filter { file in !rows.contains { $0.version == file.key } }.map { version, file in
      MasterStatus.Version(
        version: version, keyCheckValue: nil, state: .unknown, created: file.header?.created ?? WallTime(nanoseconds: 0),
        seal: file.header?.seal, fault: file.fault, roots: 0, isSafeToRetire: false)
    }
    return MasterStatus(
      versions: (known + unknown).sorted { $0.version < $1.version }, roots: census.total,
      rotation: rotation, stalledBy: rewrapping.stalledBy)
  }

  /// why: the roots are counted behind the rotation, so that one that has ended has moved all of them.
  private func newestRotation() throws(Refusal) -> (primary: UInt32, rotation: RotationRow?, census: Census) {
    while true {
      let primary = store.storeRow.primaryMasterVersion
      let rotation = try lookUp { () throws(KeyStoreError) in try store.rotation(to: primary) }
      let census = try census()
      if store.storeRow.primaryMasterVersion == primary { return (primary, rotation, census) }
    }
  }

  private func version(
    _ row: MasterVersionRow, primary: UInt32, roots: Int, _ file: MasterFile
  ) -> MasterStatus.Version {
    let state: MasterStatus.State =
      switch row.state {
      case .inUse: row.version == primary ? .primary : .inUse
      case .pending: .pending
      case .retired: .retired
      }
    return MasterStatus.Version(
      version: row.version, keyCheckValue: row.state == .pending ? nil : row.keyCheckValue, state: state,
      created: row.created, seal: file.fault == nil ? file.header?.seal : nil, fault: file.fault, roots: roots,
      isSafeToRetire: state == .inUse && roots == 0)
  }
}
