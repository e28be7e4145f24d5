internal import ChatelaineKeyService
internal import ChatelaineSocketBuffers
internal import ChatelaineTransit
internal import ChatelaineVocabulary
internal import NIOCore

/// A request that is whole.
struct HTTPRequest {
  let call: TransitCall
  let tags: RequestTags
  /// A secret, in ordinary memory until the request is answered: freeing wipes it.
  let credential: Credential
  /// Of the body, where the call's ranges lie.
  let byteCount: Int
}

/// One caller's socket at the HTTP door: one request after the other, bounds and deadlines. Answers on the event loop, in
/// the handler.
///
/// Bytes of a body lie in the connection's own buffer and nowhere else, and are erased as soon as the call is made.
final class HTTPConnection: ChannelInboundHandler, DoorConnection {
  typealias InboundIn = ByteBuffer
  typealias InboundOut = ByteBuffer
  typealias OutboundOut = ByteBuffer

  static let headBytesMax = 16 << 10
  static let bodyBytesMax = 4 << 20
  private static let silenceMilliseconds: Int64 = 1000
  private static let smallBytes = 16 << 10

  private enum Stage {
    /// So many bytes are looked at, and no head ends in them.
    case head(scanned: Int)
    case body(HTTPHead)
    case chunks(HTTPHead, ChunkedBody)
    /// Is asked again when its keys are here.
    case waiting(HTTPRequest)
    /// Nothing more is taken until its reply is written.
    case answering
  }

  private let limits: DoorLimits
  private var frames = FrameBuffer()
  private var context: ChannelHandlerContext?
  private var heads: HTTPHeads?
  private var desk: TransitDesk?
  private var stage = Stage.head(scanned: 0)
  /// Calls of `resume` that are missing.
  private var awaited = 0
  private var isHead = false
  private var isClosing = false
  private var isLeaving = false
  private var isReading = false
  private var isTouched = false
  private var hasInputEnded = false
  private var lastByteCount = 0
  private var lastRead = NIODeadline.uptimeNanoseconds(0)
  private var partialSince: NIODeadline?
  private var unreadSince: NIODeadline?
  private var watch: Scheduled<Void>?
  private var goodbye: String?
  var noteRefusal: (UnnotedRefusal) -> Void = { _ in }
  /// No other request follows the one that is being answered.
  private(set) var isLast = false

  init(limits: DoorLimits) { self.limits = limits }

  func attach(_ desk: TransitDesk) { self.desk = desk }

  func join(_ pipeline: ChannelPipeline.SynchronousOperations) throws {
    try pipeline.addHandler(self)
    heads = try HTTPHeads.join(pipeline)
  }

  func turnAway(because sentence: String) { goodbye = sentence }

  var eventLoop: (any EventLoop)? { context?.eventLoop }
  var isAwaited: Bool { frames.count == 0 && lastByteCount <= Self.smallBytes }

  private var isBusy: Bool {
    switch stage {
    case .waiting, .answering: true
    case .head, .body, .chunks: false
    }
  }

  // MARK: Channel

  func handlerAdded(context: ChannelHandlerContext) { self.context = context }
  func channelActive(context: ChannelHandlerContext) {
    guard let goodbye else { return readOn() }
    fail(429, .busy, goodbye, nil)
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
    guard case .inputClosed? = event as? ChannelEvent else { return }
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
    heads = nil
  }

  // MARK: For the desk

  /// Writes the reply to the request that was taken.
  func answer(_ reply: HTTPReply) {
    var reply = reply
    stage = .head(scanned: 0)
    if isHead { reply.leaveBodyAway() }
    if isLast { isClosing = true }
    guard let context else { return reply.erase() }
    guard reply.isSecret else { return context.write(wrapOutboundOut(reply.buffer), promise: nil) }
    let (promise, buffer) = (context.eventLoop.makePromise(of: Void.self), reply.buffer)
    promise.futureResult.whenComplete { _ in buffer.eraseInPlace() }
    context.write(wrapOutboundOut(buffer), promise: promise)
  }

  func touch() -> Bool {
    defer { isTouched = true }
    return !isTouched
  }

  func flush() { work() }

  private func send() {
    isTouched = false
    context?.flush()
    if isClosing, !isBusy { leave() }
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

  func resume() {
    awaited -= 1
    if awaited == 0 { work() }
  }

  func finish() {
    isClosing = true
    send()
  }

  func closeNow() { context?.close(promise: nil) }

  // MARK: Requests

  private func work() {
    guard context != nil else { return }
    // why: what nobody reads yet is not added to; it goes on once there is room.
    while !isClosing || isBusy, context?.channel.isWritable ?? false, goOn() {}
    desk?.turnEnded()
    // why: here no whole request is left, and no more of one comes.
    if hasInputEnded, !isBusy { isClosing = true }
    send()
    readOn()
  }

  /// Does the next thing; false where it waits for something.
  private func goOn() -> Bool {
    switch stage {
    case .head(let scanned): return takeHead(scanned)
    case .body(let head):
      guard case .bytes(let count) = head.body, frames.count >= count else { return false }
      return begin(head, count)
    case .chunks(let head, let body): return takeChunks(head, body)
    case .waiting(let request): return awaited == 0 && ask(request)
    case .answering: return false
    }
  }

  private func takeHead(_ scanned: Int) -> Bool {
    switch frames.withBytes({ HeadEnd($0, after: scanned, max: Self.headBytesMax) }) {
    case .blank(let count):
      frames.drop(count)
      return true
    case .none(let scanned):
      stage = .head(scanned: scanned)
      return false
    case .tooLong: return fail(431, .limitExceeded, "A head has at most \(Self.headBytesMax) bytes.", .limit)
    case .foreign: return fail(.malformed)
    case .at(let count): return parse(count)
    }
  }

  private func parse(_ count: Int) -> Bool {
    guard let context, let heads else { return false }
    let parsed: Result<HTTPHead, HTTPHead.Fault> = frames.withBytes { bytes in
      Result { () throws(HTTPHead.Fault) in try heads.parse(bytes.extracting(0..<count), from: context) }
    }
    let head: HTTPHead
    do throws(HTTPHead.Fault) { head = try parsed.get() } catch { return fail(error) }
    frames.drop(count)
    lastByteCount = count
    (isHead, isLast) = (head.method == .head, !head.isKept)
    stage = head.body == .chunks ? .chunks(head, ChunkedBody(countMax: Self.bodyBytesMax)) : .body(head)
    if head.expectsContinue, head.body != .bytes(0), frames.count == 0 {
      context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: "HTTP/1.1 100 Continue\r\n\r\n")), promise: nil)
    }
    return true
  }

  private func takeChunks(_ head: HTTPHead, _ body: ChunkedBody) -> Bool {
    var body = body
    switch frames.withMutableBytes(frames.count, { body.advance(&$0) }) {
    case .more(let kept):
      frames.cut(to: kept)
      stage = .chunks(head, body)
      return false
    case .done(let count, let kept):
      frames.cut(to: kept)
      return begin(head, count)
    case .malformed: return fail(.framing)
    case .tooLong: return fail(.tooLong)
    }
  }

  /// The request is whole: reads it, and has it answered.
  private func begin(_ head: HTTPHead, _ count: Int) -> Bool {
    // why: the deadline is one request's.
    partialSince = nil
    lastByteCount += count
    if head.isKept, let context { heads?.pass(head.body, from: context) }
    guard let desk else { return false }
    stage = .answering
    do throws(TransitFault) {
      guard !head.asksForWrapping else { throw .notHere(.responseWrapping) }
      let route = try TransitRoute(head.method, target: head.target, namespace: head.namespace)
      let tags = try head.tags(drawing: desk.drawIdentifier)
      var fault: TransitFault?
      let call: TransitCall? = frames.withMutableBytes(count) { bytes in
        do throws(TransitFault) { return try TransitCall(route, &bytes) } catch {
          fault = error
          return nil
        }
      }
      if let fault { throw fault }
      guard let call else { preconditionFailure("parsed above") }
      return ask(HTTPRequest(call: call, tags: tags, credential: head.credential, byteCount: count))
    } catch {
      frames.drop(count)
      desk.refuse(error)
      return true
    }
  }

  private func ask(_ request: HTTPRequest) -> Bool {
    guard let desk else { return false }
    stage = .answering
    let taken = frames.withBytes { desk.take(request, $0.extracting(0..<request.byteCount)) }
    guard case .taken = taken else {
      if case .later(let count) = taken { awaited = count }
      stage = .waiting(request)
      return false
    }
    frames.drop(request.byteCount)
    return true
  }

  /// Refuses what is no request, and closes.
  private func fail(_ fault: HTTPHead.Fault) -> Bool {
    fail(fault.status, fault.code, fault.sentence, fault == .tooLong ? .limit : .malformed)
  }

  @discardableResult
  private func fail(_ status: Int, _ code: ErrorCode, _ sentence: String, _ kind: UnnotedRefusal?) -> Bool {
    (isLast, isHead) = (true, false)
    answer(HTTPReply(code, sentence, RequestTags().requestID, status: status, isLast: true))
    if let kind { noteRefusal(kind) }
    return false
  }

  // MARK: Reading and deadlines

  private func readOn() {
    guard let context, !isReading, !isClosing, !hasInputEnded else { return }
    notePartial()
    if frames.isLargeAndEmpty { startWatch(after: Self.silenceMilliseconds) }
    guard !isBusy, context.channel.isWritable else { return }
    isReading = true
    context.read()
  }

  private func notePartial() {
    // why: while this side does not read, the rest of a request is not the caller's to send.
    var isPartial = frames.count > 0
    if case .head = stage {} else { isPartial = !isBusy }
    guard isPartial, !isBusy, context?.channel.isWritable ?? false else { return partialSince = nil }
    // why: what was read behind another request counts from when that one was answered.
    if partialSince == nil { partialSince = .now() }
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
      let sentence = "A whole request did not arrive in \(limits.frameDeadlineMilliseconds) ms."
      fail(408, .deadlineExceeded, sentence, .late)
      context?.flush()
      return closeNow()
    }
    if let unreadSince, now >= unreadSince + .milliseconds(limits.slowReaderDeadlineMilliseconds) {
      return closeNow()
    }
    if now >= lastRead + .milliseconds(Self.silenceMilliseconds) { frames.shrink() }
    if partialSince != nil || unreadSince != nil || frames.isLargeAndEmpty { startWatch(after: 500) }
  }
}

/// Where the head ends that stands at the front of what is here.
private enum HeadEnd {
  /// Behind its blank line.
  case at(Int)
  /// So many bytes need not be looked at again.
  case none(scanned: Int)
  /// Before it stand empty lines (RFC 9112 §2.2).
  case blank(Int)
  case tooLong
  /// No method begins like this: TLS, or another protocol of bytes.
  case foreign

  init(_ bytes: Span<UInt8>, after scanned: Int, max: Int) {
    guard bytes.count > 0 else { self = .none(scanned: 0); return }
    if scanned == 0, bytes[0] == 13 || bytes[0] == 10 { self = .blank(1); return }
    guard (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(bytes[0]) else { self = .foreign; return }
    let end = Swift.min(bytes.count, max)
    var place = scanned
    while place < end {
      if bytes[place] == 10, Self.isBlank(bytes, before: place) { self = .at(place + 1); return }
      place += 1
    }
    self = bytes.count >= max ? .tooLong : .none(scanned: end)
  }

  /// Whether the line that ends at `end` is empty.
  private static func isBlank(_ bytes: Span<UInt8>, before end: Int) -> Bool {
    guard end > 0 else { return false }
    let last = bytes[end - 1] == 13 ? end - 2 : end - 1
    return last >= 0 && bytes[last] == 10
  }
}
