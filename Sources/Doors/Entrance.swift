internal import ChatelaineAccessPolicy
internal import ChatelaineAuditTrail
internal import ChatelaineKeyService
internal import ChatelaineSocketBuffers
internal import ChatelaineTLS
internal import ChatelaineVocabulary
internal import Glibc
internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// Accepts the connections of one door: asks the kernel or TLS who calls, holds them against the bounds, seats them at a
/// desk.
struct Entrance<Kind: DoorConnection>: Sendable {
  struct Seat {
    let room: DoorRoom
    let connection: Kind
    let peer: Peer
    let caller: Caller
  }

  /// Connections that wait to be accepted.
  private static var backlog: CInt { 512 }

  let service: KeyService
  let door: Door
  let limits: DoorLimits
  let count: DoorCount
  /// What stands before it where it is on TCP.
  var gate: TLSGate?
  let room: @Sendable (any EventLoop) -> DoorRoom
  /// Gives a connection the desk that answers it.
  let settle: @Sendable (Seat) -> Void

  /// Serves a bound socket.
  func listen(on socket: CInt, _ group: MultiThreadedEventLoopGroup) -> EventLoopFuture<any Channel> {
    let readMax = gate == nil ? FrameBuffer.readBytesMax : TLSHandler.readBytesMax
    return ServerBootstrap(group: group)
      .serverChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(AcceptPause())
        }
      }
      .childChannelOption(.autoRead, value: false)
      .childChannelOption(.allowRemoteHalfClosure, value: true)
      .childChannelOption(.maxMessagesPerRead, value: 1)
      .childChannelOption(
        .recvAllocator,
        value: AdaptiveRecvByteBufferAllocator(minimum: 4096, initial: 16384, maximum: readMax))
      .childChannelOption(
        .writeBufferWaterMark, value: .init(low: limits.unreadBytesMax / 2, high: limits.unreadBytesMax)
      )
      .childChannelInitializer { channel in
        if let gate { return channel.eventLoop.makeCompletedFuture { try ask(channel, gate) } }
        return Peer.of(channel).flatMapThrowing { peer in try seat(peer, channel) }
      }
      .withBoundSocket(socket)
      .map { channel in
        // why: the bootstrap listens on a bound socket before it reads any option.
        _ = Glibc.listen(socket, Self.backlog)
        return channel
      }
  }

  /// Has TLS ask who it is before anything else is heard.
  private func ask(_ channel: any Channel, _ gate: TLSGate) throws {
    let room = room(channel.eventLoop)
    guard let address = channel.remoteAddress, let host = address.ipAddress, let port = address.port else {
      throw ChannelError.eof
    }
    let source = host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)"
    let refuse = { (why: String) in
      count.turnedAway()
      gate.refused(from: source, because: why)
      var nobody = Caller(door: door, principalKind: .certificate, principal: [])
      nobody.source = Array(source.utf8)
      room.refusals.add(.malformed, nobody)
    }
    guard let place = gate.enter(from: host), let session = TLSSession(place.context) else {
      refuse("too many handshakes are under way")
      throw ChannelError.eof
    }
    let handler = TLSHandler(
      session, place, deadlineMilliseconds: limits.frameDeadlineMilliseconds,
      seat: { peer, channel in
        try seat(Peer(principal: Principal(certificate: peer.names), pid: 0, source: Array(source.utf8)), channel)
      }, refuse: refuse)
    room.enter(handler)
    let bound = NIOLoopBound((room: room, handler: handler, place: place), eventLoop: channel.eventLoop)
    channel.closeFuture.whenComplete { _ in
      bound.value.place.leave()
      bound.value.room.leave(bound.value.handler)
    }
    try channel.pipeline.syncOperations.addHandler(handler)
  }

  private func seat(_ peer: Peer?, _ channel: any Channel) throws {
    guard let peer else { throw ChannelError.eof }
    let connection = Kind(limits: limits)
    guard let number = count.enter(peer.principal) else { return turnAway(peer, channel, connection) }
    let room = room(channel.eventLoop)
    let caller = caller(peer, number)
    let count = count
    connection.noteRefusal = { kind in
      count.turnedAway()
      room.refusals.add(kind, caller)
    }
    settle(Seat(room: room, connection: connection, peer: peer, caller: caller))
    try connection.join(channel.pipeline.syncOperations)
    room.enter(connection)
    let bound = NIOLoopBound((room, connection), eventLoop: channel.eventLoop)
    channel.closeFuture.whenComplete { _ in
      count.leave(peer.principal)
      bound.value.0.leave(bound.value.1)
    }
  }

  /// Says that there are too many, on the first stream a client uses, and hangs up.
  private func turnAway(_ peer: Peer, _ channel: any Channel, _ connection: Kind) {
    try? connection.join(channel.pipeline.syncOperations)
    count.turnedAway()
    room(channel.eventLoop).refusals.add(.busy, caller(peer, 0))
    connection.turnAway(because: "There are too many connections: close some, then try again.")
  }

  private func caller(_ peer: Peer, _ number: UInt64) -> Caller {
    let (principal, isUser) = (peer.principal, peer.principal.names.isEmpty)
    var caller = Caller(
      door: door, principalKind: isUser ? .uid : .certificate, principal: service.policy.text(of: principal),
      grants: service.grants(to: principal))
    caller.peerPID = peer.pid
    caller.peerUID = isUser ? principal.uid : 0
    caller.connection = number
    caller.source = peer.source
    return caller
  }
}

/// With no descriptor left for who comes, asks for one ten times a second, not without end.
private final class AcceptPause: ChannelInboundHandler {
  typealias InboundIn = any Channel

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    let listener = context.channel
    try? listener.syncOptions?.setOption(.autoRead, value: false)
    context.eventLoop.scheduleTask(in: .milliseconds(100)) {
      try? listener.syncOptions?.setOption(.autoRead, value: true)
    }
  }
}

/// How many are at a door.
final class DoorCount: Sendable {
  private struct State {
    var total = 0
    var byCaller: [[UInt8]: Int] = [:]
    var numbers: UInt64 = 0
    var turnedAway: UInt64 = 0
  }

  private let limits: DoorLimits
  private let state = Mutex(State())

  init(_ limits: DoorLimits) { self.limits = limits }

  /// The new connection's number, or nil where there are too many.
  func enter(_ principal: Principal) -> UInt64? {
    let caller = principal.text
    return state.withLock { state in
      let mine = state.byCaller[caller, default: 0]
      guard state.total < limits.connectionsMax, mine < limits.connectionsPerCallerMax else { return nil }
      state.total += 1
      state.byCaller[caller] = mine + 1
      state.numbers += 1
      return state.numbers
    }
  }

  func leave(_ principal: Principal) {
    let caller = principal.text
    state.withLock { state in
      state.total -= 1
      state.byCaller[caller] = state.byCaller[caller].flatMap { $0 > 1 ? $0 - 1 : nil }
    }
  }

  /// A connection, a call or a frame that was none or too much.
  func turnedAway() { state.withLock { $0.turnedAway += 1 } }

  func facts(_ name: String, _ path: String) -> StatusFacts.Door {
    let now = state.withLock { $0 }
    return StatusFacts.Door(
      name: name, path: path, connections: now.total, connectionsMax: limits.connectionsMax, accepted: now.numbers,
      turnedAway: now.turnedAway)
  }
}

/// What an event loop knows of its doors.
final class DoorRoom {
  let data: DataLoop
  let refusals: RefusalTally
  private var connections: [ObjectIdentifier: any DoorConnection] = [:]
  private var certified: [ObjectIdentifier: TLSHandler] = [:]

  init(_ data: DataLoop, on eventLoop: any EventLoop) {
    self.data = data
    refusals = RefusalTally(data.service, eventLoop)
  }

  var isEmpty: Bool { connections.isEmpty }

  func enter(_ connection: any DoorConnection) { connections[ObjectIdentifier(connection)] = connection }
  func leave(_ connection: any DoorConnection) { connections[ObjectIdentifier(connection)] = nil }

  /// Of TCP: from before its certificate is seen.
  func enter(_ handler: TLSHandler) { certified[ObjectIdentifier(handler)] = handler }
  func leave(_ handler: TLSHandler) { certified[ObjectIdentifier(handler)] = nil }

  /// Closes the connections whose certificates are not taken any more, whatever they are about; their number.
  func closeRevoked() -> Int {
    let revoked = certified.values.filter(\.isRevoked)
    for handler in revoked { handler.closeNow() }
    return revoked.count
  }

  /// Takes no further request; each connection closes with its last reply.
  func finish() {
    for handler in certified.values.filter(\.isShakingHands) { handler.closeNow() }
    for connection in Array(connections.values) { connection.finish() }
  }

  func closeNow() {
    for connection in Array(connections.values) { connection.closeNow() }
    refusals.note()
    data.close()
  }
}

/// Counts refusals that get no entry of their own, and has them noted once a second.
final class RefusalTally {
  private struct Key: Hashable {
    let principal: [UInt8]
    let door: UInt8
    let kind: UnnotedRefusal
  }

  private let service: KeyService
  private let eventLoop: any EventLoop
  private var counts: [Key: (times: UInt64, caller: Caller)] = [:]

  init(_ service: KeyService, _ eventLoop: any EventLoop) {
    self.service = service
    self.eventLoop = eventLoop
  }

  func add(_ kind: UnnotedRefusal, _ caller: Caller) {
    if counts.isEmpty {
      let me = NIOLoopBound(self, eventLoop: eventLoop)
      eventLoop.scheduleTask(in: .seconds(1)) { me.value.note() }
    }
    let key = Key(principal: caller.principal, door: caller.door.rawValue, kind: kind)
    counts[key, default: (0, caller)].times += 1
  }

  func note() {
    for (key, count) in counts { service.note(key.kind, times: count.times, by: count.caller) }
    counts.removeAll()
  }
}
