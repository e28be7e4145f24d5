internal import ChatelaineAccessPolicy
package import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineKeyStore
internal import ChatelaineVocabulary
internal import Synchronization

/// Entries of the log, as a reviewer is shown them.
package struct LogPage: Sendable {
  package struct Entry: Equatable, Sendable {
    package let epoch: UInt32
    package let found: FoundEntry
  }

  package let entries: [Entry]
  /// Where the next page begins; empty at the end.
  package let next: [UInt8]
  /// Of a history, on its first page: the file `history.proof`.
  package var proof: [UInt8] = []
  /// The entry of this very look.
  package let noted: AppendedEntry
}

/// Reading the log is an act like any other: permitted by the policy, and noted before anything is shown. Blocks, for as
/// long as a page may take: never on an event loop.
extension KeyService {
  package func entries(
    _ query: LogQuery, by caller: Caller, _ tags: RequestTags
  ) throws(ServiceError) -> LogPage {
    var subject = Subject(operation: .readLog, tenant: query.scope.tenant, keyName: query.filter.keyName)
    try permit(&subject, grant(to: query.scope, caller), by: caller, tags)
    let look = try noting(subject, by: caller, tags) { () throws(Refusal) in
      if let tenant = query.scope.tenant { try checkThere(tenant) }
      return try page(query, for: caller)
    }
    subject.details = Self.details(look.entries.count, query.words, look.words)
    let noted = try noteRead(subject, by: caller, tags)
    return LogPage(entries: look.entries, next: look.next?.encoded ?? [], noted: noted)
  }

  private func page(_ query: LogQuery, for caller: Caller) throws(Refusal) -> LogLook {
    var filter = query.filter
    filter.tenant = query.scope.name
    if let tenant = query.scope.tenant, let name = filter.keyName {
      // why: a batch over several keys names them by their ids.
      if let row = try lookUp({ () throws(KeyStoreError) in try store.key(tenant, name) }) { filter.knows(row.id) }
    }
    // why: asked before the files are listed, so that they have all of it.
    var look = LogLook(query, filter, LogSight(caller.grants, query.scope), newestSize: logHead.nextSequence)
    guard try searching({ (search) throws(LogSearch.Fault) in try look.run(in: &search) }) else {
      throw Refusal(.pageToken)
    }
    return look
  }

  private func grant(to scope: LogScope, _ caller: Caller) -> Grants.Grant? {
    switch scope {
    case .everything: caller.grants.grant(.logRead)
    case .service: caller.grants.grant(toAll: .logRead)
    case .tenant(let tenant): caller.grants.grant(.logRead, someKeyOf: tenant)
    }
  }

  // MARK: Shared with histories

  /// What the log is told of a look: how much was shown, and what was asked and read.
  static func details(_ count: Int, _ words: String...) -> [AuditEntry.Detail] {
    let note = words.filter { !$0.isEmpty }.joined(separator: " ")
    return [.init(.count, ByteWriter.u64Bytes(UInt64(count))), .init(.note, Array(note.utf8))]
  }

  /// why: an entry of outcome ok begins a tenant's history, which none may have that is not there. Its state is no matter:
  /// what was done for it is there to be read.
  func checkThere(_ tenant: TenantID) throws(Refusal) {
    guard try lookUp({ () throws(KeyStoreError) in try store.tenant(tenant) }) != nil else {
      throw Refusal(.notFound, .noSuchTenant)
    }
  }

  func searching<Value: Sendable>(
    _ body: (inout LogSearch) throws(LogSearch.Fault) -> Value
  ) throws(Refusal) -> Value {
    let result = logSearch.withLock { search in
      Result { () throws(LogSearch.Fault) in try body(&search) }
    }
    do throws(LogSearch.Fault) { return try result.get() } catch { throw Refusal(.log(error)) }
  }
}

/// What a caller is shown of the log.
struct LogSight {
  private let grants: Grants
  private let seesAll: Bool

  init(_ grants: Grants, _ scope: LogScope) {
    self.grants = grants
    let whole = grants.grant(toAll: .logRead) ?? scope.tenant.flatMap { grants.grant(.logRead, allOf: $0) }
    seesAll = whole != nil
  }

  func sees(_ entry: AuditEntry) -> Bool {
    if seesAll { return true }
    guard let tenant = entry.tenant else { return false }
    if grants.grant(.logRead, allOf: tenant) != nil { return true }
    guard let key = entry.keyName else { return false }
    return grants.grant(.logRead, tenant: tenant, key: key) != nil
  }
}

/// When a page must end, however little is on it.
struct PageClock {
  private let end = ContinuousClock.now + .milliseconds(Limits.logPageMilliseconds)

  var isOver: Bool { ContinuousClock.now >= end }
}
