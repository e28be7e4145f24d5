internal import ChatelaineAuditTrail

/// Why an index is of no use.
package enum IndexFault: Error, Equatable, Sendable {
  case storage(StorageFailure)
  /// A file of it is not as it was written, or is missing.
  case damaged
  /// The log is not the one that it was made from: another, rewritten, cut, or put back from a backup.
  case otherLog
  /// The log does not go on behind so many entries as a log does.
  case brokenLog(UInt64)

  /// What is wrong, and how to mend it.
  package var sentence: String {
    switch self {
    case .storage(let failure) where failure.call == .lock: "another command is using this index: wait until it is done"
    case .storage(let failure): "the index cannot be read or written (\(failure.path): \(failure.reason))"
    case .damaged: "the index is damaged: remove its directory, and the same command makes it anew"
    case .otherLog:
      "the log is not as it was when the index was made: it was rewritten, cut, or an old copy was put back. Run 'chatelaine audit verify', then remove the index's directory, and the same command makes it anew"
    case .brokenLog(let size):
      "the log does not go on behind its first \(size) entries: run 'chatelaine audit verify'"
    }
  }
}
