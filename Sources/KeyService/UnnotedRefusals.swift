package import ChatelaineAuditLog
package import ChatelaineAuditTrail
internal import ChatelaineVocabulary

/// Why a door turned a call away before it was one: such refusals are noted together, a second's worth at a time,
/// so that a flood of them cannot fill the disk.
package enum UnnotedRefusal: Hashable, Sendable {
  case malformed
  case noSuchMethod
  case limit
  case late
  case busy

  fileprivate var reason: Reason {
    switch self {
    case .malformed: .malformed
    case .noSuchMethod: .noSuchMethod
    case .limit: .limit
    case .late: .deadline
    case .busy: .busy
    }
  }
}

extension KeyService {
  /// Notes that a caller was turned away `count` times. Does not wait for it.
  package func note(_ kind: UnnotedRefusal, times count: UInt64, by caller: Caller) {
    var entry = entry(.aggregate, Subject(operation: .refusals), caller, RequestTags())
    entry.outcome = .denied
    entry.reason = kind.reason
    entry.details = [.init(.count, ByteWriter.u64Bytes(count))]
    log.append([EntryDraft(entry)]) { _ in }
  }

  /// Queues the entries of calls; `completion` runs on the writer's thread.
  package func append(_ drafts: [EntryDraft], completion: @escaping AuditLog.Completion) {
    log.append(drafts, completion: completion)
  }

  /// The same on this very thread, where the log has nothing else to do; false where it has.
  package func appendIfIdle(_ drafts: [EntryDraft], completion: @escaping AuditLog.Completion) -> Bool {
    log.appendIfIdle(drafts, completion: completion)
  }
}
