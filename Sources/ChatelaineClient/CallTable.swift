internal import ChatelaineSocketBuffers
internal import ChatelaineVocabulary
internal import ChatelaineWire
internal import NIOCore

/// The calls of one connection, on its event loop: frames out in order, frames in by their stream.
///
/// A call is in exactly one place: waiting for its turn, or sent. Whoever takes it out of there ends it. A stream
/// whose caller gave up keeps its place among those in flight until its reply came.
final class CallTable: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private let inFlightMax: Int
  private var frames = FrameBuffer()
  private var context: ChannelHandlerContext?
  private var waiting = CircularBuffer<any PendingCall>()
  private var sent: [UInt32: any PendingCall] = [:]
  private var abandoned: Set<UInt32> = []
  private var nextStream: UInt32 = 1
  private var ending: ClientError?
  private var willFlush = false
  private var alarm: (at: NIODeadline, task: Scheduled<Void>)?

  init(inFlightMax: Int) { self.inFlightMax = min(max(inFlightMax, 1), Self.inFlightBound) }

  /// The service takes no more from one connection.
  static let inFlightBound = 1024

  // MARK: For tasks

  func start(_ call: any PendingCall) {
    if let ending { return call.fail(ending.about(call)) }
    guard !call.token.isCancelled else { return call.fail(.cancelled(call)) }
    waiting.append(call)
    setAlarm(at: call.deadline)
    sendWaiting()
  }

  func cancel(_ token: CallToken) {
    giveUp {
      $0.token === token
    } error: {
      .cancelled($0)
    }
  }

  /// Ends every call with an error of its kind, and the connection.
  func end(_ error: ClientError) {
    guard ending == nil else { return }
    ending = error
    alarm?.task.cancel()
    alarm = nil
    let calls = sent.sorted { $0.key < $1.key }.map(\.value) + Array(waiting)
    sent = [:]
    waiting = []
    for call in calls { call.fail(error.about(call)) }
    context?.close(promise: nil)
  }

  // MARK: Channel

  func handlerAdded(context: ChannelHandlerContext) { self.context = context }
  func handlerRemoved(context: ChannelHandlerContext) { gone() }
  func channelInactive(context: ChannelHandlerContext) { gone() }
  func errorCaught(context: ChannelHandlerContext, error: any Error) { gone() }

  private func gone() {
    end(.connectionLost())
    context = nil
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let read = unwrapInboundIn(data)
    guard ending == nil else { return read.eraseInPlace() }
    frames.take(read)
    while ending == nil, let count = takeFrame() { frames.drop(count) }
    frames.shrink()
    sendWaiting()
  }

  // MARK: Out

  private func sendWaiting() {
    while ending == nil, sent.count + abandoned.count < inFlightMax, let call = waiting.popFirst() {
      send(call)
    }
  }

  private func send(_ call: any PendingCall) {
    guard let context else { return call.fail(ClientError.connectionLost().about(call)) }
    let left = (call.deadline - .now()).nanoseconds
    guard left > 0 else { return call.fail(.late(call)) }
    let stream = nextStream
    nextStream += 2
    sent[stream] = call
    let frame = call.outgoing.frame(stream: stream, timeoutNanoseconds: UInt64(left))
    let promise = context.eventLoop.makePromise(of: Void.self)
    promise.futureResult.whenComplete { _ in frame.eraseInPlace() }
    context.write(wrapOutboundOut(frame), promise: promise)
    flushLater(context)
    // why: numbers of streams only grow, so a connection ends with them.
    if nextStream > UInt32.max - 2 {
      end(.connectionLost("The connection has made all the calls it can: connect again."))
    }
  }

  /// Once for all calls that start in one turn of the loop.
  private func flushLater(_ context: ChannelHandlerContext) {
    guard !willFlush else { return }
    willFlush = true
    context.eventLoop.assumeIsolated().execute {
      self.willFlush = false
      self.context?.flush()
    }
  }

  // MARK: In

  /// The bytes of the frame that was taken, or nil where no whole one is here or the connection has ended.
  private func takeFrame() -> Int? {
    frames.withBytes { bytes in
      guard bytes.count >= TtrpcFrame.headerByteCount, let frame = try? TtrpcFrame(bytes) else { return nil }
      guard frame.byteCount <= TtrpcFrame.messageBytesMax else { return endMalformed() }
      let whole = TtrpcFrame.headerByteCount + frame.byteCount
      guard bytes.count >= whole else { return nil }
      guard frame.kind == TtrpcFrame.Kind.response.rawValue else { return endMalformed() }
      take(frame.stream, bytes.extracting(0..<whole))
      return whole
    }
  }

  private func take(_ stream: UInt32, _ bytes: Span<UInt8>) {
    let range = TtrpcFrame.headerByteCount..<bytes.count
    guard let call = sent.removeValue(forKey: stream) else { return takeUnasked(stream, bytes, range) }
    do throws(MalformedBytes) {
      let reply = try TtrpcResponse(bytes, in: range)
      let status = try WireStatus(bytes, in: reply.status)
      if !reply.status.isEmpty, status.status != 0 {
        call.fail(ClientError(status).about(call))
      } else {
        try call.receive(bytes, in: reply.payload)
      }
    } catch {
      call.fail(ClientError.malformedReply.about(call))
      _ = endMalformed()
    }
  }

  /// A reply nobody waits for any more, or a refusal of the whole connection.
  private func takeUnasked(_ stream: UInt32, _ bytes: Span<UInt8>, _ range: Range<Int>) {
    if abandoned.remove(stream) != nil { return }
    guard let reply = try? TtrpcResponse(bytes, in: range), !reply.status.isEmpty,
      let status = try? WireStatus(bytes, in: reply.status), status.status != 0
    else {
      _ = endMalformed()
      return
    }
    end(ClientError(status))
  }

  private func endMalformed() -> Int? {
    end(.connectionLost("The service sent what is no reply, so the connection was closed."))
    return nil
  }

  // MARK: Deadlines

  /// One alarm for all calls: where all have the same timeout it is set once in that time, not once a call.
  private func setAlarm(at deadline: NIODeadline) {
    guard let context, alarm.map({ deadline < $0.at }) ?? true else { return }
    alarm?.task.cancel()
    let task = context.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { self.endLate() }
    alarm = (deadline, task)
  }

  private func endLate() {
    alarm = nil
    let now = NIODeadline.now()
    giveUp {
      $0.deadline <= now
    } error: {
      .late($0)
    }
    let next = (sent.values.map(\.deadline) + waiting.map(\.deadline)).min()
    if let next { setAlarm(at: next) }
  }

  private func giveUp(where isOver: (any PendingCall) -> Bool, error: (any PendingCall) -> ClientError) {
    for (stream, call) in sent where isOver(call) {
      sent[stream] = nil
      abandoned.insert(stream)
      call.fail(error(call))
    }
    let over = waiting.filter(isOver)
    guard !over.isEmpty else { return }
    waiting.removeAll(where: isOver)
    for call in over { call.fail(error(call)) }
  }
}

extension ClientError {
  static func connectionLost(_ sentence: String = "The connection ended.") -> ClientError {
    ClientError(
      .connectionLost, sentence + " A call without a reply may have been done.", retry: .withSameRequestID)
  }

  static let malformedReply = ClientError(
    .malformedReply,
    "The reply is not one of this method: update this library, or look at who serves the socket.")

  fileprivate static func late(_ call: any PendingCall) -> ClientError {
    ClientError(.deadlineExceeded, "There was no reply in time.", retry: .withSameRequestID).about(call)
  }

  fileprivate static func cancelled(_ call: any PendingCall) -> ClientError {
    ClientError(.cancelled, "The calling task was cancelled.", retry: .withSameRequestID).about(call)
  }

  /// With the request id that the caller gave, unless the service named one.
  fileprivate func about(_ call: any PendingCall) -> ClientError {
    guard requestID == nil, let id = call.outgoing.requestID else { return self }
    return ClientError(code, sentence, requestID: id, retry: retry, receipt: receipt)
  }

  init(_ status: WireStatus) {
    let retry: Retry =
      switch status.retry {
      case .never: .never
      case .later: .after(.milliseconds(Int64(status.retryAfterMilliseconds)))
      case .sameRequestID: .withSameRequestID
      }
    self.init(
      status.code.isEmpty ? .internal : Code(rawValue: status.code), status.message,
      requestID: status.requestID.map { RequestID($0) }, retry: retry,
      receipt: status.receipt.map { Receipt($0) })
  }
}
