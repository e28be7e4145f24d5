import ChatelaineAuditLog
import ChatelaineAuditTrail
import ChatelaineKeyStore
import ChatelaineVocabulary
import Foundation
import Synchronization
import Testing

@testable import ChatelaineKeyService

/// Going on after an older copy was put back: a new epoch of the log.
@Suite struct AcknowledgingTests {
  let shop: Workshop
  let acme = tenant("acme")
  let records = key("records")
  /// A copy of store and log, before the last changes.
  let old: Workshop

  init() throws {
    shop = try Workshop()
    try shop.initialize()
    let (acme, caller, records) = (acme, shop.caller, records)
    try shop.running { service in
      _ = try service.createTenant(acme, by: caller, tags)
      _ = try service.createKey(records, of: acme, by: caller, tags)
      _ = try service.createKey(key("gone"), of: acme, by: caller, tags)
    }
    old = try shop.copy()
    try shop.running { service in
      _ = try service.rotateKey(records, of: acme, by: caller, tags)
      _ = try service.setKeyState(.disabled, key("gone"), of: acme, by: caller, tags)
    }
  }

  private func rollback(_ shop: Workshop) throws -> Rollback? {
    try KeyService.findRollback(storePath: shop.storePath, log: shop.storage(), masterKeys: shop.masterKeys)
  }

  @discardableResult
  private func acknowledge(
    _ lost: LostRange, _ shop: Workshop, on storage: (any LogStorage)? = nil
  ) throws -> Acknowledged {
    try KeyService.acknowledge(
      lost, storePath: shop.storePath, log: storage ?? shop.storage(), options: shop.options,
      masterKeys: shop.masterKeys, by: shop.caller, tags)
  }

  private func refusal(_ lost: LostRange, _ shop: Workshop) throws -> StartError? {
    do {
      try acknowledge(lost, shop)
      return nil
    } catch let error as StartError { return error }
  }

  private func state(of name: KeyName, _ shop: Workshop) throws -> TenantKeyRow.State? {
    try shop.running { try $0.store.key(acme, name)?.state }
  }

  private func append(_ entry: AuditEntry) throws {
    let (writer, _) = try LogWriter.open(in: shop.storage(), options: shop.options)
    try writer.commit([[EntryDraft(entry)]]) { _, _ in }
  }

  private func epochs(_ shop: Workshop) throws -> [EpochReading] {
    let storage = try FileStorage(path: shop.logPath, exclusively: false)
    return try LogEpochs(storage).readAll(storage)
  }

  // MUST: EPOCH-4, EPOCH-5
  @Test func `a store that was put back goes on in a new epoch, and what was disabled stays disabled`() throws {
    let before = try shop.entries()
    try shop.restoreStore(of: old)
    let found = try #require(try rollback(shop))
    #expect(found.lost.entries == nil && found.lost.generations == 5...6)
    #expect(found.changes.map(\.operation) == [.keyRotate, .keyDisable])
    let done = try acknowledge(found.lost, shop)
    #expect(done.storeGeneration == 7 && done.closed.map(\.key) == [key("gone")])
    #expect(try state(of: key("gone"), shop) == .disabled && state(of: records, shop) == .enabled)
    let readings = try epochs(shop)
    #expect(readings.map(\.epoch.epoch) == [1, 2] && readings[0].entries == UInt64(before.count))
    #expect(readings[1].link?.lost == found.lost && readings[1].acknowledgement?.peerUID == 1000)
    let entries = try shop.entries().map(\.entry)
    #expect(entries[0].operation == .rollbackAcknowledge && entries[0].entryClass == .intent)
    #expect(entries[1].operation == .rollbackAcknowledge && entries[1].outcome == .ok)
    #expect(try started() == EntryPlace(epoch: 2, sequence: 0))
    try shop.running { _ = try $0.rotateKey(records, of: acme, by: shop.caller, tags) }
    #expect(shop.refusalToOpen() == nil)
    #expect(try shop.running { $0.storeHead.generation } == 8)
  }

  @Test func `a tenant that the lost part had frozen is frozen again, and one that it had unfrozen is not`() throws {
    let other = tenant("other")
    try shop.running { service in _ = try service.createTenant(other, by: shop.caller, tags) }
    let before = try shop.copy()
    try shop.running { service in
      for (isFrozen, id) in [(true, acme), (true, other), (false, other)] {
        _ = try service.setTenantState(isFrozen: isFrozen, id, by: shop.caller, tags)
      }
    }
    try shop.restoreStore(of: before)
    let done = try acknowledge(try #require(try rollback(shop)).lost, shop)
    #expect(done.closed.map(\.tenant) == [acme] && done.closed.allSatisfy { $0.key == nil })
    try shop.running { service in
      let found = try service.store.tenant(other)
      #expect(found?.state == .active)
      #expect(throws: ServiceError.tenantFrozen) { try service.openKey(records, of: acme) }
    }
  }

  /// What the store names in a start that has nothing to resolve.
  private func started() throws -> EntryPlace {
    let (service, report) = try shop.open()
    defer { service.close() }
    #expect(report.resolved.isEmpty)
    return service.storeHead.logPlace
  }

  @Test func `a log that was put back goes on behind what the store knows`() throws {
    let lostEnd = try shop.running { $0.storeHead.logPlace }
    try shop.restoreLog(of: old)
    let found = try #require(try rollback(shop))
    let end = UInt64(try old.entries().count)
    #expect(found.lost.entries == EntryPlace(epoch: 1, sequence: end)...lostEnd && found.lost.generations == nil)
    try acknowledge(found.lost, shop)
    #expect(try shop.running { try $0.openKey(records, of: acme).version } == 2)
    #expect(try epochs(shop).map(\.epoch.epoch) == [1, 2])
  }

  @Test func `what is acknowledged must be what is lost`() throws {
    let nothing = LostRange(entries: nil, generations: 5...6, of: [])
    #expect(try refusal(nothing, shop) == .nothingToAcknowledge)
    try shop.restoreStore(of: old)
    let found = try #require(try rollback(shop)).lost
    let rows = try shop.rows()
    for other in [nothing, try #require(LostRange("store:5-7,\(found.check)"))] {
      #expect(try refusal(other, shop) == .otherLoss(given: other, found: found))
    }
    #expect(try shop.rows() == rows && epochs(shop).count == 1)
    #expect(try refusal(found, shop) == nil, "the control")
    #expect(try refusal(found, shop) == .nothingToAcknowledge)
  }

  @Test func `a store of another history, a log that was changed and a log of another service are no rollback`() throws {
    let any = LostRange(entries: nil, generations: 5...6, of: [])
    let fork = try old.copy()
    for _ in 0..<2 { try fork.running { _ = try $0.rotateKey(records, of: acme, by: shop.caller, tags) } }
    let other = try shop.copy()
    try other.restoreStore(of: fork)
    guard case .logRewritten = try refusal(any, other) else {
      Issue.record("a fork was taken for a rollback")
      return
    }
    let stranger = try Workshop(masterKeys: shop.masterKeys)
    try stranger.initialize()
    try stranger.restoreStore(of: shop)
    guard case .otherLog = try refusal(any, stranger) else {
      Issue.record("another service's log")
      return
    }
  }

  // MUST: EPOCH-10
  @Test(arguments: [UInt64.max - 2, 1 << 62, 1 << 41, 3])
  func `a state of the store that no service comes to is no rollback`(ahead: UInt64) throws {
    let generation: UInt64 = 6
    var entry = AuditEntry(.outcome, .keyDisable)
    (entry.outcome, entry.tenant, entry.keyName) = (.ok, acme, records)
    entry.storeGeneration = ahead > 1 << 62 ? ahead : generation + ahead
    entry.details = [
      .init(.storeRoot, [UInt8](repeating: 1, count: 32)), .init(.intentSequence, ByteWriter.u64Bytes(1)),
      .init(.intentLeafHash, [UInt8](repeating: 2, count: 32)),
    ]
    try append(entry)
    guard ahead == 3 else {
      let any = LostRange(entries: nil, generations: 5...6, of: [])
      guard case .impossibleGeneration = try refusal(any, shop) else {
        Issue.record("a forged generation was taken for a loss")
        return
      }
      return
    }
    #expect(try rollback(shop)?.lost.generations == generation + 1...generation + 3, "the control")
  }

  // MUST: EPOCH-6, EPOCH-8
  @Test func `an epoch that the store does not name is not its own, and an old store is found in the new epoch`() throws {
    let forged = try shop.copy()
    try shop.restoreStore(of: old)
    let early = try shop.copy()
    try acknowledge(try #require(try rollback(shop)).lost, shop)
    try forged.restoreLog(of: shop)
    #expect(forged.refusalToOpen() == .otherEpoch(store: 1, log: 2))
    try shop.restoreStore(of: early)
    #expect(shop.refusalToOpen() == .otherEpoch(store: 1, log: 2))
    let found = try #require(try rollback(shop))
    #expect(found.lost.generations == 5...7 && found.number == 3)
    try acknowledge(found.lost, shop)
    // The number of an epoch is never used again.
    try shop.restoreLog(of: old)
    let again = try #require(try rollback(shop))
    #expect(again.number == 4 && again.lost.entries?.upperBound == EntryPlace(epoch: 3, sequence: 0))
    try acknowledge(again.lost, shop)
    #expect(try epochs(shop).map(\.epoch.epoch) == [1, 4])
    #expect(shop.refusalToOpen() == nil)
  }

  // MUST: EPOCH-7
  @Test func `cut off at any step, an acknowledgement was not done, or the next start ends it`() throws {
    try shop.restoreStore(of: old)
    let lost = try #require(try rollback(shop)).lost
    let storage = SteppedStorage(try shop.storage())
    let copies = Mutex<[Workshop]>([])
    storage.hook.withLock { hook in
      hook = { [shop] in if let copy = try? shop.copy() { copies.withLock { $0.append(copy) } } }
    }
    try acknowledge(lost, shop, on: storage)
    storage.hook.withLock { $0 = nil }
    let all = try copies.withLock { $0 } + [shop.copy()]
    var undone = 0
    for crashed in all {
      if crashed.refusalToOpen() != nil {
        undone += 1
        #expect(try rollback(crashed)?.lost == lost, "nothing was done, and the same is lost")
        #expect(try epochs(crashed).count == 1)
        try acknowledge(lost, crashed)
      }
      try crashed.running { #expect($0.storeHead.generation == 7) }
      #expect(try epochs(crashed).map(\.epoch.epoch) == [1, 2])
      let outcomes = try crashed.entries().map(\.entry).filter {
        $0.operation == .rollbackAcknowledge && $0.outcome == .ok
      }
      #expect(outcomes.count == 1)
      #expect(try state(of: key("gone"), crashed) == .disabled)
      #expect(crashed.refusalToOpen() == nil)
    }
    #expect(undone > 5 && all.count - undone > 5, "\(undone) of \(all.count)")
  }
}

/// Calls a hook before every change of a log's directory.
private final class SteppedStorage: LogStorage {
  let hook = Mutex<(@Sendable () -> Void)?>(nil)
  private let disk: FileStorage

  init(_ disk: FileStorage) { self.disk = disk }

  fileprivate func step() { hook.withLock { $0 }?() }

  var path: String { disk.path }
  var sectorBytes: Int { disk.sectorBytes }
  func list() throws(StorageFailure) -> [String] { try disk.list() }

  func open(_ name: String, forWriting: Bool) throws(StorageFailure) -> any LogFile {
    let file = try disk.open(name, forWriting: forWriting)
    return forWriting ? SteppedFile(file, self) : file
  }

  func create(_ name: String) throws(StorageFailure) -> any LogFile {
    step()
    return SteppedFile(try disk.create(name), self)
  }

  func rename(_ name: String, to newName: String) throws(StorageFailure) {
    step()
    try disk.rename(name, to: newName)
  }

  func remove(_ name: String) throws(StorageFailure) {
    step()
    try disk.remove(name)
  }

  func syncDirectory() throws(StorageFailure) {
    step()
    try disk.syncDirectory()
  }
}

private final class SteppedFile: LogFile {
  private let file: any LogFile
  private let storage: SteppedStorage

  init(_ file: any LogFile, _ storage: SteppedStorage) {
    self.file = file
    self.storage = storage
  }

  func size() throws(StorageFailure) -> UInt64 { try file.size() }
  func read(at offset: UInt64, count: Int) throws(StorageFailure) -> [UInt8] { try file.read(at: offset, count: count) }
  func isLinked() throws(StorageFailure) -> Bool { try file.isLinked() }
  func truncate(to size: UInt64) throws(StorageFailure) { try file.truncate(to: size) }

  func write(_ bytes: Span<UInt8>, at offset: UInt64) throws(StorageFailure) {
    storage.step()
    try file.write(bytes, at: offset)
  }

  func sync() throws(StorageFailure) {
    storage.step()
    try file.sync()
  }
}
