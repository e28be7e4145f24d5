internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineKeyService
internal import ChatelaineSocketBuffers
internal import ChatelaineVocabulary
internal import ChatelaineWire
internal import NIOCore

extension LogCall {
  /// Refuses texts that are no such values.
  func check() throws(CallFault) {
    switch method {
    case .listEntries: _ = try LogQuery(self)
    case .getHistory: _ = try HistoryQuery(self)
    }
  }

  fileprivate var pageLimit: Int { limit == 0 ? Limits.logPageEntriesMax : min(Int(limit), Limits.logPageEntriesMax) }

  /// nil where none is named.
  fileprivate var scope: LogScope? {
    get throws(CallFault) {
      if tenant.isEmpty { return nil }
      if tenant.elementsEqual(AuditEntry.serviceTenant.utf8) { return .service }
      do throws(InvalidName) { return .tenant(try TenantID(tenant.span)) } catch { throw .tenant }
    }
  }
}

extension LogQuery {
  init(_ call: LogCall) throws(CallFault) {
    self.init()
    scope = try call.scope ?? .everything
    (limit, pageToken, isNewestFirst) = (call.pageLimit, call.pageToken, call.isNewestFirst)
    epoch = call.epoch == 0 ? nil : call.epoch
    if !call.key.isEmpty {
      guard scope.tenant != nil else { throw .value(6) }
      do throws(InvalidName) { filter.keyName = try KeyName(call.key.span) } catch { throw .key }
    }
    filter.principal = call.principal.isEmpty ? nil : call.principal
    filter.operation = try Self.word(call.operation, 9)
    filter.outcome = try Self.word(call.outcome, 10)
    filter.requestID = call.requestID
    filter.actor = call.actor.isEmpty ? nil : String(copying: call.actor.span)
    filter.subject = call.subjectDigest
    filter.since = call.since == 0 ? nil : WallTime(nanoseconds: call.since)
    filter.until = call.until == 0 ? nil : WallTime(nanoseconds: call.until)
    filter.after = call.from == 0 ? nil : call.from - 1
    filter.before = call.before == 0 ? nil : call.before
  }

  private static func word<Word: LogWord>(_ text: [UInt8], _ field: Int) throws(CallFault) -> Word? {
    guard !text.isEmpty else { return nil }
    guard let word = Word(word: String(copying: text.span)) else { throw .value(field) }
    return word
  }
}

extension HistoryQuery {
  init(_ call: LogCall) throws(CallFault) {
    guard let scope = try call.scope else { throw .tenant }
    self.init(of: scope.tenant)
    (limit, pageToken) = (call.pageLimit, call.pageToken)
  }
}

extension LogReply {
  init(_ page: LogPage, in epoch: EpochDescriptor) {
    let entries = page.entries.map { entry in
      Entry(
        epoch: entry.epoch, sequence: entry.found.sequence, leafHash: entry.found.leafHash, bytes: entry.found.bytes)
    }
    self.init(
      entries: entries, nextPageToken: page.next, proof: page.proof, receipt: WireReceipt(page.noted, in: epoch))
  }

  func frame(_ stream: UInt32) -> ByteBuffer {
    var reply = ByteBuffer()
    let byteCount = byteCount
    let count = TtrpcFrame.headerByteCount + TtrpcResponse.byteCount(statusByteCount: 0, payloadByteCount: byteCount)
    reply.append(roomFor: count) { output in
      TtrpcResponse.appendOK(stream: stream, payloadByteCount: byteCount, to: &output)
      append(to: &output)
    }
    return reply
  }
}
