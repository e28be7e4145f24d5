internal import ChatelaineKeyService
internal import ChatelaineSocketBuffers
internal import ChatelaineVocabulary
internal import ChatelaineWire
internal import NIOCore

/// What a door does with requests: one object a connection.
protocol Desk: AnyObject {
  /// Answers one request, or says that the connection must wait for `resume`.
  func take(_ call: Call, _ bytes: Span<UInt8>) -> Taken
  /// All that came in together was taken.
  func turnEnded()
  func closed()
}

enum Taken: Equatable {
  case taken
  /// The same call is made again after so many calls of `resume`.
  case later(Int)
}

/// One request as it stands in the connection's buffer.
struct Call {
  let stream: UInt32
  let request: TtrpcRequest
  let deadline: NIODeadline?
}

/// One caller's socket: frames in, frames out, bounds and deadlines. Answers on the event loop, in the handler.
final class Connection: ChannelInboundHandler, DoorConnection {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  /// After which the memory of a large frame is given back.
  private static let silenceMilliseconds: Int64 = 1000

  private let limits: DoorLimits
  private var frames = FrameBuffer()
  private var context: ChannelHandlerContext?
  private var desk: (any Desk)?
  /// Calls of `resume` that are missing.
  private var awaited = 0
  private var isWaiting: Bool { awaited > 0 }
  private var isClosing = false
  /// Its last reply is written.
  private var isLeaving = false
  private var isReading = false
  /// Replies were written since the last flush.
  private var isTouched = false
  /// The caller sends nothing more, and may still read.
  private var hasInputEnded = false
  private var lastRead = NIODeadline.uptimeNanoseconds(0)
  private var partialSince: NIODeadline?
  private var unreadSince: NIODeadline?
  private var watch: Scheduled<Void>?
  private var goodbye: WireStatus?
  /// Of the last request that was taken: ttrpc's numbers only grow, and are never used again.
  private var lastStream: UInt32 = 0
  /// Requests without a reply yet, and the bytes that are held for them.
  private var inFlight = 0
  private var inFlightBytes = 0
  /// Nothing more is taken until replies have left.
  private var isFull: Bool { inFlight >= limits.inFlightMax || inFlightBytes >= limits.inFlightBytesMax }
  var noteRefusal: (UnnotedRefusal) -> Void = { _ in }

  init(limits: DoorLimits) { self.limits = limits }

  func attach(_ desk: any Desk) { self.desk = desk }
  func join(_ pipeline: ChannelPipeline.SynchronousOperations) throws { try pipeline.addHandler(self) }

  var eventLoop: (any EventLoop)? { context?.eventLoop }
  var isAwaited: Bool { frames.count == 0 && lastFrameBytes <= Self.oneReadBytes }
  private static let oneReadBytes = 16 << 10
  private var lastFrameBytes = 0
  var isOpen: Bool { context != nil }

  // MARK: Channel

  func handlerAdded(context: ChannelHandlerContext) { self.context = context }
  func channelActive(context: ChannelHandlerContext) {
    guard let goodbye else { return readOn() }
    refuse(goodbye, stream: 1)
    finish()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let read = unwrapInboundIn(data)
    // why: a caller that hangs up is read to its end, whether more was asked for or not.
    guard frames.hasRoom(for: read.readableBytes) else {
      read.eraseInPlace()
      return closeNow()
    }
    frames.take(read)
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    isReading = false
    lastRead = .now()
    work()
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    unreadSince = context.channel.isWritable && !isLeaving ? nil : unreadSince ?? .now()
    if !context.channel.isWritable { partialSince = nil }
    if context.channel.isWritable { work() } else { startWatch(after: limits.slowReaderDeadlineMilliseconds) }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    guard case .inputClosed? = event as? ChannelEvent else { return context.fireUserInboundEventTriggered(event) }
    hasInputEnded = true
    work()
  }

  func channelInactive(context: ChannelHandlerContext) { gone() }
  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
  func handlerRemoved(context: ChannelHandlerContext) { gone() }

  private func gone() {
    context = nil
    watch?.cancel()
    desk?.closed()
    desk = nil
  }

  // MARK: For the desk

  /// Writes a reply; `flush` sends it.
  func write(_ reply: ByteBuffer, erasing: Bool) {
    guard let context else { return erasing ? reply.eraseInPlace() : () }
    guard erasing else { return context.write(wrapOutboundOut(reply), promise: nil) }
    let promise = context.eventLoop.makePromise(of: Void.self)
    promise.futureResult.whenComplete { _ in reply.eraseInPlace() }
    context.write(wrapOutboundOut(reply), promise: promise)
  }

  func touch() -> Bool {
    defer { isTouched = true }
    return !isTouched
  }

  func flush() {
    isTouched = false
    context?.flush()
    if isClosing, inFlight == 0 { leave() }
  }

  /// Closes once all that was written has gone, or its reader was too slow.
  private func leave() {
    guard let context, !isLeaving else { return }
    isLeaving = true
    unreadSince = unreadSince ?? .now()
    startWatch(after: limits.slowReaderDeadlineMilliseconds)
    let me = NIOLoopBound(self, eventLoop: context.eventLoop)
    context.writeAndFlush(wrapOutboundOut(ByteBuffer())).whenComplete { _ in me.value.closeNow() }
  }

  /// Refuses without an entry of its own.
  func refuse(_ status: WireStatus, stream: UInt32) {
    var reply = ByteBuffer()
    let count = status.byteCount
    reply.append(roomFor: TtrpcFrame.headerByteCount + Protobuf.fieldByteCount(1, count)) { output in
      TtrpcFrame(.response, stream: stream, byteCount: Protobuf.fieldByteCount(1, count)).append(to: &output)
      Protobuf.append(field: 1, byteCount: count, to: &output)
      status.append(to: &output)
    }
    write(reply, erasing: false)
  }

  func resume() {
    awaited -= 1
    if awaited == 0 { work() }
  }

  /// A request was taken, for which so many bytes are held until it is answered.
  func took(holding byteCount: Int) {
    inFlight += 1
    inFlightBytes += byteCount
  }

  /// Replies have left: there may be room for more.
  func answered(_ count: Int, heldBytes: Int) {
    let wasFull = isFull
    inFlight -= count
    inFlightBytes -= heldBytes
    if wasFull { work() }
  }

  func finish() {
    isClosing = true
    flush()
  }

  func turnAway(because sentence: String) { goodbye = WireStatus(.busy, sentence, requestID: nil) }

  func closeNow() { context?.close(promise: nil) }

  // MARK: Frames

  private func work() {
    guard context != nil else { return }
    while !isWaiting, !isClosing, !isFull, let taken = takeFrame() {
      guard case .done(let count) = taken else { break }
      frames.drop(count)
      lastFrameBytes = count
      // why: the deadline is one frame's, and this one is whole.
      partialSince = nil
    }
    desk?.turnEnded()
    // why: here no whole frame is left, and no more of one comes.
    if hasInputEnded, !isWaiting, !isFull { isClosing = true }
    flush()
    readOn()
  }

  private enum FrameTaken { case done(Int), stop }

  /// nil: no whole frame is here.
  private func takeFrame() -> FrameTaken? {
    frames.withBytes { bytes in
      switch FrameStart(bytes) {
      case .incomplete: return nil
      case .frame(let frame):
        let whole = TtrpcFrame.headerByteCount + frame.byteCount
        guard bytes.count >= whole else { return nil }
        return take(frame, bytes.extracting(0..<whole)) == .taken ? .done(whole) : .stop
      case .tooLong(let frame): return tooLong(frame)
      case .http:
        write(ByteBuffer(string: FrameStart.httpRefusal), erasing: false)
        return foreign()
      case .foreign: return foreign()
      }
    }
  }

  private func take(_ frame: TtrpcFrame, _ bytes: Span<UInt8>) -> Taken {
    guard frame.kind == TtrpcFrame.Kind.request.rawValue else {
      // why: ttrpc passes over kinds that it does not know, for the sake of later versions; no caller of ours sends any.
      noteRefusal(.malformed)
      return .taken
    }
    let request: TtrpcRequest
    do throws(CallFault) {
      guard frame.stream & 1 == 1, frame.stream > lastStream else { throw .stream }
      request = try TtrpcRequest(bytes, in: TtrpcFrame.headerByteCount..<bytes.count)
    } catch {
      if error != .stream { lastStream = frame.stream }
      refuse(WireStatus(error, requestID: RequestTags().requestID), stream: frame.stream)
      noteRefusal(.malformed)
      return .taken
    }
    let deadline = request.timeoutNanoseconds.map { lastRead + .nanoseconds(Int64(clamping: $0)) }
    guard let desk else { return .taken }
    let taken = desk.take(Call(stream: frame.stream, request: request, deadline: deadline), bytes)
    // why: one that has to wait is taken once more.
    if case .later(let count) = taken { awaited = count } else { lastStream = frame.stream }
    return taken
  }

  private func foreign() -> FrameTaken {
    noteRefusal(.malformed)
    finish()
    return .stop
  }

  private func tooLong(_ frame: TtrpcFrame) -> FrameTaken {
    let sentence = "A message has at most \(TtrpcFrame.messageBytesMax) bytes."
    refuse(WireStatus(.limitExceeded, sentence, requestID: nil), stream: frame.stream)
    noteRefusal(.limit)
    finish()
    return .stop
  }

  // MARK: Reading and deadlines

  private func readOn() {
    guard let context, !isReading, !isClosing, !hasInputEnded else { return }
    notePartialFrame()
    if frames.isLargeAndEmpty { startWatch(after: Self.silenceMilliseconds) }
    guard !isWaiting, !isFull, context.channel.isWritable else { return }
    isReading = true
    context.read()
  }

  private func notePartialFrame() {
    // why: while this side does not read, the rest of a frame is not the caller's to send.
    let isRead = context?.channel.isWritable ?? false
    let isPartial = frames.count > 0 && !isWaiting && !isFull && isRead
    guard isPartial else { return partialSince = nil }
    if partialSince == nil { partialSince = lastRead }
    startWatch(after: limits.frameDeadlineMilliseconds)
  }

  private func startWatch(after milliseconds: Int64) {
    guard watch == nil, let context else { return }
    let me = NIOLoopBound(self, eventLoop: context.eventLoop)
    watch = context.eventLoop.scheduleTask(in: .milliseconds(milliseconds)) { me.value.look() }
  }

  private func look() {
    watch = nil
    let now = NIODeadline.now()
    if let partialSince, now >= partialSince + .milliseconds(limits.frameDeadlineMilliseconds) {
      return timeOut("A whole frame did not arrive in \(limits.frameDeadlineMilliseconds) ms.")
    }
    if let unreadSince, now >= unreadSince + .milliseconds(limits.slowReaderDeadlineMilliseconds) {
      return closeNow()
    }
    if now >= lastRead + .milliseconds(Self.silenceMilliseconds) { frames.shrink() }
    if partialSince != nil || unreadSince != nil || frames.isLargeAndEmpty { startWatch(after: 500) }
  }

  private func timeOut(_ sentence: String) {
    let stream = frames.withBytes { bytes in
      bytes.count >= TtrpcFrame.headerByteCount ? (try? TtrpcFrame(bytes))?.stream : nil
    }
    if let stream { refuse(WireStatus(.deadlineExceeded, sentence, requestID: nil), stream: stream) }
    noteRefusal(.late)
    isClosing = true
    context?.flush()
    closeNow()
  }
}

extension WireStatus {
  init(_ fault: CallFault, requestID: Identifier? = nil) { self.init(fault.code, fault.sentence, requestID: requestID) }
}
