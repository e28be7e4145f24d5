internal import ChatelaineAuditTrail
internal import ChatelaineAuditLog
internal import ChatelaineKeyService
internal import ChatelainePrimitives
internal import ChatelaineSecretMemory
internal import ChatelaineSocketBuffers
internal import ChatelaineTokens
internal import ChatelaineVocabulary
internal import ChatelaineWire
internal import NIOCore

/// The data door's side of one connection: decodes a call, has the hall do it into the reply's own bytes, and lets
/// the reply wait for its entry.
final class DataDesk: Desk {
  private let loop: DataLoop
  private let proofs: ProofCalls
  private let logs: LogCalls
  private unowned let connection: Connection
  private var visitor: Visitor
  private var caller: Caller { visitor.caller }
  /// How often the call under way has waited for keys: others may push them out again before it has all.
  private var loads = 0
  private static let loadsMax = 16
  private var replies = Replies()
  private var waiting: [DoorTurn.Waiting] = []
  private var drafts: [EntryDraft] = []
  /// Of the turn: its entries, and these with its replies.
  private var entryBytes = 0
  private var heldBytes = 0

  init(
    _ loop: DataLoop, _ proofs: ProofDesk, _ logs: LogDesk, _ connection: Connection, _ peer: Peer, _ caller: Caller
  ) {
    self.logs = LogCalls(logs, connection, peer, caller)
    self.loop = loop
    self.proofs = ProofCalls(proofs, connection)
    self.connection = connection
    visitor = Visitor(caller, peer.principal)
  }

  func closed() { loop.worked() }

  func take(_ call: Call, _ bytes: Span<UInt8>) -> Taken {
    let token = call.request.authorization.map { loop.judge(authorization: bytes.extracting($0)) }
    visitor.show(token ?? .none, to: loop.service)
    guard bytes.extracting(call.request.service).equals(KeyMethod.service),
      let method = KeyMethod(bytes.extracting(call.request.method))
    else { return takeQuestion(call, bytes) }
    if let deadline = call.deadline, deadline <= .now() {
      return refuse(call, .deadlineExceeded, "The deadline had passed before the call began: nothing was done.", .late)
    }
    do throws(CallFault) {
      let keyCall = try KeyCall(method, bytes, in: call.request.payload)
      guard loads < Self.loadsMax else {
        loads = 0
        return refuse(call, .busy, "The keys of this call do not stay at hand: send fewer keys at once.", .busy)
      }
      let taken = answer(keyCall, stream: call.stream, bytes)
      loads = taken == .taken ? 0 : loads + 1
      return taken
    } catch { return refuse(call, error.code, error.sentence, UnnotedRefusal(error)) }
  }

  /// What uses no key: a question about the log, or nothing that this door has.
  private func takeQuestion(_ call: Call, _ bytes: Span<UInt8>) -> Taken {
    if logs.take(call, bytes, by: caller) { return .taken }
    guard bytes.extracting(call.request.service).equals(KeyMethod.service),
      let method = ProofMethod(bytes.extracting(call.request.method))
    else { return refuse(call, .notFound, "This door has no such method.", .noSuchMethod) }
    proofs.take(method, call, bytes)
    return .taken
  }

  private func refuse(
    _ call: Call, _ code: ErrorCode, _ sentence: String, _ kind: UnnotedRefusal
  ) -> Taken {
    let id = loop.path.drawIdentifier()
    connection.refuse(WireStatus(code, sentence, requestID: id), stream: call.stream)
    connection.noteRefusal(kind)
    return .taken
  }

  func turnEnded() {
    guard !drafts.isEmpty else { return loop.worked() }
    let turn = DoorTurn(connection, waiting, heldBytes: heldBytes, Withheld(replies))
    loop.submit(turn, drafts)
    replies = Replies()
    waiting = []
    drafts = []
    (entryBytes, heldBytes) = (0, 0)
  }

  // MARK: One call

  private func answer(_ call: KeyCall, stream: UInt32, _ bytes: Span<UInt8>) -> Taken {
    if call.method == .decryptBatch, let count = loadMissing(call, bytes) { return .later(count) }
    let id = call.attribution.requestID ?? loop.path.drawIdentifier()
    let tags = RequestTags(requestID: id, actor: call.attribution.actor, purpose: call.attribution.purpose)
    let turn: DataPath.Turn
    switch call.method {
    case .encrypt: turn = encrypt(call, tags, stream, bytes)
    case .decrypt: turn = decrypt(call, tags, stream, bytes)
    case .encryptBatch: turn = encryptBatch(call, tags, stream, bytes)
    case .decryptBatch: turn = decryptBatch(call, tags, stream, bytes)
    case .issueDataKey: turn = issue(call, tags, stream)
    case .unwrapDataKey: turn = unwrap(call, tags, stream, bytes)
    case .rewrap: turn = rewrap(call, tags, stream, bytes)
    }
    switch turn {
    case .needs(let request):
      loop.load(request, for: connection)
      return .later(1)
    case .done(let attempt):
      if let failure = attempt.failure { append(failure, id, stream) }
      drafts.append(attempt.draft)
      waiting.append(.init(stream: stream, requestID: id))
      hold(attempt.draft)
      return .taken
    }
  }

  /// Counts what is held for the call just done; its request is not, but erased.
  private func hold(_ draft: EntryDraft) {
    entryBytes += draft.bytes.count
    let now = entryBytes + replies.heldBytes
    connection.took(holding: now - heldBytes)
    heldBytes = now
  }

  /// Asks for all keys of a batch that are not at hand, at once; nil where none is missing.
  private func loadMissing(_ call: KeyCall, _ bytes: Span<UInt8>) -> Int? {
    var (named, last): (Set<KeyRequest>, KeyRequest?) = ([], nil)
    // why: what the batch names beyond its bound is refused, and loading it would push out what it needs.
    for item in call.items where named.count < loop.path.batchKeysMax {
      let request = loop.path.neededKey(for: bytes.extracting(item.body), of: call.tenant, by: caller)
      guard let request, request != last else { continue }
      named.insert(request)
      last = request
    }
    let missing = named.filter { !loop.path.isAtHand($0) }
    for request in missing { loop.load(request, for: connection) }
    return missing.isEmpty ? nil : missing.count
  }

  private func append(_ failure: ServiceError, _ id: Identifier, _ stream: UInt32) {
    let status = WireStatus(failure, requestID: id, receipt: .empty)
    let count = Protobuf.fieldByteCount(1, status.byteCount)
    _ = replies.append(roomFor: TtrpcFrame.headerByteCount + count, secret: false) { output in
      TtrpcFrame(.response, stream: stream, byteCount: count).append(to: &output)
      Protobuf.append(field: 1, byteCount: status.byteCount, to: &output)
      status.append(to: &output)
      return true
    }
  }

  /// A reply whose first field is made by `make`, of `bodyCount` bytes if it goes well.
  private func reply(
    _ stream: UInt32, field: Int = 1, bodyCount: Int, secret: Bool, _ make: (inout OutputRawSpan) -> DataPath.Turn
  ) -> DataPath.Turn {
    let payload = Protobuf.fieldByteCount(field, bodyCount) + WireReceipt.fieldByteCount
    let room = TtrpcFrame.headerByteCount + TtrpcResponse.byteCount(statusByteCount: 0, payloadByteCount: payload)
    var turn: DataPath.Turn?
    _ = replies.append(roomFor: room, secret: secret) { output in
      TtrpcResponse.appendOK(stream: stream, payloadByteCount: payload, to: &output)
      Protobuf.append(field: field, byteCount: bodyCount, to: &output)
      let made = make(&output)
      turn = made
      guard made.isGood else { return false }
      WireReceipt.empty.append(to: &output)
      return true
    }
    guard let turn else { preconditionFailure("made above") }
    return turn
  }

  private func encrypt(
    _ call: KeyCall, _ tags: RequestTags, _ stream: UInt32, _ bytes: Span<UInt8>
  ) -> DataPath.Turn {
    guard let key = call.key else { preconditionFailure("the message names a key") }
    let item = call.items[0]
    return reply(stream, bodyCount: item.body.count + envelopeOverhead, secret: false) { output in
      bytes.extracting(item.body).withRawSpan { plaintext in
        loop.path.encrypt(
          plaintext, under: key, of: call.tenant, context: item.context, by: caller, tags, appendingTo: &output)
      }
    }
  }

  private func decrypt(
    _ call: KeyCall, _ tags: RequestTags, _ stream: UInt32, _ bytes: Span<UInt8>
  ) -> DataPath.Turn {
    let item = call.items[0]
    return reply(stream, bodyCount: max(0, item.body.count - envelopeOverhead), secret: true) { output in
      loop.path.decrypt(
        bytes.extracting(item.body), of: call.tenant, context: item.context, by: caller, tags, appendingTo: &output)
    }
  }

  private func rewrap(
    _ call: KeyCall, _ tags: RequestTags, _ stream: UInt32, _ bytes: Span<UInt8>
  ) -> DataPath.Turn {
    let item = call.items[0]
    let body = bytes.extracting(item.body)
    return reply(stream, field: call.isWrappedDataKey ? 2 : 1, bodyCount: item.body.count, secret: false) { output in
      if call.isWrappedDataKey {
        loop.path.rewrap(
          wrappedDataKey: body, of: call.tenant, context: item.context, by: caller, tags, appendingTo: &output)
      } else {
        loop.path.rewrap(
          envelope: body, of: call.tenant, context: item.context, by: caller, tags, appendingTo: &output)
      }
    }
  }

  private func issue(_ call: KeyCall, _ tags: RequestTags, _ stream: UInt32) -> DataPath.Turn {
    guard let key = call.key else { preconditionFailure("the message names a key") }
    let turn = loop.path.issueDataKey(
      under: key, of: call.tenant, context: call.items[0].context, wrappedOnly: call.wrappedOnly, by: caller, tags)
    switch consume turn {
    case .needs(let request): return .needs(request)
    case .done(let issued):
      let attempt = issued.attempt
      guard attempt.failure == nil else { return .done(attempt) }
      let keyBytes = call.wrappedOnly ? 0 : Protobuf.fieldByteCount(2, dataKeyByteCount)
      let payload = Protobuf.fieldByteCount(1, issued.wrapped.count) + keyBytes + WireReceipt.fieldByteCount
      appendOK(stream, payload: payload) { output in
        Protobuf.append(field: 1, issued.wrapped.span, to: &output)
        issued.key?.append(asField: 2, to: &output)
      }
      return .done(attempt)
    }
  }

  private func unwrap(
    _ call: KeyCall, _ tags: RequestTags, _ stream: UInt32, _ bytes: Span<UInt8>
  ) -> DataPath.Turn {
    let item = call.items[0]
    let turn = loop.path.unwrapDataKey(
      bytes.extracting(item.body), of: call.tenant, context: item.context, by: caller, tags)
    switch consume turn {
    case .needs(let request): return .needs(request)
    case .done(let unwrapped):
      let attempt = unwrapped.attempt
      guard attempt.failure == nil else { return .done(attempt) }
      let payload = Protobuf.fieldByteCount(1, dataKeyByteCount) + WireReceipt.fieldByteCount
      appendOK(stream, payload: payload) { unwrapped.key?.append(asField: 1, to: &$0) }
      return .done(attempt)
    }
  }

  /// A reply that shows a key.
  private func appendOK(_ stream: UInt32, payload: Int, _ fill: (inout OutputRawSpan) -> Void) {
    let room = TtrpcFrame.headerByteCount + TtrpcResponse.byteCount(statusByteCount: 0, payloadByteCount: payload)
    _ = replies.append(roomFor: room, secret: true) { output in
      TtrpcResponse.appendOK(stream: stream, payloadByteCount: payload, to: &output)
      fill(&output)
      WireReceipt.empty.append(to: &output)
      return true
    }
  }

  // MARK: Batches

  private func encryptBatch(
    _ call: KeyCall, _ tags: RequestTags, _ stream: UInt32, _ bytes: Span<UInt8>
  ) -> DataPath.Turn {
    guard let key = call.key else { preconditionFailure("the message names a key") }
    switch loop.path.beginEncryptBatch(under: key, of: call.tenant, by: caller, tags) {
    case .needs(let request): return .needs(request)
    case .batch(let batch):
      let room = BatchReply.room(call.items) { $0 + envelopeOverhead }
      _ = replies.append(stream: stream, payloadRoom: room, secret: false) { output in
        for item in call.items {
          BatchReply.append(bodyCount: item.body.count + envelopeOverhead, to: &output) { output in
            bytes.extracting(item.body).withRawSpan { plaintext in
              batch.add(plaintext, context: item.context, appendingTo: &output)
            }
          }
        }
        WireReceipt.empty.append(to: &output)
        return true
      }
      return .done(.init(draft: batch.finish(), failure: nil))
    }
  }

  private func decryptBatch(
    _ call: KeyCall, _ tags: RequestTags, _ stream: UInt32, _ bytes: Span<UInt8>
  ) -> DataPath.Turn {
    let batch = loop.path.beginDecryptBatch(of: call.tenant, by: caller, tags)
    var missing: KeyRequest?
    let room = BatchReply.room(call.items) { max(0, $0 - envelopeOverhead) }
    _ = replies.append(stream: stream, payloadRoom: room, secret: true) { output in
      for item in call.items where missing == nil {
        BatchReply.append(bodyCount: max(0, item.body.count - envelopeOverhead), to: &output) { output in
          switch batch.add(bytes.extracting(item.body), context: item.context, appendingTo: &output) {
          case .ok: return nil
          case .failure(let error): return error
          case .needs(let request):
            missing = request
            return .notFound
          }
        }
      }
      guard missing == nil else {
        output.eraseAll()
        return false
      }
      WireReceipt.empty.append(to: &output)
      return true
    }
    if let missing { return .needs(missing) }
    return .done(.init(draft: batch.finish(), failure: nil))
  }
}

private let envelopeOverhead = 96
private let dataKeyByteCount = 32

/// The results of a batch: field 1 of its reply, one an item, each a body or a code.
private enum BatchReply {
  private static let codeBytesMax = 64

  static func room(_ items: [WireItem], _ bodyCount: (Int) -> Int) -> Int {
    items.reduce(WireReceipt.fieldByteCount) { $0 + max(bodyCount($1.body.count) + 16, codeBytesMax) }
  }

  static func append(
    bodyCount: Int, to output: inout OutputRawSpan, _ make: (inout OutputRawSpan) -> ServiceError?
  ) {
    let before = output.byteCount
    Protobuf.append(field: 1, byteCount: Protobuf.fieldByteCount(1, bodyCount), to: &output)
    Protobuf.append(field: 1, byteCount: bodyCount, to: &output)
    guard let failure = make(&output) else { return }
    output.removeLast(output.byteCount - before)
    let code = Array(failure.code.rawValue.utf8)
    Protobuf.append(field: 1, byteCount: Protobuf.fieldByteCount(2, code.count), to: &output)
    Protobuf.append(field: 2, code.span, to: &output)
  }
}

extension DataPath.Turn {
  fileprivate var isGood: Bool {
    if case .done(let attempt) = self { attempt.failure == nil } else { false }
  }
}

extension SecretBytes {
  /// Shows the key to the caller that asked for it: the reply's buffer is erased once it is sent.
  fileprivate borrowing func append(asField number: Int, to output: inout OutputRawSpan) {
    Protobuf.append(field: number, byteCount: count, to: &output)
    withBytes { Protobuf.append(Span<UInt8>(_bytes: $0), to: &output) }
  }
}

extension OutputRawSpan {
  /// Erases what was written, and starts again.
  fileprivate mutating func eraseAll() {
    let count = byteCount
    removeAll()
    for _ in 0..<count { append(0) }
    removeAll()
  }
}
