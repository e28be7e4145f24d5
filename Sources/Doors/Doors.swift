internal import ChatelaineAuditTrail
package import ChatelaineKeyService
internal import ChatelaineKeyStore
internal import ChatelaineVocabulary
internal import Glibc
internal import NIOCore
internal import NIOPosix

/// The open doors of a service.
package final class Doors: Sendable {
  private let group: MultiThreadedEventLoopGroup
  private let threads: NIOThreadPool
  private let adminThread: NIOThreadPool
  private let proofThread: NIOThreadPool
  private let listeners: [any Channel]
  /// Made here.
  private let sockets: [DoorSocket]
  private let rooms: [LoopRoom]
  private let limits: DoorLimits

  private init(
    group: MultiThreadedEventLoopGroup, threads: NIOThreadPool, adminThread: NIOThreadPool,
    proofThread: NIOThreadPool, listeners: [any Channel], sockets: [DoorSocket], rooms: [LoopRoom], limits: DoorLimits
  ) {
    self.group = group
    self.threads = threads
    self.adminThread = adminThread
    self.proofThread = proofThread
    self.listeners = listeners
    self.sockets = sockets
    self.rooms = rooms
    self.limits = limits
  }

  /// Opens the data door and the admin door. Blocks: for a main thread, before anyone calls.
  ///
  /// Sockets in `passed` are used where they are; the others are made, and taken away when the doors close.
  /// `facts` is asked on the admin thread for every status call; it need not fill in the doors. `adminLimits` are
  /// `limits` where nothing else is said.
  package static func open(
    _ service: KeyService, data: DoorSocket, admin: DoorSocket, eventLoops: Int = 1, keysAtHandMax: Int = 2_000,
    limits: DoorLimits = DoorLimits(), adminLimits: DoorLimits? = nil, passed: PassedSockets = .none,
    facts: @escaping @Sendable () -> StatusFacts
  ) throws -> Doors {
    let dataSocket = try data.open(passed)
    let adminSocket = try admin.open(passed)
    let places = [data, admin].map { FilePlace($0.path) }
    let group = MultiThreadedEventLoopGroup(numberOfThreads: eventLoops)
    let threads = NIOThreadPool(numberOfThreads: 2)
    let adminThread = NIOThreadPool(numberOfThreads: 1)
    let proofThread = NIOThreadPool(numberOfThreads: 1)
    for one in [threads, adminThread, proofThread] { one.start() }
    let proofs = ProofDesk(service, thread: proofThread)
    let adminLimits = adminLimits ?? limits
    let (dataCount, adminCount) = (DoorCount(limits), DoorCount(adminLimits))
    let acts = AdminActs(service: service) {
      var facts = facts()
      facts.doors += [dataCount.facts("data", data.path), adminCount.facts("admin", admin.path)]
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
    let first = Entrance(service: service, door: .data, limits: limits, count: dataCount, room: find) {
      DataDesk($0.room.data, proofs, $0.connection, $0.peer, $0.caller)
    }
    let second = Entrance(service: service, door: .admin, limits: adminLimits, count: adminCount, room: find) {
      AdminDesk(acts, $0.connection, $0.peer, $0.caller, thread: adminThread)
    }
    let listeners = [
      try first.listen(on: dataSocket, group).wait(), try second.listen(on: adminSocket, group).wait(),
    ]
    return Doors(
      group: group, threads: threads, adminThread: adminThread, proofThread: proofThread,
      listeners: listeners,
      sockets: [data, admin].filter { passed.byPath[$0.path] == nil }, rooms: all, limits: limits)
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
