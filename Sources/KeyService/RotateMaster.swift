internal import ChatelaineAccessPolicy
package import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineCustody
internal import ChatelaineKeyStore
internal import ChatelaineVocabulary
internal import Synchronization

/// A master version that was just taken into the store.
package struct NewMaster: Sendable {
  package let version: UInt32
  /// Where its file is.
  package let file: String
  /// False while its second copy is to be confirmed.
  package let isPrimary: Bool
  package let entry: AppendedEntry
}

extension KeyService {
  /// Begins a rotation of the master key: a new version, durable in the keyring and checked, recorded as pending. It
  /// wraps nothing until it is committed; with `singleCopy` that is at once.
  ///
  /// A version that is in the keyring and unknown to the store is taken up; else the service makes one, where it may.
  package func rotateMaster(
    singleCopy: Bool, by caller: Caller, _ tags: RequestTags
  ) throws(ServiceError) -> NewMaster {
    var subject = Subject(operation: .masterAdd)
    subject.leavesKeysAtHand = true
    try permit(&subject, caller.grants.grant(.masterRotate), by: caller, tags)
    let candidate: Candidate
    do throws(Refusal) { candidate = try masterCandidate() } catch { throw try note(error, subject, by: caller, tags) }
    let key = candidate.key
    subject.details = masterDetails(key.reference.version, key.keyCheckValue)
    let entry = try take(candidate, subject, by: caller, tags)
    masters.withLock { $0 = $0.adding(key) }
    let committed = singleCopy ? try commitMaster(nil, by: caller, tags) : nil
    return NewMaster(
      version: key.reference.version, file: keyringFile(key.reference.version), isPrimary: singleCopy, entry: committed?.entry ?? entry)
  }

  /// Makes the file, where there is none, and the record.
  private func take(
    _ candidate: Candidate, _ subject: Subject, by caller: Caller, _ tags: RequestTags
  ) throws(ServiceError) -> AppendedEntry {
    var leavesFile = false
    do throws(ServiceError) {
      return try change(subject, by: caller, tags) { (change) throws(Refusal) in
        // why: of two at once, the second finds another state than when it looked.
        guard try self.masterCandidateVersion() == candidate.place else { throw Refusal(.conflict) }
        try self.inKeyring { (ring) throws(KeyringError) in
          if candidate.isNew { try ring.add(candidate.key) } else { try ring.confirm(candidate.key) }
        }
        leavesFile = candidate.isNew
        Self.put(candidate, in: &change)
      }
    } catch {
      // why: what only a restart clears up may have been done.
      if case .mustRestart = error { throw error }
      guard leavesFile else { throw error }
      throw .masterFileLeft(path: keyringFile(candidate.place.version), because: error)
    }
  }

  private static func put(_ candidate: Candidate, in change: inout KeyStore.Change) {
    let key = candidate.key
    if let lost = candidate.place.lost {
      change.put(MasterVersionRow(
        version: lost.version, keyCheckValue: lost.keyCheckValue, state: .retired, created: lost.created))
    }
    change.put(MasterVersionRow(
      version: key.reference.version, keyCheckValue: key.keyCheckValue, state: .pending, created: key.created))
  }

  /// The path of a version's file, for an operator to look at.
  func keyringFile(_ version: UInt32) -> String {
    (keyring?.place.path ?? "") + "/" + Keyring.fileName(version)
  }

  // MARK: Which version comes next

  private struct Candidate {
    let key: MasterKey
    /// Not in the keyring yet.
    let isNew: Bool
    let place: NextVersion
  }

  private struct NextVersion: Equatable {
    let version: UInt32
    let isInKeyring: Bool
    /// A pending version whose file is gone, which this one takes the place of.
    let lost: MasterVersionRow?
  }

  private func masterCandidate() throws(Refusal) -> Candidate {
    let place = try masterCandidateVersion()
    if place.isInKeyring {
      let key = try takenUp(place.version)
      return Candidate(key: key, isNew: false, place: place)
    }
    let primary = try primaryMaster()
    let header = try inKeyring { (ring) throws(KeyringError) in try ring.header(primary.reference.version) }
    guard header.seal == .file else { throw Refusal(.master(.operatorMakesVersions(reason: .sealedByPassphrase))) }
    guard keyring?.makesVersions == true else { throw Refusal(.master(.operatorMakesVersions(reason: .configured))) }
    let key = MasterKey.random(
      as: KeyReference(id: primary.reference.id, version: place.version), created: clock.wall())
    return Candidate(key: key, isNew: true, place: place)
  }

  /// A version that the keyring had at the start, or that its file alone opens.
  private func takenUp(_ version: UInt32) throws(Refusal) -> MasterKey {
    let header = try inKeyring { (ring) throws(KeyringError) in try ring.header(version) }
    if let key = masterKeys[version], key.keyCheckValue == header.keyCheckValue { return key }
    guard header.key.id == masterKeys.keyringID else {
      let (path, other) = (keyringFile(version), keyringFile(store.storeRow.primaryMasterVersion))
      throw Refusal(.keyring(.twoKeyrings(path: path, other: other)))
    }
    guard header.seal == .file else { throw Refusal(.master(.needsRestart(version: version))) }
    return try inKeyring { (ring) throws(KeyringError) in try ring.open(version, passphrase: nil) }
  }

  /// A version that waits is given up by taking its file away, not by a file that cannot be read.
  private func refuseWhileThere(_ pending: MasterVersionRow, _ file: MasterFile?) throws(Refusal) {
    guard case .refused(let error) = file?.fault?.kind else {
      throw Refusal(.master(.pending(version: pending.version)))
    }
    guard case .fileMissing = error else { throw Refusal(.keyring(error)) }
  }

  /// Refuses while another rotation is not at its end. Numbers go up, and none is used twice.
  private func masterCandidateVersion() throws(Refusal) -> NextVersion {
    let rows = try masterRows()
    // why: of a keyring that cannot be read nobody knows which numbers are taken.
    try inKeyring { (_) throws(KeyringError) in () }
    let files = masterFiles(rows)
    try refuseOtherKeys(files)
    let pending = rows.first { $0.state == .pending }
    if let pending { try refuseWhileThere(pending, files[pending.version]) }
    if let rotation = try unfinishedRotation() {
      let census = try census()
      throw Refusal(.master(.rewrapping(version: rotation.version, left: census.total - census[rotation.version])))
    }
    let known = rows.map(\.version).max() ?? 0
    if let next = files.keys.filter({ $0 > known }).min() {
      if case .refused(let error) = files[next]?.fault?.kind { throw Refusal(.keyring(error)) }
      return NextVersion(version: next, isInKeyring: true, lost: pending)
    }
    guard known < .max else { throw Refusal(.keyring(.versionsExhausted(path: keyring?.place.path ?? ""))) }
    return NextVersion(version: known + 1, isInKeyring: false, lost: pending)
  }
}
