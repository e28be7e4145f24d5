package import ChatelaineAuditLog
package import ChatelaineCustody
package import ChatelaineKeyStore
package import ChatelaineVocabulary

/// Why a use case refuses, whatever door it came through. Every error of the rooms below becomes one of
/// these here and nowhere else.
package enum ServiceError: Error, Equatable, Sendable {
  /// No such tenant or key, or none that the caller may know of.
  case notFound
  /// No rule of the policy allows an act that is about no tenant.
  case notAllowed
  case keyDisabled
  case tenantFrozen
  case decryptionFailed
  /// The name is taken, now or for ever.
  case taken(record: String)
  /// Somebody else's change came first.
  case conflict
  /// The master key's state does not allow it now.
  case master(MasterRefusal)
  /// The key check value that was given is not the one of the version that waits for it.
  case otherKeyCheckValue(version: UInt32)
  /// The keyring cannot be read or written as it must.
  case keyring(KeyringError)
  /// A new version was made in the keyring and not taken into the store, which is as it was.
  indirect case masterFileLeft(path: String, because: ServiceError)
  /// More than one request may ask for.
  case limitExceeded
  /// Another process holds the store's lock: nothing was changed.
  case storeBusy
  /// The store's disk is full: the change was taken back.
  case storeFull
  /// The log cannot take the entry: nothing was done.
  case auditUnavailable
  /// The log's heads are not signed here, so there is nothing to prove anything under.
  case notSigned
  /// There is no such proof now.
  case proof(ProofFault)
  /// The log's files cannot be read, or are not as they were written.
  case log(LogSearch.Fault)
  /// What a page token names is not there, or another question was asked with it.
  case pageToken
  /// The tenant has no history yet.
  case noHistory
  /// The log or the store is in a state that only a restart can clear up.
  case mustRestart(reason: String)
  case store(KeyStoreError)
  case keyMaterial(KeyMaterialFault)

  package enum MasterRefusal: Equatable, Sendable {
    /// A version is made and waits for its second copy to be confirmed.
    case pending(version: UInt32)
    /// Tenant roots are being rewrapped.
    case rewrapping(version: UInt32, left: Int)
    case nothingPending
    /// Its file is no longer in the keyring, or holds another key.
    case pendingLost(version: UInt32)
    case unknown(version: UInt32)
    case primary(version: UInt32)
    case notCommitted(version: UInt32)
    case retired(version: UInt32)
    case needed(version: UInt32, roots: Int)
    /// A known number's file holds another key.
    case otherFile(MasterFileFault)
    /// A passphrase seals it, and it was not there at the start.
    case needsRestart(version: UInt32)
    /// New versions are made on the operator's side.
    case operatorMakesVersions(reason: OperatorMakes)
  }

  package enum OperatorMakes: Equatable, Sendable {
    case sealedByPassphrase
    case configured
  }

  package enum KeyMaterialFault: Equatable, Sendable {
    /// A wrapped key does not open under the key that its row names.
    case unwrap(record: String)
    case missingMasterVersion(UInt32)
    case cipherUnavailable
  }

  package init(_ failure: AppendFailure) {
    switch failure {
    case .unavailable: self = .auditUnavailable
    case .poisoned: self = .mustRestart(reason: "the log's disk failed a sync")
    case .closed: self = .mustRestart(reason: "the log is closed")
    }
  }

  package init(_ error: KeyStoreError) {
    switch error {
    case .taken(let record): self = .taken(record: record)
    case .busy: self = .storeBusy
    case .full: self = .storeFull
    default: self = .store(error)
    }
  }

  package var code: ErrorCode {
    switch self {
    case .notFound, .notAllowed: .notFound
    case .keyDisabled: .keyDisabled
    case .tenantFrozen: .tenantFrozen
    case .decryptionFailed: .decryptionFailed
    // The disk's fault, or a permission's: the same call may go well later.
    case .keyring(.unwritable), .keyring(.unreadable): .busy
    case .taken, .conflict, .master, .keyring: .conflict
    case .otherKeyCheckValue: .invalidRequest
    case .masterFileLeft(_, let cause): cause.code
    case .limitExceeded: .limitExceeded
    case .storeBusy, .storeFull: .busy
    case .auditUnavailable: .auditUnavailable
    case .notSigned: .notSigned
    case .proof: .busy
    case .log(.storage): .internal
    case .log: .corrupt
    case .pageToken: .invalidRequest
    case .noHistory: .notFound
    case .mustRestart: .internal
    case .store(.tampered), .store(.rootMismatch): .corrupt
    case .store: .internal
    case .keyMaterial(.unwrap): .corrupt
    case .keyMaterial: .internal
    }
  }

  /// When a call that is refused with a code to try again later may go well.
  package var retryMilliseconds: UInt32 {
    if case .proof(.notCovered(_, let milliseconds)) = self { milliseconds } else { 1000 }
  }

  /// One sentence for whoever asked; names nothing that the caller did not send.
  package var sentence: String {
    switch self {
    case .notFound: "There is no such tenant or key."
    case .notAllowed: "Permission denied: no rule of the policy allows you this."
    case .keyDisabled: "The key is disabled: ask the operator to enable it."
    case .tenantFrozen: "The tenant is frozen: none of its keys is used until the operator unfreezes it."
    case .decryptionFailed: "The ciphertext does not open for this tenant and context."
    case .taken(let record): "\(record) exists or has existed: names are never used again, choose another."
    case .conflict: "Another rotation came first: the key's current version has changed, look and try again."
    case .master(let refusal): refusal.sentence
    case .otherKeyCheckValue(let version):
      "This is not the key check value of master key version \(version): copy its file again, and check the copy."
    case .keyring(let error): error.sentence
    case .masterFileLeft(let path, .storeFull):
      "The key store's disk is full: make room, then rotate again, which takes up \(path); this file was made and stays, and nothing else was changed."
    case .masterFileLeft(let path, let cause): "\(path) was made and stays, for the next rotation to take up. \(cause.sentence)"
    case .limitExceeded: "The request asks for more than one request may: split it."
    case .storeBusy:
      "Another process holds the key store's lock, so nothing was changed: try again in a second."
    case .storeFull: "The key store's disk is full, so nothing was changed: make room, then try again."
    case .auditUnavailable:
      "The key-access log cannot be written, so nothing was done: try again in a second."
    case .notSigned: "This service signs no heads of its log: its operator can name a key for it (log.signing-key)."
    case .proof(let fault): fault.sentence
    case .log(let fault): fault.sentence
    case .pageToken: "The page token is not of this log or not of this question: begin with the first page."
    case .noHistory: "The tenant has no history yet: nothing was done for it."
    case .mustRestart(let reason): "The service must restart: \(reason)."
    case .store(let error): error.sentence
    case .keyMaterial(.unwrap(let record)):
      "The wrapped key of \(record) does not open under its wrapping key: restore a backup."
    case .keyMaterial(.missingMasterVersion(let version)):
      "Master key version \(version) is not in the keyring: restore its file."
    case .keyMaterial(.cipherUnavailable): "libcrypto has no AES-256-GCM: install OpenSSL 3."
    }
  }
}

extension LogSearch.Fault {
  fileprivate var sentence: String {
    switch self {
    case .storage(let failure): "\(failure.path): \(failure.call.rawValue) failed (\(failure.reason)), while the log was read."
    case .damaged(let segment, let offset):
      "The log is not as it was written, in segment \(segment) at offset \(offset): see 'chatelaine audit verify'."
    case .epochs: "The files that name the log's epochs are not as they were written: see 'chatelaine audit verify'."
    }
  }
}

extension ProofFault {
  fileprivate var sentence: String {
    switch self {
    case .notCovered(let size, let milliseconds):
      "The newest published head covers \(size) entries and not what is asked for: ask again in \((milliseconds + 999) / 1000) s."
    case .noHead: "No head of the log is published yet: ask again in a second."
    case .unmade:
      "The log's files give no such proof now: ask again in a second; where it stays so, 'chatelaine audit prove' says why."
    }
  }
}

extension ServiceError.MasterRefusal {
  var sentence: String {
    switch self {
    case .pending(let version):
      "Master key version \(version) waits for its second copy: commit it, or take its file out of the keyring to give it up."
    case .rewrapping(let version, let left):
      "The rotation to master key version \(version) is under way, \(left) tenant roots are left: wait for its end."
    case .nothingPending: "No master key version waits to be committed: rotate first."
    case .pendingLost(let version):
      "The file of master key version \(version) is not in the keyring as it was made: put it back, or rotate anew."
    case .unknown(let version): "The key store knows no master key version \(version)."
    case .primary(let version): "Master key version \(version) is the primary one: rotate first."
    case .notCommitted(let version):
      "Master key version \(version) is not in use yet: commit it, or take its file out of the keyring."
    case .retired(let version): "Master key version \(version) is retired already."
    case .needed(let version, let roots):
      "Master key version \(version) is still needed: \(roots) tenant roots are on it."
    case .otherFile(let fault): fault.sentence + "."
    case .needsRestart(let version):
      "Master key version \(version) is sealed by a passphrase, which the service does not keep: restart the service, then ask again."
    case .operatorMakesVersions(.sealedByPassphrase):
      "The keyring is sealed by a passphrase, which the service does not keep: add a version with 'chatelaine keyring add', restart the service, rotate again."
    case .operatorMakesVersions(.configured):
      "The service may not write its keyring (keyring.new-versions): add a version with 'chatelaine keyring add', rotate again."
    }
  }
}
