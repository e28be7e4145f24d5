internal import ChatelaineKeyService
internal import ChatelaineSocketBuffers
internal import ChatelaineVocabulary
internal import ChatelaineWire
internal import NIOCore
internal import NIOPosix

/// The admin door's side of one connection: acts run on a thread that may block, one after the other.
final class AdminDesk: Desk {
  private let acts: AdminActs
  private unowned let connection: Connection
  private let peer: Peer
  private let caller: Caller
  private let thread: NIOThreadPool
  private let logs: LogCalls
  /// An act that waits for its turn, roughly, beside its message.
  private static let actBytes = 1 << 10

  init(
    _ acts: AdminActs, _ logs: LogDesk, _ connection: Connection, _ peer: Peer, _ caller: Caller,
    thread: NIOThreadPool
  ) {
    self.logs = LogCalls(logs, connection, peer, caller)
    self.acts = acts
    self.connection = connection
    self.peer = peer
    self.caller = caller
    self.thread = thread
  }

  func turnEnded() {}
  func closed() {}

  func take(_ call: Call, _ bytes: Span<UInt8>) -> Taken {
    if logs.take(call, bytes) { return .taken }
    guard bytes.extracting(call.request.service).equals(AdminActs.service),
      let method = AdminActs.Method(rawValue: String(copying: bytes.extracting(call.request.method)))
    else {
      let id = RequestTags().requestID
      connection.refuse(WireStatus(.notFound, "This door has no such method.", requestID: id), stream: call.stream)
      connection.noteRefusal(.noSuchMethod)
      return .taken
    }
    let payload = bytes.extracting(call.request.payload).copied()
    run(method, payload, call)
    return .taken
  }

  private func run(_ method: AdminActs.Method, _ payload: [UInt8], _ call: Call) {
    guard let eventLoop = connection.eventLoop else { return }
    let heldBytes = payload.count + Self.actBytes
    connection.took(holding: heldBytes)
    let (acts, principal, stream, deadline) = (acts, peer.principal, call.stream, call.deadline)
    let caller = caller
    // why: strong, until the act is done: it may outlive its connection.
    let connection = NIOLoopBound(self.connection, eventLoop: eventLoop)
    thread.runIfActive(eventLoop: eventLoop) {
      // why: asked when its turn has come, for other acts may have taken the time it had.
      if let deadline, deadline <= .now() { return .late }
      // why: as the policy is when the act runs, not when it was queued.
      var asker = caller
      asker.grants = acts.service.grants(to: principal)
      return acts.run(method, payload, by: asker)
    }.whenComplete { (result: Result<AdminActs.Answer, any Error>) in
      let connection = connection.value
      switch result {
      case .success(.reply(let message)): connection.reply(message, stream: stream)
      case .success(.refusal(let status, let kind)):
        connection.refuse(status, stream: stream)
        if let kind { connection.noteRefusal(kind) }
      case .failure:
        let id = RequestTags().requestID
        connection.refuse(WireStatus(.busy, "The service is stopping.", requestID: id), stream: stream)
      }
      connection.answered(1, heldBytes: heldBytes)
      connection.flush()
    }
  }
}

extension AdminActs.Answer {
  fileprivate static var late: Self {
    let sentence = "The deadline had passed before the call began: nothing was done."
    return .refusal(WireStatus(.deadlineExceeded, sentence, requestID: RequestTags().requestID), .late)
  }
}

extension Connection {
  fileprivate func reply(_ message: [UInt8], stream: UInt32) {
    var reply = ByteBuffer()
    let count = TtrpcFrame.headerByteCount + TtrpcResponse.byteCount(statusByteCount: 0, payloadByteCount: message.count)
    reply.append(roomFor: count) { output in
      TtrpcResponse.appendOK(stream: stream, payloadByteCount: message.count, to: &output)
      Protobuf.append(message.span, to: &output)
    }
    write(reply, erasing: false)
  }
}
