internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineKeyService
internal import ChatelaineSocketBuffers
internal import ChatelaineTokens
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
  /// For the HTTP door's base64.
  let scratch = Scratch()
  private let tokens: TokensAtHand
  /// Of the tokens at hand.
  private var tokensEpoch: UInt64 = 0
  private let eventLoop: any EventLoop
  private let loaders: NIOThreadPool
  private let arrivals: Arrivals
  private var link: LoopLink?
  /// Turns whose entries go to the log when this tick of the loop ends, together.
  private var gathered = Gathered()
  private var tickEndIsDue = false
  /// In the order in which the log got their entries, which is the order of its answers.
  private var submitted = CircularBuffer<[any LoopTurn]>()
  private var loading: [KeyRequest: [any DoorConnection]] = [:]

  init(_ service: KeyService, on eventLoop: any EventLoop, keysAtHandMax: Int, loaders: NIOThreadPool) throws {
    eventLoop.preconditionInEventLoop()
    path = try DataPath(service, keysAtHandMax: keysAtHandMax)
    self.service = service
    tokens = TokensAtHand(service.tokens)
    self.eventLoop = eventLoop
    self.loaders = loaders
    arrivals = Arrivals(eventLoop)
    let link = LoopLink(NIOLoopBound(self, eventLoop: eventLoop), eventLoop)
    self.link = link
    arrivals.loop.withLock { $0 = NIOLoopBound(self, eventLoop: eventLoop) }
    service.attach(link)
  }

  /// What the value of an `authorization` is worth now; it is read where it lies.
  func judge(authorization value: Span<UInt8>) -> ShownToken {
    refreshTokens()
    return tokens.judge(authorization: value, now: service.tokenSeconds())
  }

  func judge(_ credential: Credential) -> ShownToken {
    switch credential {
    case .none: return .none
    case .authorization(let value): return judge(authorization: value.span)
    case .token(let token):
      refreshTokens()
      return tokens.judge(token.span, now: service.tokenSeconds())
    case .several:
      refreshTokens()
      return tokens.isOn ? .bad(.scheme) : .none
    }
  }

  /// Every token that was verified is forgotten once policy or tokens changed.
  private func refreshTokens() {
    let epoch = service.policyEpoch
    guard epoch != tokensEpoch else { return }
    tokensEpoch = epoch
    tokens.take(service.tokens)
  }

  /// After the last connection is closed.
  func close() {
    if let link { service.detach(link) }
    path.forget(nil)
    arrivals.loop.withLock { $0 = nil }
  }

  /// Takes the entries of a turn, for the log; its replies leave when they are durable.
  func submit(_ turn: any LoopTurn, _ drafts: [EntryDraft]) {
    if gathered.isFull { hand(gathered.take()) }
    gathered.add(turn, drafts)
    worked()
  }

  /// A connection used this loop's keys: what that left behind is erased when the tick ends, before the loop waits.
  func worked() {
    guard !tickEndIsDue else { return }
    tickEndIsDue = true
    let me = NIOLoopBound(self, eventLoop: eventLoop)
    eventLoop.execute { me.value.endTick() }
  }

  /// All connections that had something to read in this tick have been answered.
  private func endTick() {
    tickEndIsDue = false
    path.scrub()
    if !gathered.isEmpty { hand(gathered.take()) }
  }

  /// Lets go of a tenant's keys; what was done with them is on its way to the log before this returns.
  fileprivate func forget(_ tenant: TenantID?) {
    if !gathered.isEmpty { hand(gathered.take()) }
    path.forget(tenant)
  }

  private func hand(_ group: Gathered) {
    let isAlone = submitted.isEmpty && group.drafts.count == 1 && group.turns[0].sender.isAwaited
    submitted.append(group.turns)
    let arrivals = self.arrivals
    let arrive: AuditLog.Completion = { arrivals.put(Arrival($0)) }
    // why: with nothing else under way, what waiting for the disk holds up is this one call.
    if isAlone, service.appendIfIdle(group.drafts, completion: arrive) { return }
    service.append(group.drafts, completion: arrive)
  }

  /// Loads a key on a thread that may block, and wakes the connection.
  func load(_ request: KeyRequest, for connection: any DoorConnection) {
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
    var touched: [any DoorConnection] = []
    for arrival in arrived {
      let turns = submitted.removeFirst()
      arrival.answer(turns)
      for turn in turns {
        let sender = turn.sender
        if sender.touch() { touched.append(sender) }
      }
    }
    for connection in touched { connection.flush() }
  }
}

/// Turns of several connections, and their entries one behind the other: one append to the log.
private struct Gathered {
  /// Well below a frame, which a group of the log must not outgrow.
  private static let entriesMax = 512
  private static let bytesMax = 256 << 10

  private(set) var turns: [any LoopTurn] = []
  private(set) var drafts: [EntryDraft] = []
  private var byteCount = 0

  var isEmpty: Bool { drafts.isEmpty }
  var isFull: Bool { drafts.count >= Self.entriesMax || byteCount >= Self.bytesMax }

  mutating func add(_ turn: any LoopTurn, _ more: [EntryDraft]) {
    turns.append(turn)
    byteCount += more.reduce(0) { $0 + $1.bytes.count }
    if drafts.isEmpty { drafts = more } else { drafts.append(contentsOf: more) }
  }

  mutating func take() -> Gathered {
    defer { self = Gathered() }
    return self
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
      loop.value.forget(tenant)
      done()
    }
  }
}

/// What the log's writer says of the turns that were handed to it together.
private final class Arrival: Sendable {
  private let outcome: AppendOutcome

  init(_ outcome: consuming AppendOutcome) { self.outcome = outcome }

  func answer(_ turns: [any LoopTurn]) {
    switch outcome {
    case .durable(let receipt):
      var first = 0
      for turn in turns {
        turn.release(receipt, from: first)
        first += turn.entryCount
      }
    // why: whatever is wrong with the log, nothing of what was asked was given, and a restart may be all it takes.
    case .failed: for turn in turns { turn.refuse(.auditUnavailable) }
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
