internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineKeyService
internal import ChatelaineSocketBuffers
internal import ChatelaineVocabulary
internal import ChatelaineWire
internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// Answers questions about the log: one after the other, on a thread of its own, so that loading keys never waits for
/// them; one of each connection, and a few altogether, wait there.
final class ProofDesk: Sendable {
  static let waitingMax = 16

  private let service: KeyService
  private let thread: NIOThreadPool
  private let waiting = Mutex(0)

  init(_ service: KeyService, thread: NIOThreadPool) {
    self.service = service
    self.thread = thread
  }

  enum Answer: Sendable {
    case reply(ProofReply)
    case refusal(ServiceError)
    case late
  }

  /// Has a question answered; nil where too many wait. `answer` runs on the event loop.
  func ask(
    _ call: ProofCall, before deadline: NIODeadline?, on eventLoop: any EventLoop
  ) -> EventLoopFuture<Answer>? {
    let isIn = waiting.withLock { count in
      guard count < Self.waitingMax else { return false }
      count += 1
      return true
    }
    guard isIn else { return nil }
    return thread.runIfActive(eventLoop: eventLoop) { [service] in
      if let deadline, deadline <= .now() { return Answer.late }
      do throws(ServiceError) { return .reply(try service.answer(call)) } catch { return .refusal(error) }
    }.always { _ in self.waiting.withLock { $0 -= 1 } }
  }
}

extension KeyService {
  fileprivate func answer(_ call: ProofCall) throws(ServiceError) -> ProofReply {
    switch call {
    case .head(let size):
      let published = try newestHead(from: size)
      return ProofReply(published.head.note.encoded, hashes: published.consistency)
    case .entry(let sequence): return ProofReply(try proof(of: sequence).encoded)
    }
  }
}

/// The questions of one connection.
final class ProofCalls {
  private static let heldBytes = 8 << 10

  private let desk: ProofDesk
  private unowned let connection: Connection
  private var isUnderWay = false

  init(_ desk: ProofDesk, _ connection: Connection) {
    self.desk = desk
    self.connection = connection
  }

  func take(_ method: ProofMethod, _ call: Call, _ bytes: Span<UInt8>) {
    let question: ProofCall
    do throws(CallFault) { question = try ProofCall(method, bytes, in: call.request.payload) } catch {
      return refuse(WireStatus(error.code, error.sentence, requestID: drawn), call.stream, UnnotedRefusal(error))
    }
    guard let eventLoop = connection.eventLoop else { return }
    guard !isUnderWay, let answer = desk.ask(question, before: call.deadline, on: eventLoop) else {
      var status = WireStatus(.busy, "One question about the log at a time: ask again when it is answered.", requestID: drawn)
      status.retryAfterMilliseconds = 100
      return refuse(status, call.stream, .busy)
    }
    isUnderWay = true
    connection.took(holding: Self.heldBytes)
    let stream = call.stream
    // why: strong, until the question is answered: it may outlive its connection.
    let bound = NIOLoopBound((me: self, connection: connection), eventLoop: eventLoop)
    answer.whenComplete { result in
      let (me, connection) = (bound.value.me, bound.value.connection)
      me.isUnderWay = false
      me.reply(result, stream)
      connection.answered(1, heldBytes: Self.heldBytes)
      connection.flush()
    }
  }

  private var drawn: Identifier { RequestTags().requestID }

  private func reply(_ result: Result<ProofDesk.Answer, any Error>, _ stream: UInt32) {
    switch result {
    case .success(.reply(let reply)): connection.reply(reply, stream: stream)
    case .success(.refusal(let error)):
      refuse(WireStatus(error, requestID: drawn), stream, error == .notSigned ? .noSuchMethod : .busy)
    case .success(.late):
      let sentence = "The deadline had passed before the call began: nothing was done."
      refuse(WireStatus(.deadlineExceeded, sentence, requestID: drawn), stream, .late)
    case .failure: refuse(WireStatus(.busy, "The service is stopping.", requestID: drawn), stream, .busy)
    }
  }

  private func refuse(_ status: WireStatus, _ stream: UInt32, _ kind: UnnotedRefusal) {
    connection.refuse(status, stream: stream)
    connection.noteRefusal(kind)
  }
}

extension Connection {
  fileprivate func reply(_ message: ProofReply, stream: UInt32) {
    var reply = ByteBuffer()
    let count = TtrpcFrame.headerByteCount + TtrpcResponse.byteCount(statusByteCount: 0, payloadByteCount: message.byteCount)
    reply.append(roomFor: count) { output in
      TtrpcResponse.appendOK(stream: stream, payloadByteCount: message.byteCount, to: &output)
      message.append(to: &output)
    }
    write(reply, erasing: false)
  }
}
