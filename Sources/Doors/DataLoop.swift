internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineKeyService
internal import ChatelaineVocabulary
internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// What an event loop of the data door owns: keys at hand, ciphers, and the turns that wait for the log.
///
/// Confined to its loop: no lock, no hop for a request. Other threads reach it through `LoopLink`.
final class DataLoop {
  let path: DataPath
  let service: KeyService
  private let eventLoop: any EventLoop
  private let loaders: NIOThreadPool
  private let arrivals: Arrivals
  private var link: LoopLink?
  /// In the order in which the log got their entries, which is the order of its answers.
  private var turns = CircularBuffer<DoorTurn>()
  private var loading: [KeyRequest: [Connection]] = [:]

  init(_ service: KeyService, on eventLoop: any EventLoop, keysAtHandMax: Int, loaders: NIOThreadPool) throws {
    eventLoop.preconditionInEventLoop()
    path = try DataPath(service, keysAtHandMax: keysAtHandMax)
    self.service = service
    self.eventLoop = eventLoop
    self.loaders = loaders
    arrivals = Arrivals(eventLoop)
    let link = LoopLink(NIOLoopBound(self, eventLoop: eventLoop), eventLoop)
    self.link = link
    arrivals.loop.withLock { $0 = NIOLoopBound(self, eventLoop: eventLoop) }
    service.attach(link)
  }

  /// After the last connection is closed.
  func close() {
    if let link { service.detach(link) }
    path.forget(nil)
    arrivals.loop.withLock { $0 = nil }
  }

  /// Hands the entries of a turn to the log; its replies leave when they are durable.
  func submit(_ turn: DoorTurn, _ drafts: [EntryDraft]) {
    turns.append(turn)
    let arrivals = self.arrivals
    service.append(drafts) { arrivals.put(Arrival($0)) }
  }

  /// Loads a key on a thread that may block, and wakes the connection.
  func load(_ request: KeyRequest, for connection: Connection) {
    loading[request, default: []].append(connection)
    guard loading[request]?.count == 1 else { return }
    let service = self.service
    let me = NIOLoopBound(self, eventLoop: eventLoop)
    loaders.runIfActive(eventLoop: eventLoop) { service.load(request) }.whenComplete { me.value.loaded(request, $0) }
  }

  private func loaded(_ request: KeyRequest, _ result: Result<LoadedKey, any Error>) {
    if case .success(let key) = result { path.keep(key) }
    for connection in loading.removeValue(forKey: request) ?? [] { connection.resume() }
  }

  fileprivate func deliver(_ arrived: [Arrival]) {
    var touched: [ObjectIdentifier: Connection] = [:]
    for arrival in arrived {
      let turn = turns.removeFirst()
      arrival.answer(turn)
      touched[ObjectIdentifier(turn.connection)] = turn.connection
    }
    for connection in touched.values { connection.flush() }
  }
}

/// How other threads ask a loop to let go of keys.
private final class LoopLink: KeyHolder {
  private let loop: NIOLoopBound<DataLoop>
  private let eventLoop: any EventLoop

  init(_ loop: NIOLoopBound<DataLoop>, _ eventLoop: any EventLoop) {
    self.loop = loop
    self.eventLoop = eventLoop
  }

  func forget(_ tenant: TenantID?, done: @escaping @Sendable () -> Void) {
    let loop = self.loop
    eventLoop.execute {
      loop.value.path.forget(tenant)
      done()
    }
  }
}

/// What the log's writer says of one turn.
private final class Arrival: Sendable {
  private let outcome: AppendOutcome

  init(_ outcome: consuming AppendOutcome) { self.outcome = outcome }

  func answer(_ turn: DoorTurn) {
    switch outcome {
    case .durable(let receipt): turn.release(receipt)
    // why: whatever is wrong with the log, nothing of what was asked was given, and a restart may be all it takes.
    case .failed: turn.refuse(.auditUnavailable)
    }
  }
}

/// From the writer's thread to the loop: one wake-up for all that came since the last.
private final class Arrivals: Sendable {
  let loop = Mutex<NIOLoopBound<DataLoop>?>(nil)
  private let waiting = Mutex<[Arrival]>([])
  private let eventLoop: any EventLoop

  init(_ eventLoop: any EventLoop) { self.eventLoop = eventLoop }

  func put(_ arrival: Arrival) {
    let isFirst = waiting.withLock { waiting in
      waiting.append(arrival)
      return waiting.count == 1
    }
    guard isFirst else { return }
    eventLoop.execute {
      let arrived = self.waiting.withLock { waiting in
        defer { waiting.removeAll(keepingCapacity: true) }
        return waiting
      }
      self.loop.withLock { $0 }?.value.deliver(arrived)
    }
  }
}
