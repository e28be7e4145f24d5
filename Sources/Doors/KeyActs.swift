internal import ChatelaineAccessPolicy
internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineKeyService
internal import ChatelaineKeyStore
internal import ChatelaineTransit
internal import ChatelaineVocabulary
internal import ChatelaineWire
internal import NIOCore
internal import NIOPosix

/// What the HTTP door's callers may do to keys and not with them, on a thread that may block, one after the other: not the
/// admin door's, which must not wait for them.
final class KeyActs: Sendable {
  enum Answer: Sendable {
    /// JSON of what was asked for; nil where there is nothing to tell.
    case done(String?, warning: String? = nil, WireReceipt?)
    case refusal(ServiceError, WireReceipt?)
    case notHere(Absent)
    case stopping
  }

  let softwareVersion: String
  private let service: KeyService
  private let thread: NIOThreadPool

  init(_ service: KeyService, softwareVersion: String, thread: NIOThreadPool) {
    self.service = service
    self.softwareVersion = softwareVersion
    self.thread = thread
  }

  /// `answer` runs on the event loop.
  func run(
    _ call: TransitCall, _ tags: RequestTags, by caller: Caller, _ principal: Principal, on eventLoop: any EventLoop,
    _ answer: @escaping @Sendable (Answer) -> Void
  ) {
    thread.runIfActive(eventLoop: eventLoop) { [self] in
      // why: as the policy is when the act runs, not when it was queued.
      var asker = caller
      asker.grants = service.grants(to: principal, of: caller)
      return act(call, tags, by: asker)
    }.whenComplete { result in
      if case .success(let done) = result { answer(done) } else { answer(.stopping) }
    }
  }

  private func act(_ call: TransitCall, _ tags: RequestTags, by caller: Caller) -> Answer {
    guard let tenant = call.route.tenant else { preconditionFailure("the path names a tenant") }
    var tags = tags
    let noted = NotedEntry()
    tags.noted = noted
    do throws(ServiceError) {
      switch (call.route.endpoint, call.route.key) {
      case (.createKey, let key?):
        let entry = try service.createKey(key, of: tenant, suite: call.suite, by: caller, tags)
        return .done(nil, receipt(entry))
      case (.rotateKey, let key?):
        _ = try service.rotateKey(key, of: tenant, by: caller, tags)
        return .done(nil, receipt(noted.last))
      case (.readKey, let key?):
        let (row, versions) = try service.key(key, of: tenant, by: caller, tags)
        return .done(Self.json(row, versions), receipt(noted.last))
      case (.configureKey, let key?):
        let (row, _) = try service.key(key, of: tenant, by: caller, tags)
        return configure(row, call, receipt(noted.last))
      default: return try list(tenant, by: caller, tags)
      }
    } catch {
      // why: to Vault's clients making a key that is there already is no mistake: they do so at every start.
      if case .taken = error {
        return .done("null", warning: "The key existed already, and is as it was.", receipt(noted.last))
      }
      return .refusal(error, receipt(noted.last))
    }
  }

  /// Nothing can be set, so that only what is so already is taken.
  private func configure(_ row: TenantKeyRow, _ call: TransitCall, _ receipt: WireReceipt?) -> Answer {
    let floor = call.minDecryptionVersion ?? 0
    guard floor == 0 || floor == UInt64(row.floorVersion) else { return .notHere(.floor) }
    guard call.minEncryptionVersion ?? 0 == 0 else { return .notHere(.encryptionFloor) }
    return .done(nil, receipt)
  }

  private func list(_ tenant: TenantID, by caller: Caller, _ tags: RequestTags) throws(ServiceError) -> Answer {
    let (rows, next) = try service.keys(of: tenant, by: caller, tags)
    let names = rows.map { "\"\($0.name.rawValue)\"" }.joined(separator: ",")
    let warning = next.map { _ in "There are more than \(rows.count) keys: 'chatelaine key list' shows all." }
    return .done("{\"keys\":[\(names)]}", warning: warning, receipt(tags.noted?.last))
  }

  private static func json(_ row: TenantKeyRow, _ versions: [KeyVersionRow]) -> String {
    let times = versions.reversed().map { "\"\($0.version)\":\($0.created.nanoseconds / 1_000_000_000)" }
    let isEnabled = row.state == .enabled && row.suite != nil
    let type = row.suite == .xchacha20Poly1305 ? "chacha20-poly1305" : "aes256-gcm96"
    return """
      {"allow_plaintext_backup":false,"auto_rotate_period":0,"deletion_allowed":false,"derived":false,\
      "exportable":false,"imported_key":false,"keys":{\(times.joined(separator: ","))},\
      "latest_version":\(row.currentVersion),"min_available_version":0,"min_decryption_version":\(row.floorVersion),\
      "min_encryption_version":0,"name":"\(row.name.rawValue)","supports_decryption":\(isEnabled),\
      "supports_derivation":false,"supports_encryption":\(isEnabled),"supports_signing":false,"type":"\(type)"}
      """
  }

  private func receipt(_ entry: AppendedEntry?) -> WireReceipt? { entry.map { WireReceipt($0, in: service.logHead.epoch) } }
}

extension KeyActs.Answer {
  func reply(to request: HTTPRequest, isLast: Bool) -> HTTPReply {
    let id = request.tags.requestID
    switch self {
    case .done(nil, _, let receipt): return reply("", status: 204, isLast, receipt)
    case .done(let data?, let warning, let receipt):
      return reply(data, status: 200, isLast, receipt, id: id, warning: warning)
    case .refusal(let error, let receipt):
      var reply = HTTPReply(
        error.code, error.publicSentence, id, isLast: isLast, isNoted: receipt != nil,
        retryMilliseconds: error.retryMilliseconds)
      if let receipt { reply.put(receipt) }
      return reply
    case .notHere(let absent): return HTTPReply(.invalidRequest, absent.sentence, id, isLast: isLast)
    case .stopping: return HTTPReply(.busy, "The service is stopping.", id, isLast: true)
    }
  }

  private func reply(
    _ data: String, status: Int, _ isLast: Bool, _ receipt: WireReceipt?, id: Identifier = .zero, warning: String? = nil
  ) -> HTTPReply {
    var reply = HTTPReply(roomFor: TransitReply.frameBytesMax + data.utf8.count) { output in
      if status != 204 { TransitReply.append(id, warning: warning, to: &output) { $0.append(text: data) } }
      var head = ReplyHead(status: status)
      head.isLast = isLast
      head.hasReceipt = receipt != nil
      return head
    }
    if let receipt { reply.put(receipt) }
    return reply
  }
}
