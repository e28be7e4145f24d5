import ChatelaineAuditLog
import ChatelaineAuditTrail
import ChatelaineKeyStore
import ChatelaineVocabulary
import Foundation
import Synchronization
import Testing

@testable import ChatelaineKeyService

/// The files as they were before and after every step of a change, each opened as after a crash.
@Suite struct CrashTests {
  let shop: Workshop
  let acme = tenant("acme")
  let records = key("records")

  init() throws {
    shop = try Workshop()
    try shop.initialize()
    try shop.running { service in
      _ = try service.createTenant(acme, by: shop.caller, tags)
      _ = try service.createKey(records, of: acme, by: shop.caller, tags)
    }
  }

  /// Copies of all files before each write and sync of the log, and after the last.
  private func crashes(during change: (KeyService) throws -> Void) throws -> [Workshop] {
    let storage = WatchedStorage(try shop.storage())
    let service = try shop.open(on: storage).0
    defer { service.close() }
    let copies = Mutex<[Workshop]>([])
    storage.watch { [shop] (_) throws(StorageFailure) in
      if let copy = try? shop.copy() { copies.withLock { $0.append(copy) } }
    }
    try change(service)
    storage.watch(nil)
    return try copies.withLock { $0 } + [shop.copy()]
  }

  /// Opens twice; the number of resolved intents, and whether the one was done.
  private func restart(_ crashed: Workshop) throws -> (resolved: Int, wasDone: Bool) {
    let before = try crashed.entries().count
    let (head, report) = try start(crashed)
    let recovered = try crashed.entries().dropFirst(before).map(\.entry).filter {
      $0.entryClass == .recovered
    }
    #expect(recovered.count == report.resolved.count)
    for (entry, resolved) in zip(recovered, report.resolved) {
      #expect(entry.outcome == (resolved.wasDone ? .ok : .failed))
      #expect(entry.detail(.intentSequence) == ByteWriter.u64Bytes(resolved.sequence))
      #expect(entry.detail(.storeRoot) == head.root.bytes && entry.storeGeneration == head.generation)
      #expect(entry.tenant == acme && entry.requestID == tags.requestID)
    }
    let (headAgain, reportAgain) = try start(crashed)
    #expect(reportAgain.resolved.isEmpty && headAgain == head)
    return (report.resolved.count, report.resolved.first?.wasDone ?? false)
  }

  private func start(_ shop: Workshop) throws -> (KeyStore.Head, StartReport) {
    let (service, report) = try shop.open()
    defer { service.close() }
    #expect(try service.checkStore() >= 4)
    return (service.storeHead, report)
  }

  @Test func `a rotation that is cut off at any step was done or was not, and the next start says which`()
    throws
  {
    let crashes = try crashes { _ = try $0.rotateKey(records, of: acme, by: shop.caller, tags) }
    var results: [String] = []
    for crashed in crashes {
      let (resolved, wasDone) = try restart(crashed)
      let version = try crashed.running { try $0.openKey(records, of: acme).version }
      _ = try crashed.running { try $0.openKey(records, of: acme, version: 1) }
      #expect(resolved <= 1)
      results.append(
        resolved == 0 ? "whole, version \(version)" : "\(wasDone ? "done" : "not done"), version \(version)")
    }
    // Before the intent's write, before its sync, before the outcome's write, before its sync, after.
    #expect(results.first == "whole, version 1")
    #expect(results.contains("not done, version 1"))
    #expect(results.contains("done, version 2"))
    #expect(results.last == "whole, version 2")
    #expect(Set(results).count == 4 - (results.contains("whole, version 2") ? 0 : 1))
  }

  @Test func `an intent is durable before anything in the store changes`() throws {
    let storage = WatchedStorage(try shop.storage())
    let service = try shop.open(on: storage).0
    defer { service.close() }
    let generation = service.storeHead.generation
    let seen = Mutex<[UInt64]>([])
    storage.watch { (_) throws(StorageFailure) in seen.withLock { $0.append(service.storeHead.generation) } }
    _ = try service.rotateKey(records, of: acme, by: shop.caller, tags)
    #expect(seen.withLock { $0 } == [generation, generation, generation + 1, generation + 1])
  }

  @Test func `a refused change that is cut off before its outcome was not done`() throws {
    let crashes = try crashes { service in
      #expect(throws: ServiceError.self) { try service.createTenant(acme, by: shop.caller, tags) }
    }
    for crashed in crashes { #expect(try restart(crashed).wasDone == false) }
    #expect(crashes.count == 5)
  }

  @Test func `a store that was made is found by the first start when its outcome was not noted`() throws {
    let new = try Workshop()
    try FileManager.default.createDirectory(atPath: new.logPath, withIntermediateDirectories: true)
    let storage = WatchedStorage(try new.storage())
    storage.fail(.write, from: 4, errno: 28)  // A start writes zeros and a page, then come intent and outcome.
    #expect(throws: StartError.self) {
      try KeyService.initialize(
        storePath: new.storePath, log: storage, logName: "test", options: new.options,
        masterKeys: new.masterKeys,
        caller: new.caller)
    }
    try #require(FileManager.default.fileExists(atPath: new.storePath))
    storage.watch(nil)
    let (service, report) = try new.open(on: storage)
    defer { service.close() }
    #expect(report.resolved == [.init(sequence: 0, wasDone: true)])
    #expect(try service.checkStore() == 1)
  }

  @Test func `nothing is made beside a store that is there`() throws {
    let before = try Workshop.contents(shop.directory)
    let elsewhere = shop.directory.appending(path: "log2").path
    try FileManager.default.createDirectory(atPath: elsewhere, withIntermediateDirectories: true)
    #expect(throws: StartError.store(.exists(path: shop.storePath))) {
      try KeyService.initialize(
        storePath: shop.storePath, log: FileStorage(path: elsewhere, exclusively: false), logName: "test",
        options: shop.options, masterKeys: shop.masterKeys, caller: shop.caller)
    }
    #expect(try Workshop.contents(shop.directory) == before)
  }
}
