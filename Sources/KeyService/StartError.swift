package import ChatelaineAuditLog
package import ChatelaineAuditTrail
internal import ChatelaineCustody
package import ChatelaineKeyStore
package import ChatelaineVocabulary

/// Why log, store and keyring do not go together.
package enum StartError: Error, Equatable, Sendable {
  case log(LogError)
  case store(KeyStoreError)
  case service(ServiceError)
  /// The store belongs to another log.
  case otherLog(store: Identifier, log: Identifier)
  /// The log's last outcome names a later state of the store: an old copy of the store was put back.
  case storeRolledBack(storeGeneration: UInt64, logGeneration: UInt64)
  /// The store names entries that the log does not have: an old copy of the log was put back.
  case logRolledBack(storeGeneration: UInt64, logGeneration: UInt64)
  /// The entry that the store's last change names is another one: the log was rewritten, there or before.
  case logRewritten(sequence: UInt64)
  /// The file of a master version in use does not open, or holds another key.
  case masterFile(MasterFileFault)
  /// The store's last change is in another epoch of the log than the newest: store or log was put back from before an
  /// acknowledgement.
  case otherEpoch(store: UInt32, log: UInt32)
  /// Same generation, other content.
  case storeDiffers(generation: UInt64)
  /// Log and signed heads do not go together.
  case heads(HeadFault)
  /// An acknowledgement that the key store holds, and the log's directory does not show yet: for who only looks.
  case unfinishedAcknowledgement
  case nothingToAcknowledge
  /// What is lost is not what was acknowledged.
  case otherLoss(given: LostRange, found: LostRange)
  case selfTest

  package var sentence: String {
    switch self {
    case .log(.storage(let failure)) where failure.call == .lock:
      "Another service\(processText(failure.holder)) is using the log (\(failure.path)): stop it first."
    case .log(.storage(let failure)) where failure.place != nil: "The log at \(failure.path): \(failure.reason)."
    case .log(.storage(let failure)):
      "The log at \(failure.path) cannot be used (\(failure.call.rawValue) failed: \(failure.reason)): check path, permissions and disk."
    case .log(.noLog(let path)): "There is no log in \(path): name its directory, or restore it."
    case .log(.corrupt(let fault, let file)):
      "The log is corrupt in \(file) at offset \(fault.offset): \(fault.sentence). Run `chatelaine audit verify`, keep the files, restore a backup."
    case .log(.unsupported(let fault, let file)):
      "The log has in \(file) at offset \(fault.offset) what a newer version wrote (\(fault.sentence)): install that version. Nothing was changed."
    case .store(let error): error.sentence
    case .masterFile(let fault):
      "The key store needs master key version \(fault.version). \(fault.sentence)."
    case .service(let error): error.sentence
    case .otherLog(let store, let log):
      "The key store belongs to log \(store.hex), not \(log.hex): name the right log."
    case .storeRolledBack(let store, let log):
      "The key store is at generation \(store), its log at \(log): an old copy of the store was put back. Restore the newest one."
    case .logRolledBack(let store, let log):
      "The key store is at generation \(store), its log at \(log): an old copy of the log was put back. Restore the newest one."
    case .logRewritten(let sequence):
      "Entry \(sequence) of the log is not the one that the key store names: that entry or one before it was changed. Keep the files, restore the log as it was."
    case .otherEpoch(let store, let log) where store < log:
      "The key store is of epoch \(store) of the log, which is in epoch \(log): an old copy of the store was put back. Restore the newest one."
    case .otherEpoch(let store, let log):
      "The key store is of epoch \(store) of the log, which is in epoch \(log): an old copy of the log was put back. Restore the newest one."
    case .storeDiffers(let generation):
      "The key store at generation \(generation) is not the one that the log names: restore a backup of the same time as the log."
    case .heads(let fault): fault.sentence
    case .unfinishedAcknowledgement:
      "An acknowledgement of a rollback was interrupted when all of it was decided: the next start ends it."
    case .nothingToAcknowledge:
      "There is nothing to acknowledge: log, key store and signed heads go together. Start the service."
    case .otherLoss(let given, let found):
      "What is lost is \(found.text) (\(found.words)) and not \(given.text): nothing was acknowledged. If that is what you expect, give it instead."
    case .selfTest:
      "The self-test of the ciphers failed: this machine or its libcrypto or libsodium cannot be trusted."
    }
  }
}

/// A process as a sentence names it; nothing where it is not known.
private func processText(_ process: Int32) -> String { process > 0 ? " (process \(process))" : "" }

/// What a start found.
package struct StartReport: Sendable {
  package var recovery: LogRecovery
  /// Intents that had no outcome: how each was resolved.
  package var resolved: [Resolved] = []
  package var masters = MasterReport()
  /// The newest segment said nothing of the store, so every entry was read.
  package var hasReadWholeLog = false

  package struct Resolved: Equatable, Sendable {
    package let sequence: UInt64
    package let wasDone: Bool
  }
}
