import ChatelaineAuditLog
import ChatelaineAuditTrail
import ChatelaineKeyStore
import ChatelainePrimitives
import ChatelaineVocabulary
import Foundation
import Synchronization
import Testing

@testable import ChatelaineKeyService

/// No entry of a key's use may follow the outcome of the change that ended it, however slow a thread is.
@Suite struct RevocationTests {
  /// A door's event loop: what it did is queued in the log when its turn is over, not before.
  final class Loop: KeyHolder, @unchecked Sendable {
    enum Manner { case waits, acknowledgesEarly }

    let queue: DispatchQueue
    private let service: KeyService
    private let manner: Manner
    private let delay: TimeInterval
    private let calls: Calls
    private var unqueued: [EntryDraft] = []
    private(set) var refusals = 0
    let acknowledged = Atomic<Int>(0)
    private let inFlight = DispatchGroup()
    /// A door bounds what waits for the log, or a slow disk would let it grow for ever.
    private let turnsWaiting = DispatchSemaphore(value: 64)

    init(_ service: KeyService, _ caller: Caller, _ manner: Manner, delay: TimeInterval) throws {
      queue = DispatchQueue(label: "loop")
      self.service = service
      self.manner = manner
      self.delay = delay
      calls = try Calls(service, by: caller)
      service.attach(self)
    }

    /// One request of a turn: answered, its entry not yet queued.
    func encrypt() {
      while true {
        var turn: DataPath.Turn?
        _ = [UInt8](rawCapacity: 97) { output in
          turn = [1].span.withRawSpan {
            calls.path.encrypt(
              $0, under: key("k"), of: tenant("acme"), context: .empty, by: calls.caller, tags,
              appendingTo: &output)
          }
        }
        switch turn {
        case .needs(let request): calls.path.keep(service.load(request))
        case .done(let attempt):
          if attempt.failure != nil { refusals += 1 }
          return unqueued.append(attempt.draft)
        case nil: preconditionFailure("not called")
        }
      }
    }

    func endTurn() {
      guard !unqueued.isEmpty else { return }
      turnsWaiting.wait()
      inFlight.enter()
      service.log.append(unqueued) { [inFlight, turnsWaiting] (_: consuming AppendOutcome) in
        turnsWaiting.signal()
        inFlight.leave()
      }
      unqueued = []
    }

    func forget(_ tenant: TenantID?, done: @escaping @Sendable () -> Void) {
      if manner == .acknowledgesEarly { done() }
      queue.async { [self] in
        Thread.sleep(forTimeInterval: delay)
        endTurn()
        calls.path.forget(tenant)
        guard manner == .waits else { return }
        acknowledged.wrappingAdd(1, ordering: .sequentiallyConsistent)
        done()
      }
    }

    func finish() {
      queue.sync { endTurn() }
      inFlight.wait()
      service.detach(self)
    }
  }

  let shop: Workshop

  init() throws {
    shop = try Workshop()
    try shop.initialize()
    try shop.running { service in
      _ = try service.createTenant(tenant("acme"), by: shop.caller, tags)
      _ = try service.createKey(key("k"), of: tenant("acme"), by: shop.caller, tags)
    }
  }

  /// Successful uses that stand between the outcome of a disabling and the intent of the next enabling.
  private func usesWhileDisabled() throws -> Int {
    var isDisabled = false
    var found = 0
    for entry in try shop.entries().map(\.entry) {
      switch (entry.entryClass, entry.operation) {
      case (.outcome, .keyDisable): isDisabled = true
      case (.intent, .keyEnable): isDisabled = false
      case (.keyUse, .encrypt): found += isDisabled && entry.outcome == .ok ? 1 : 0
      default: break
      }
    }
    return found
  }

  private func disableUnder(_ manner: Loop.Manner) throws {
    try shop.running { service in
      let loop = try Loop(service, shop.caller, manner, delay: 0.2)
      // The answer is made and waits for the end of the turn, which is late.
      loop.queue.sync { for _ in 0..<5 { loop.encrypt() } }
      _ = try service.setKeyState(.disabled, key("k"), of: tenant("acme"), by: shop.caller, tags)
      loop.finish()
    }
  }

  @Test func `entries of before stand ahead of the outcome, however late a thread queues them`() throws {
    try disableUnder(.waits)
    #expect(try usesWhileDisabled() == 0)
    #expect(try shop.entries().count { $0.entry.operation == .encrypt && $0.entry.outcome == .ok } == 5)
  }

  @Test func `the control: a thread that says too early that it is done has entries behind the outcome`()
    throws
  {
    try disableUnder(.acknowledgesEarly)
    #expect(try usesWhileDisabled() == 5)
  }

  @Test func `a disabling returns after every thread has let go, the slowest too`() throws {
    try shop.running { service in
      let loops = try [0, 0.05, 0.3].map { try Loop(service, shop.caller, .waits, delay: $0) }
      for loop in loops { loop.queue.sync { loop.encrypt() } }
      let start = Date()
      _ = try service.setKeyState(.disabled, key("k"), of: tenant("acme"), by: shop.caller, tags)
      #expect(loops.allSatisfy { $0.acknowledged.load(ordering: .sequentiallyConsistent) == 1 })
      #expect(Date().timeIntervalSince(start) >= 0.3)
      for loop in loops {
        loop.queue.sync { loop.encrypt() }
        #expect(loop.queue.sync { loop.refusals } == 1)
        loop.finish()
      }
    }
    #expect(try usesWhileDisabled() == 0)
  }

  @Test func `under traffic of three threads no use falls between a disabling and the next enabling`() throws
  {
    let isOver = Atomic<Bool>(false)
    let served = Atomic<Int>(0)
    try shop.running { service in
      let loops = try (0..<3).map { _ in try Loop(service, shop.caller, .waits, delay: 0) }
      let threads = DispatchGroup()
      for loop in loops {
        threads.enter()
        Thread.detachNewThread {
          while !isOver.load(ordering: .relaxed) {
            loop.queue.sync {
              for _ in 0..<4 { loop.encrypt() }
              loop.endTurn()
            }
            served.wrappingAdd(4, ordering: .relaxed)
          }
          threads.leave()
        }
      }
      for _ in 0..<15 {
        _ = try service.setKeyState(.disabled, key("k"), of: tenant("acme"), by: shop.caller, tags)
        Thread.sleep(forTimeInterval: 0.003)
        _ = try service.setKeyState(.enabled, key("k"), of: tenant("acme"), by: shop.caller, tags)
        Thread.sleep(forTimeInterval: 0.003)
      }
      isOver.store(true, ordering: .relaxed)
      threads.wait()
      for loop in loops { loop.finish() }
    }
    #expect(try usesWhileDisabled() == 0)
    let uses = try shop.entries().map(\.entry).filter { $0.operation == .encrypt }
    #expect(uses.count == served.load(ordering: .relaxed))
    #expect(Set(uses.map(\.outcome)) == [.ok, .denied])
  }

  /// Never lets go by itself.
  private final class Stuck: KeyHolder {
    let asked = DispatchSemaphore(value: 0)
    func forget(_ tenant: TenantID?, done: @escaping @Sendable () -> Void) { asked.signal() }
  }

  @Test func `a thread that has ended is waited for no longer, and one that hangs does not go unnoticed`() {
    let holders = KeyHolders()
    #expect(holders.forget(nil, withinSeconds: 0))
    let stuck = Stuck()
    holders.attach(stuck)
    #expect(!holders.forget(nil, withinSeconds: 0))
    Thread.detachNewThread {
      stuck.asked.wait()
      stuck.asked.wait()
      holders.detach(stuck)
    }
    #expect(holders.forget(nil, withinSeconds: 20))
    #expect(holders.forget(nil, withinSeconds: 0))
  }

  @Test func `a change that a hanging thread holds up is left to the next start`() throws {
    let storage = try shop.storage()
    let service = try KeyService.open(
      storePath: shop.storePath, log: storage, options: shop.options, masterKeys: shop.masterKeys,
      revocationSecondsMax: 1
    ).0
    let stuck = Stuck()
    service.attach(stuck)
    for _ in 0..<2 {
      let refusal = #expect(throws: ServiceError.self) {
        try service.setKeyState(.disabled, key("k"), of: tenant("acme"), by: shop.caller, tags)
      }
      guard case .mustRestart = refusal else { return #expect(Bool(false), "\(String(describing: refusal))") }
    }
    #expect(service.changesHaltedBy != nil)
    // Nobody can use the key any more, though the operator was not told that nobody does.
    let calls = try Calls(service, by: shop.caller)
    #expect(try calls.encrypt([1], under: "k", of: "acme") == .failure(.keyDisabled))
    service.close()
    let (again, report) = try shop.open(on: storage)
    defer { again.close() }
    #expect(report.resolved.map(\.wasDone) == [true])
    _ = try again.setKeyState(.enabled, key("k"), of: tenant("acme"), by: shop.caller, tags)
  }
}
