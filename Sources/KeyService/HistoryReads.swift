internal import ChatelaineAccessPolicy
internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
package import ChatelaineVocabulary

/// What a reviewer asks for to hold a tenant's whole history.
package struct HistoryQuery: Sendable {
  /// nil: acts on the whole service.
  package var tenant: TenantID?
  package var limit = Limits.logPageEntriesMax
  /// Of the page before; empty for the first.
  package var pageToken: [UInt8] = []

  package init(of tenant: TenantID?) { self.tenant = tenant }

  fileprivate var name: String { tenant?.rawValue ?? AuditEntry.serviceTenant }
}

extension KeyService {
  /// A page of a tenant's history in the newest epoch, in order. The first has the proof, which says how far the pages go.
  ///
  /// Whoever may not see all of the tenant's entries is told that there is no such tenant: a part of a history proves
  /// nothing.
  package func history(
    _ query: HistoryQuery, by caller: Caller, _ tags: RequestTags
  ) throws(ServiceError) -> LogPage {
    var subject = Subject(operation: .readLog, tenant: query.tenant)
    let grant = query.tenant.map { caller.grants.grant(.logRead, allOf: $0) } ?? caller.grants.grant(toAll: .logRead)
    try permit(&subject, grant, by: caller, tags)
    let look = try noting(subject, by: caller, tags) { () throws(Refusal) -> HistoryLook in
      if let tenant = query.tenant { try checkThere(tenant) }
      return try page(query)
    }
    subject.details = Self.details(look.entries.count, "history", "size=\(look.size)", look.words)
    let noted = try noteRead(subject, by: caller, tags)
    return LogPage(entries: look.entries, next: look.next?.encoded ?? [], proof: look.proof, noted: noted)
  }

  /// Where the page begins, and the proof for the first.
  private func start(_ query: HistoryQuery) throws(Refusal) -> (LogPageToken, [UInt8]) {
    let (epoch, question) = (logHead.epoch, LogPageToken.question("history", query.name))
    guard query.pageToken.isEmpty else {
      guard let token = LogPageToken(parsing: query.pageToken), token.form != .entries, token.logID == epoch.logID,
        token.epoch == epoch.epoch, token.question == question, token.size <= logHead.nextSequence,
        token.sequence < token.size
      else { throw Refusal(.pageToken) }
      return (token, [])
    }
    guard let heads else { throw Refusal(.notSigned) }
    let proven: ProvenHistory?
    do throws(ProofFault) { proven = try heads.history(of: Array(query.name.utf8)) } catch { throw Refusal(.proof(error)) }
    guard let proven else { throw Refusal(.noHistory) }
    let token = LogPageToken(.history, of: epoch.logID, epoch: epoch.epoch, 0, size: proven.size, question: question)
    return (token, proven.proof.encoded)
  }

  private func page(_ query: HistoryQuery) throws(Refusal) -> HistoryLook {
    let (token, proof) = try start(query)
    let (clock, name) = (PageClock(), Array(query.name.utf8))
    let stretch = LogSearch.Stretch(
      epoch: token.epoch, size: token.size, range: token.sequence..<token.size, entriesMax: query.limit,
      bytesMax: Limits.logPageBytesMax)
    var hasBegun = token.form == .begunHistory
    let found = try searching { (search) throws(LogSearch.Fault) in
      try search.look(through: stretch, isLate: { clock.isOver }) { entry in
        guard AuditEntry.isOf(name, entry) else { return false }
        hasBegun = hasBegun || AuditEntry.beginsHistory(entry)
        return hasBegun
      }
    }
    var next = token
    (next.form, next.sequence) = (hasBegun ? .begunHistory : .history, found.rest.lowerBound)
    return HistoryLook(
      proof: proof, entries: found.entries.map { LogPage.Entry(epoch: token.epoch, found: $0) },
      next: found.rest.isEmpty ? nil : next, size: token.size, words: "from=\(token.sequence) to=\(next.sequence)")
  }
}

/// One page of a history.
private struct HistoryLook {
  let proof: [UInt8]
  let entries: [LogPage.Entry]
  let next: LogPageToken?
  let size: UInt64
  let words: String
}
