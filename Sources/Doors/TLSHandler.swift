internal import ChatelaineSocketBuffers
internal import ChatelaineTLS
internal import NIOCore

/// TLS between a socket and the connection behind it, which sees a plain channel that opens once the client is known.
///
/// Sealed bytes are not kept here: what comes in is opened at once, of one read at most, and what goes out is sealed as it
/// is written, so that the channel's own bounds count for both. Plaintext is erased as soon as it is sealed.
final class TLSHandler: ChannelDuplexHandler {
  typealias InboundIn = ByteBuffer
  typealias InboundOut = ByteBuffer
  typealias OutboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  /// Of one read of the socket: with the record that was begun before it, less than a connection has room for.
  static let readBytesMax = 64 << 10
  private static let handshakeBytesMax = 64 << 10
  private static let readBytesMin = 4096
  /// A year: what a clock of the loop can be asked for.
  private static let secondsMax: Int64 = 366 * 86_400

  private enum Stage {
    /// So many bytes came in.
    case handshake(Int)
    case open(CertifiedPeer)
    case closed
  }

  private let session: TLSSession
  private let place: TLSGate.Place
  private let deadlineMilliseconds: Int64
  /// Puts the connection of who was let in behind this.
  private let seat: (CertifiedPeer, any Channel) throws -> Void
  private let refuse: (String) -> Void
  private var stage = Stage.handshake(0)
  private var context: ChannelHandlerContext?
  private var watch: Scheduled<Void>?
  /// The connection asked for more.
  private var wantsRead = false
  private var isReading = false
  /// The connection was given something of this read.
  private var wasRead = false
  private var hasEnded = false

  init(
    _ session: TLSSession, _ place: TLSGate.Place, deadlineMilliseconds: Int64,
    seat: @escaping (CertifiedPeer, any Channel) throws -> Void, refuse: @escaping (String) -> Void
  ) {
    self.session = session
    self.place = place
    self.deadlineMilliseconds = deadlineMilliseconds
    self.seat = seat
    self.refuse = refuse
  }

  /// Whether its certificate is not taken any more.
  var isRevoked: Bool {
    guard case .open(let peer) = stage else { return false }
    return place.gate.context.revokes(peer.chain)
  }

  var isShakingHands: Bool {
    guard case .handshake = stage else { return false }
    return true
  }

  func closeNow() { context?.channel.close(promise: nil) }

  // MARK: Channel

  func handlerAdded(context: ChannelHandlerContext) { self.context = context }
  func handlerRemoved(context: ChannelHandlerContext) { gone() }

  func channelActive(context: ChannelHandlerContext) {
    watch(.milliseconds(deadlineMilliseconds), context) { $0.tooLate() }
    readOn(context)
  }

  func channelInactive(context: ChannelHandlerContext) {
    gone()
    context.fireChannelInactive()
  }

  private func gone() {
    stage = .closed
    watch?.cancel()
    context = nil
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let read = unwrapInboundIn(data)
    guard !hasEnded, read.withReadableSpan({ session.feed($0) }) else { return }
    switch stage {
    case .handshake(let count):
      stage = .handshake(count + read.readableBytes)
      guard count + read.readableBytes <= Self.handshakeBytesMax else { return turnAway("its handshake is too long", context) }
      shakeHands(context)
      open(read.readableBytes, context)
    case .open: open(read.readableBytes, context)
    case .closed: break
    }
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    isReading = false
    if wasRead {
      (wasRead, wantsRead) = (false, false)
      context.fireChannelReadComplete()
    }
    readOn(context)
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    context.fireChannelWritabilityChanged()
    readOn(context)
  }

  /// An end without TLS's own goodbye may have been made by somebody on the way. It cuts off what is not whole yet, which
  /// is never answered; more it cannot do.
  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    guard case .inputClosed? = event as? ChannelEvent else { return context.fireUserInboundEventTriggered(event) }
    guard case .open = stage else { return context.close(promise: nil) }
    end(context)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

  func read(context: ChannelHandlerContext) {
    wantsRead = true
    readOn(context)
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    let plain = unwrapOutboundIn(data)
    defer { plain.eraseInPlace() }
    guard case .open = stage, let sealed = seal(plain, context) else {
      promise?.fail(ChannelError.ioOnClosedChannel)
      return context.close(promise: nil)
    }
    context.write(wrapOutboundOut(sealed), promise: promise)
  }

  func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
    if mode == .all, case .open = stage {
      stage = .closed
      session.sayGoodbye()
      sendOutgoing(context)
    }
    context.close(mode: mode, promise: promise)
  }

  // MARK: Handshake

  private func shakeHands(_ context: ChannelHandlerContext) {
    let outcome = session.shakeHands()
    sendOutgoing(context)
    switch outcome {
    case .unfinished: return
    case .refused(let why): turnAway(why, context)
    case .done(let peer):
      // why: the list may have been replaced since this handshake began.
      guard !place.gate.context.revokes(peer.chain) else { return turnAway("certificate revoked", context) }
      letIn(peer, context)
    }
  }

  private func letIn(_ peer: CertifiedPeer, _ context: ChannelHandlerContext) {
    watch?.cancel()
    place.leave()
    stage = .open(peer)
    // why: who comes again shows a new one; this one was good for so long.
    watch(.seconds(min(max(0, peer.secondsLeft), Self.secondsMax)), context) { $0.closeNow() }
    do {
      try seat(peer, context.channel)
      context.fireChannelActive()
    } catch { context.close(promise: nil) }
  }

  private func turnAway(_ why: String, _ context: ChannelHandlerContext) {
    guard isShakingHands else { return }
    stage = .closed
    refuse(why)
    context.close(promise: nil)
  }

  private func tooLate() {
    if let context { turnAway("it took too long to say who it is", context) }
  }

  private func watch(_ time: TimeAmount, _ context: ChannelHandlerContext, _ act: @escaping (TLSHandler) -> Void) {
    let bound = NIOLoopBound((me: self, act: act), eventLoop: context.eventLoop)
    watch = context.eventLoop.scheduleTask(in: time) { bound.value.act(bound.value.me) }
  }

  // MARK: Bytes

  /// Opens all that came in, of which `count` bytes just now.
  private func open(_ count: Int, _ context: ChannelHandlerContext) {
    let room = min(max(Self.readBytesMin, count), TLSSession.recordBytesMax)
    while case .open = stage, !hasEnded {
      var (plain, read) = (context.channel.allocator.buffer(capacity: room), TLSSession.Read.nothing)
      plain.append(roomFor: room) { read = session.read(&$0) }
      switch read {
      case .bytes:
        wasRead = true
        context.fireChannelRead(wrapInboundOut(plain))
      case .nothing: return sendOutgoing(context)
      case .ended: end(context)
      case .broken:
        sendOutgoing(context)
        return context.close(promise: nil)
      }
    }
  }

  private func end(_ context: ChannelHandlerContext) {
    guard !hasEnded else { return }
    hasEnded = true
    context.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
  }

  private func readOn(_ context: ChannelHandlerContext) {
    // why: what is answered without the connection, such as an update of keys, waits for its reader like all else.
    guard !isReading, wantsRead || isShakingHands, !hasEnded, context.channel.isWritable else { return }
    isReading = true
    context.read()
  }

  private func seal(_ plain: ByteBuffer, _ context: ChannelHandlerContext) -> ByteBuffer? {
    let count = plain.readableBytes
    let records = count / TLSSession.recordBytesMax + 1
    var sealed = context.channel.allocator.buffer(capacity: count == 0 ? 0 : count + records * TLSSession.recordBytesMore)
    let isSealed = plain.withReadableSpan { bytes in
      var start = 0
      while start < count {
        let end = min(start + TLSSession.recordBytesMax, count)
        guard session.write(bytes.extracting(start..<end)) else { return false }
        takeOutgoing(&sealed)
        start = end
      }
      return true
    }
    return isSealed ? sealed : nil
  }

  private func takeOutgoing(_ buffer: inout ByteBuffer) {
    let count = session.outgoingCount
    if count > 0 { buffer.append(roomFor: count) { session.takeOutgoing(&$0) } }
  }

  private func sendOutgoing(_ context: ChannelHandlerContext) {
    guard session.outgoingCount > 0 else { return }
    var buffer = context.channel.allocator.buffer(capacity: session.outgoingCount)
    takeOutgoing(&buffer)
    context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
  }
}
