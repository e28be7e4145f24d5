internal import ChatelaineAuditTrail
package import ChatelaineKeyService
internal import ChatelaineKeyStore
package import ChatelaineTLS
internal import ChatelaineVocabulary
internal import Glibc
internal import NIOCore
internal import NIOPosix

/// A door on TCP: what it speaks, what stands before it, and where it listens.
package struct TCPDoor: Sendable {
  package enum Kind: Sendable { case data, http }

  package let kind: Kind
  package let gate: TLSGate
  package let socket: TCPSocket

  package init(_ kind: Kind, _ gate: TLSGate, _ socket: TCPSocket) {
    self.kind = kind
    self.gate = gate
    self.socket = socket
  }
}

/// The open doors of a service.
package final class Doors: Sendable {
  private let group: MultiThreadedEventLoopGroup
  private let threads: NIOThreadPool
  private let adminThread: NIOThreadPool
  private let proofThread: NIOThreadPool
  private let logThread: NIOThreadPool
  private let keyThread: NIOThreadPool
  private let listeners: [any Channel]
  /// Made here.
  private let sockets: [DoorSocket]
  private let rooms: [LoopRoom]
  private let gates: [TLSGate]
  private let limits: DoorLimits

  private init(
    group: MultiThreadedEventLoopGroup, threads: NIOThreadPool, adminThread: NIOThreadPool,
    proofThread: NIOThreadPool, logThread: NIOThreadPool, keyThread: NIOThreadPool, listeners: [any Channel],
    sockets: [DoorSocket], rooms: [LoopRoom], gates: [TLSGate], limits: DoorLimits
  ) {
    self.group = group
    self.threads = threads
    self.adminThread = adminThread
    self.proofThread = proofThread
    self.logThread = logThread
    self.keyThread = keyThread
    self.listeners = listeners
    self.sockets = sockets
    self.rooms = rooms
    self.gates = gates
    self.limits = limits
  }

  /// Opens the data door, the admin door and, where it is wanted, the HTTP door, which shares the data door's loops.
  /// Blocks: for a main thread, before anyone calls.
  ///
  /// Sockets in `passed` are used where they are; the others are made, and taken away when the doors close.
  /// `facts` is asked on the admin thread for every status call; it need not fill in the doors. `adminLimits`
  /// and `httpLimits` are `limits` where nothing else is said. A door on TCP has the limits of its kind, for itself.
  package static func open(
    _ service: KeyService, data: DoorSocket, admin: DoorSocket, http: DoorSocket? = nil, tcp: [TCPDoor] = [], eventLoops: Int = 1,
    keysAtHandMax: Int = 2_000, limits: DoorLimits = DoorLimits(), adminLimits: DoorLimits? = nil,
    httpLimits: DoorLimits? = nil, softwareVersion: String = "", passed: PassedSockets = .none,
    facts: @escaping @Sendable () -> StatusFacts
  ) throws -> Doors {
    let dataSocket = try data.open(passed)
    let adminSocket = try admin.open(passed)
    let httpSocket = try http?.open(passed)
    let sockets = [data, admin] + (http.map { [$0] } ?? [])
    let places = sockets.map { FilePlace($0.path) }
    let group = MultiThreadedEventLoopGroup(numberOfThreads: eventLoops)
    let threads = NIOThreadPool(numberOfThreads: 2)
    let adminThread = NIOThreadPool(numberOfThreads: 1)
    let proofThread = NIOThreadPool(numberOfThreads: 1)
    let logThread = NIOThreadPool(numberOfThreads: 1)
    let keyThread = NIOThreadPool(numberOfThreads: 1)
    for one in [threads, adminThread, proofThread, logThread, keyThread] { one.start() }
    let keyActs = KeyActs(service, softwareVersion: softwareVersion, thread: keyThread)
    let proofs = ProofDesk(service, thread: proofThread)
    let logs = LogDesk(service, thread: logThread)
    let adminLimits = adminLimits ?? limits
    let (dataCount, adminCount) = (DoorCount(limits), DoorCount(adminLimits))
    let httpCount = DoorCount(httpLimits ?? limits)
    let onTCP = tcp.map { door in
      let limits = door.kind == .http ? httpLimits ?? limits : limits
      return (door: door, limits: limits, count: DoorCount(limits))
    }
    let acts = AdminActs(service: service) {
      var facts = facts()
      facts.doors += [dataCount.facts("data", data.path), adminCount.facts("admin", admin.path)]
      if let http { facts.doors.append(httpCount.facts("http", http.path)) }
      for one in onTCP {
        facts.doors.append(one.count.facts(one.door.gate.name, one.door.socket.text))
        facts.warnings += one.door.gate.warnings
      }
      for place in places where !place.isHeld {
        facts.warnings.append("The socket is no longer at \(place.path), so nobody new gets in there: restart.")
      }
      return facts
    }
    var rooms: [LoopRoom] = []
    for loop in group.makeIterator() {
      let room = try loop.submit {
        let data = try DataLoop(service, on: loop, keysAtHandMax: keysAtHandMax, loaders: threads)
        return NIOLoopBound(DoorRoom(data, on: loop), eventLoop: loop)
      }.wait()
      rooms.append(LoopRoom(loop: loop, room: room))
    }
    let all = rooms
    let find = { @Sendable (loop: any EventLoop) -> DoorRoom in
      guard let room = all.first(where: { $0.loop === loop }) else { preconditionFailure("a loop of another group") }
      return room.room.value
    }
    let atData: @Sendable (Entrance<Connection>.Seat) -> Void = {
      $0.connection.attach(DataDesk($0.room.data, proofs, logs, $0.connection, $0.peer, $0.caller))
    }
    let atHTTP: @Sendable (Entrance<HTTPConnection>.Seat) -> Void = {
      $0.connection.attach(TransitDesk($0.room.data, keyActs, $0.connection, $0.peer, $0.caller))
    }
    let first = Entrance(
      service: service, door: .data, limits: limits, count: dataCount, room: find, settle: atData)
    let second = Entrance<Connection>(
      service: service, door: .admin, limits: adminLimits, count: adminCount, room: find
    ) {
      $0.connection.attach(AdminDesk(acts, logs, $0.connection, $0.peer, $0.caller, thread: adminThread))
    }
    let third = Entrance(
      service: service, door: .http, limits: httpLimits ?? limits, count: httpCount, room: find, settle: atHTTP)
    var listeners = [
      try first.listen(on: dataSocket, group).wait(), try second.listen(on: adminSocket, group).wait(),
    ]
    if let httpSocket { listeners.append(try third.listen(on: httpSocket, group).wait()) }
    for one in onTCP {
      let (gate, socket) = (one.door.gate, one.door.socket.descriptor)
      let listener =
        switch one.door.kind {
        case .data:
          Entrance(
            service: service, door: .data, limits: one.limits, count: one.count, gate: gate, room: find, settle: atData
          ).listen(on: socket, group)
        case .http:
          Entrance(
            service: service, door: .http, limits: one.limits, count: one.count, gate: gate, room: find, settle: atHTTP
          ).listen(on: socket, group)
        }
      listeners.append(try listener.wait())
    }
    return Doors(
      group: group, threads: threads, adminThread: adminThread, proofThread: proofThread, logThread: logThread,
      keyThread: keyThread, listeners: listeners, sockets: sockets.filter { passed.byPath[$0.path] == nil }, rooms: all,
      gates: tcp.map(\.gate), limits: limits)
  }

  /// Puts new certificates, CAs and lists of revoked ones in force, each under its gate's name, and closes the connections of
  /// those that are revoked; their number. Blocks until it is done.
  package func replaceTLS(_ contexts: [String: TLSContext]) -> Int {
    for gate in gates { if let context = contexts[gate.name] { gate.replace(context) } }
    return rooms.reduce(0) { $0 + ($1.ask { $0.closeRevoked() } ?? 0) }
  }

  /// Takes no new connection and no new request, answers what is under way, closes everything. Blocks, and no
  /// longer than the stop's deadline and a little.
  package func close() {
    for listener in listeners { try? listener.close().wait() }
    for socket in sockets { socket.remove() }
    for room in rooms { room.ask { $0.finish() } }
    let until = NIODeadline.now() + .milliseconds(limits.stopDeadlineMilliseconds)
    while NIODeadline.now() < until, !rooms.allSatisfy({ $0.ask { $0.isEmpty } ?? true }) { pause(milliseconds: 5) }
    for room in rooms { room.ask { $0.closeNow() } }
    try? adminThread.syncShutdownGracefully()
    try? proofThread.syncShutdownGracefully()
    try? logThread.syncShutdownGracefully()
    try? keyThread.syncShutdownGracefully()
    try? threads.syncShutdownGracefully()
    try? group.syncShutdownGracefully()
  }
}

/// A loop's room, reached from outside.
struct LoopRoom: Sendable {
  let loop: any EventLoop
  let room: NIOLoopBound<DoorRoom>

  /// Asks on the loop and waits; nil where the loop has stopped.
  @discardableResult
  func ask<Value: Sendable>(_ body: @escaping @Sendable (DoorRoom) -> Value) -> Value? {
    try? loop.submit { body(room.value) }.wait()
  }
}

private func pause(milliseconds: UInt32) { _ = usleep(milliseconds * 1000) }
