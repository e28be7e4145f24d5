internal import ChatelaineAccessPolicy
internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineKeyService
internal import ChatelaineSocketBuffers
internal import ChatelaineVocabulary
internal import ChatelaineWire
internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// Answers reviewers who read the log: one after the other, on a thread of its own, so that neither admin acts nor proofs
/// wait for them; one of each connection, and a few altogether, wait there.
final class LogDesk: Sendable {
  static let waitingMax = 16
  /// Of one user: who may read nothing must not keep those out who may.
  static let waitingMaxOfOne: UInt32 = 4

  private let service: KeyService
  private let thread: NIOThreadPool
  private let waiting = Mutex(Waiting())

  init(_ service: KeyService, thread: NIOThreadPool) {
    self.service = service
    self.thread = thread
  }

  private struct Waiting {
    var count = 0
    var ofUsers: [UInt32: UInt32] = [:]

    mutating func enter(_ uid: UInt32) -> Bool {
      guard count < LogDesk.waitingMax, ofUsers[uid, default: 0] < LogDesk.waitingMaxOfOne else { return false }
      count += 1
      ofUsers[uid, default: 0] += 1
      return true
    }

    mutating func leave(_ uid: UInt32) {
      count -= 1
      ofUsers[uid] = ofUsers[uid].flatMap { $0 > 1 ? $0 - 1 : nil }
    }
  }

  enum Answer: Sendable {
    /// The whole frame.
    case reply(ByteBuffer)
    case refusal(WireStatus)
    case late
  }

  /// Has a call answered; nil where too many wait. `answer` runs on the event loop.
  func ask(
    _ call: LogCall, of principal: Principal, by caller: Caller, stream: UInt32, before deadline: NIODeadline?,
    on eventLoop: any EventLoop
  ) -> EventLoopFuture<Answer>? {
    guard waiting.withLock({ $0.enter(principal.uid) }) else { return nil }
    return thread.runIfActive(eventLoop: eventLoop) { [service] in
      if let deadline, deadline <= .now() { return Answer.late }
      // why: as the policy is when the call runs, not when it was queued.
      var asker = caller
      asker.grants = service.grants(to: principal, of: caller)
      return service.answer(call, by: asker, stream)
    }.always { _ in self.waiting.withLock { $0.leave(principal.uid) } }
  }
}

extension KeyService {
  fileprivate func answer(_ call: LogCall, by caller: Caller, _ stream: UInt32) -> LogDesk.Answer {
    let given = call.attribution
    var tags = RequestTags(requestID: given.requestID, actor: given.actor, purpose: given.purpose)
    let noted = NotedEntry()
    tags.noted = noted
    do {
      let page = try page(call, by: caller, tags)
      return .reply(LogReply(page, in: logHead.epoch).frame(stream))
    } catch let error as ServiceError {
      let receipt = noted.last.map { WireReceipt($0, in: logHead.epoch) }
      return .refusal(WireStatus(error, requestID: tags.requestID, receipt: receipt))
    } catch {
      return .refusal(WireStatus(error as? CallFault ?? .malformed, requestID: tags.requestID))
    }
  }

  private func page(_ call: LogCall, by caller: Caller, _ tags: RequestTags) throws -> LogPage {
    switch call.method {
    case .listEntries: try entries(LogQuery(call), by: caller, tags)
    case .getHistory: try history(HistoryQuery(call), by: caller, tags)
    }
  }
}

/// The calls of one connection.
final class LogCalls {
  /// A page, and what waits with it.
  private static let heldBytes = Limits.logPageBytesMax

  private let desk: LogDesk
  private unowned let connection: Connection
  private let peer: Peer
  private let caller: Caller
  private var isUnderWay = false

  init(_ desk: LogDesk, _ connection: Connection, _ peer: Peer, _ caller: Caller) {
    (self.desk, self.connection, self.peer, self.caller) = (desk, connection, peer, caller)
  }

  /// False where the call is of another service, or of no method of this one. `caller` is who carries the call's token, where tokens
  /// are looked at.
  func take(_ call: Call, _ bytes: Span<UInt8>, by caller: Caller? = nil) -> Bool {
    guard bytes.extracting(call.request.service).equals(LogMethod.service),
      let method = LogMethod(bytes.extracting(call.request.method))
    else { return false }
    do throws(CallFault) {
      let asked = try LogCall(method, bytes, in: call.request.payload)
      // why: what names no filter is no call, and is counted with the others.
      try asked.check()
      ask(asked, call, by: caller ?? self.caller)
    } catch { refuse(WireStatus(error, requestID: RequestTags().requestID), call.stream, UnnotedRefusal(error)) }
    return true
  }

  private func ask(_ asked: LogCall, _ call: Call, by caller: Caller) {
    guard let eventLoop = connection.eventLoop else { return }
    let answer = isUnderWay ? nil : desk.ask(
      asked, of: peer.principal, by: caller, stream: call.stream, before: call.deadline, on: eventLoop)
    guard let answer else {
      var status = WireStatus(
        .busy, "Of the log one page a connection at a time, and four a user: ask again when one is here.", requestID: RequestTags().requestID)
      status.retryAfterMilliseconds = 100
      return refuse(status, call.stream, .busy)
    }
    isUnderWay = true
    connection.took(holding: Self.heldBytes)
    let stream = call.stream
    // why: strong, until the call is answered: it may outlive its connection.
    let bound = NIOLoopBound((me: self, connection: connection), eventLoop: eventLoop)
    answer.whenComplete { result in
      let (me, connection) = (bound.value.me, bound.value.connection)
      me.isUnderWay = false
      me.reply(result, stream)
      connection.answered(1, heldBytes: Self.heldBytes)
      connection.flush()
    }
  }

  private func reply(_ result: Result<LogDesk.Answer, any Error>, _ stream: UInt32) {
    let id = RequestTags().requestID
    switch result {
    case .success(.reply(let frame)): connection.write(frame, erasing: false)
    case .success(.refusal(let status)): connection.refuse(status, stream: stream)
    case .success(.late):
      let sentence = "The deadline had passed before the call began: nothing was done."
      refuse(WireStatus(.deadlineExceeded, sentence, requestID: id), stream, .late)
    case .failure: refuse(WireStatus(.busy, "The service is stopping.", requestID: id), stream, .busy)
    }
  }

  private func refuse(_ status: WireStatus, _ stream: UInt32, _ kind: UnnotedRefusal) {
    connection.refuse(status, stream: stream)
    connection.noteRefusal(kind)
  }
}
