internal import ChatelaineAuditTrail
internal import ChatelaineSocketBuffers
internal import ChatelaineVocabulary
internal import ChatelaineWire

extension ChatelaineConnection {
  /// A page of entries of the key-access log: for reviewers, to whom the policy gives `log-read`.
  ///
  /// ```swift
  /// var query = LogQuery(tenant: "acme", operation: "decrypt", newestFirst: true)
  /// var token: LogPageToken?
  /// repeat {
  ///   let page = try await connection.logEntries(query, page: token).value
  ///   for entry in page.entries { print(entry.fields["time"] ?? "", entry.fields["principal"] ?? "") }
  ///   token = page.next
  /// } while token != nil
  /// ```
  ///
  /// A page may have few entries, or none, and not be the last: the service reads for a quarter of a second at most. Each
  /// call has an entry of its own in the log.
  ///
  /// - Parameters:
  ///   - page: Where the page before said that the next begins; nil for the first.
  ///   - limit: At most so many entries, 1,000 where nothing is said.
  public func logEntries(
    _ query: LogQuery, page: LogPageToken? = nil, limit: Int = 1000, options: CallOptions = CallOptions()
  ) async throws(ClientError) -> Reply<LogPage> {
    var call = LogCall(.listEntries)
    (call.tenant, call.key, call.principal) = (Array(query.tenant.utf8), Array(query.key.utf8), Array(query.principal.utf8))
    (call.operation, call.outcome) = (Array(query.operation.utf8), Array(query.outcome.utf8))
    call.actor = Array(EntryText.escaped(Array(query.actor.utf8)).utf8)
    call.requestID = query.requestID?.identifier
    if !query.subjectDigest.isEmpty {
      guard let digest = Identifier(hex: query.subjectDigest.lowercased()) else {
        throw ClientError(.invalidRequest, "A subject digest is 32 hexadecimal digits.")
      }
      call.subjectDigest = digest
    }
    (call.since, call.until) = (query.sinceUnixNanoseconds, query.untilUnixNanoseconds)
    (call.from, call.before, call.epoch) = (query.fromSequence, query.beforeSequence, query.epoch)
    (call.isNewestFirst, call.limit) = (query.isNewestFirst, UInt32(clamping: max(1, limit)))
    call.pageToken = page?.bytes ?? []
    let reply = try await read(call, options)
    return Reply(value: try LogPage(reply), receipt: Receipt(reply.receipt))
  }

  /// A page of a tenant's whole history in the log's newest epoch, in order: for reviewers who may read all of the tenant's
  /// entries. The first page has the proof that none of them is left out, for `chatelaine audit verify-export`.
  ///
  /// Until the log commits to the histories of all tenants anew, the first page is not to be had: a second or so. The call
  /// waits for it where its timeout allows.
  public func logHistory(
    of tenant: String, page: LogPageToken? = nil, limit: Int = 1000, options: CallOptions = CallOptions()
  ) async throws(ClientError) -> Reply<LogHistoryPage> {
    var call = LogCall(.getHistory)
    (call.tenant, call.limit, call.pageToken) = (Array(tenant.utf8), UInt32(clamping: max(1, limit)), page?.bytes ?? [])
    let until = ContinuousClock.now + timeout(options)
    while true {
      do throws(ClientError) {
        let reply = try await read(call, options)
        let page = try LogPage(reply)
        let proof = reply.proof.isEmpty ? nil : reply.proof
        return Reply(
          value: LogHistoryPage(entries: page.entries, proof: proof, next: page.next), receipt: Receipt(reply.receipt))
      } catch {
        guard error.code == .busy, case .after(let pause) = error.retry, ContinuousClock.now + pause < until else {
          throw error
        }
        do { try await Task.sleep(for: pause) } catch { throw ClientError(.cancelled, "The calling task was cancelled.") }
      }
    }
  }

  private func read(_ call: LogCall, _ given: CallOptions) async throws(ClientError) -> LogReply {
    let options = given.named
    var call = call
    call.attribution = try WireAttribution(options)
    let payload = call.encoded
    let outgoing = Outgoing(
      service: LogMethod.service, method: call.method.bytes, payloadByteCount: payload.count,
      requestID: options.requestID
    ) { $0.append(payload) }
    return try await perform(outgoing, timeout: options.timeout, token: options.token) { bytes, range throws(MalformedBytes) in
      try LogReply(bytes, in: range)
    }
  }
}

/// Which entries of the key-access log to list; what is empty or 0 does not matter.
public struct LogQuery: Sendable {
  /// A tenant id, or `_service` for acts on the whole service.
  public var tenant: String
  /// A key of the tenant, which must be named too.
  public var key: String
  /// Who did it, such as `uid:1000`.
  public var principal: String
  /// A word of docs/formats/audit-entry.md, such as `decrypt`.
  public var operation: String
  /// `ok`, `denied`, `failed`, `unknown` or `none`.
  public var outcome: String
  /// The request id that the call had.
  public var requestID: RequestID?
  /// On whose behalf, as the caller said it.
  public var actor: String
  /// 32 hexadecimal digits.
  public var subjectDigest = ""
  /// From this time on, in nanoseconds since 1970.
  public var sinceUnixNanoseconds: UInt64 = 0
  /// Before this time.
  public var untilUnixNanoseconds: UInt64 = 0
  /// From this entry on.
  public var fromSequence: UInt64 = 0
  /// Before this entry.
  public var beforeSequence: UInt64 = 0
  /// Only this epoch of the log.
  public var epoch: UInt32 = 0
  /// The newest first; else the oldest.
  public var isNewestFirst: Bool

  /// All entries that the caller may read, where nothing is said.
  public init(
    tenant: String = "", key: String = "", principal: String = "", operation: String = "", outcome: String = "",
    requestID: RequestID? = nil, actor: String = "", newestFirst: Bool = false
  ) {
    (self.tenant, self.key, self.principal, self.operation) = (tenant, key, principal, operation)
    (self.outcome, self.requestID, self.actor, isNewestFirst) = (outcome, requestID, actor, newestFirst)
  }
}

/// Where a page begins: good for the question that it was given for, in the same log.
public struct LogPageToken: Hashable, Sendable {
  /// Not secret; may be kept and taken up again later.
  public let bytes: [UInt8]

  /// A token that was kept.
  public init(_ bytes: [UInt8]) { self.bytes = bytes }
}

/// Some entries, in the order that was asked for.
public struct LogPage: Sendable {
  /// They may be none, and the page not the last.
  public let entries: [LogEntry]
  /// Where the next page begins; nil at the end.
  public let next: LogPageToken?
}

/// Some entries of a tenant's history, in order.
public struct LogHistoryPage: Sendable {
  /// They may be none, and the page not the last.
  public let entries: [LogEntry]
  /// The file `history.proof`, on the first page.
  public let proof: [UInt8]?
  /// Where the next page begins; nil at the end.
  public let next: LogPageToken?
}

/// One entry of the key-access log.
public struct LogEntry: Hashable, Sendable, CustomStringConvertible {
  /// Which of the log's epochs.
  public let epoch: UInt32
  /// The entry's number.
  public let sequence: UInt64
  /// SHA-256 of the entry as a leaf of the log's tree: 64 hexadecimal digits.
  public let leafHash: String
  /// As docs/formats/audit-entry.md says; nil where nothing but its leaf hash is kept.
  public let bytes: [UInt8]?

  /// What the entry says, by the names of `chatelaine audit show --format csv`: printable ASCII alone, for text in an
  /// entry comes from callers. What it says nothing of is empty.
  public var fields: [String: String] {
    guard let bytes, let entry = try? AuditEntry(parsing: bytes.span) else { return [:] }
    let columns = entry.columns(AuditEntry.leafHash(bytes.span), epoch)
    return Dictionary(columns.map { ($0.name, $0.value) }) { first, _ in first }
  }

  /// Epoch and number.
  public var description: String { "\(epoch)/\(sequence)" }
}

extension LogEntry {
  /// nil where the bytes are no entry, or not that of the number and the hash.
  fileprivate init?(_ entry: LogReply.Entry) {
    (epoch, sequence, leafHash) = (entry.epoch, entry.sequence, entry.leafHash.hex)
    bytes = entry.bytes.isEmpty ? nil : entry.bytes
    guard let bytes else { return }
    guard let parsed = try? AuditEntry(parsing: bytes.span), parsed.sequence == entry.sequence,
      AuditEntry.leafHash(bytes.span) == entry.leafHash
    else { return nil }
  }
}

extension LogPage {
  fileprivate init(_ reply: LogReply) throws(ClientError) {
    var entries: [LogEntry] = []
    for sent in reply.entries {
      guard let entry = LogEntry(sent) else {
        throw ClientError(
          .malformedReply, "Entry \(sent.sequence), as the service sent it, has not the number and the hash that it was given with.")
      }
      entries.append(entry)
    }
    self.entries = entries
    next = reply.nextPageToken.isEmpty ? nil : LogPageToken(reply.nextPageToken)
  }
}
