import ChatelaineAuditLog
import ChatelaineAuditTrail
import ChatelaineCustody
import ChatelaineKeyStore
import ChatelaineVocabulary
import Foundation
import GRDB
import Synchronization
import Testing

@testable import ChatelaineKeyService

/// The files as they were at every write and sync of the log during a rotation, each opened as after a crash.
@Suite struct MasterCrashTests {
  let shop: Workshop
  private let tenants = (0..<9).map { tenant("tenant-\($0)") }

  init() throws {
    shop = try Workshop.withKeyring()
    try shop.initialize()
    try shop.running { service in
      for tenant in tenants { _ = try service.createTenant(tenant, by: shop.caller, tags) }
      _ = try service.createKey(key("k"), of: tenants[0], by: shop.caller, tags)
    }
  }

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

  @Test func `a rotation that is cut off at any step goes on, or can be begun again`() throws {
    let envelope = try shop.running { service in
      try Calls(service, by: shop.caller).encrypt([7], under: "k", of: "tenant-0").get()
    }
    let crashed = try crashes { service in
      _ = try service.rotateMaster(singleCopy: true, by: shop.caller, tags)
      try service.waitForRewrapping()
      _ = try service.retireMaster(1, by: shop.caller, tags)
    }
    #expect(crashed.count >= 17)
    var seen: Set<String> = []
    for copy in crashed {
      let (service, report) = try copy.open()
      defer { service.close() }
      #expect(report.resolved.count <= 1)
      try service.waitForRewrapping()
      let primary = service.store.storeRow.primaryMasterVersion
      let census = try service.store.census()
      #expect(census.roots == [primary: 9])
      #expect(try service.checkStore() >= 12)
      let opened = try Calls(service, by: copy.caller).decrypt(envelope, of: "tenant-0").get()
      #expect(opened == [7])
      let states = try service.masterStatus(by: copy.caller, tags).versions.map(\.state.rawValue)
      seen.insert(states.joined(separator: " "))
      try finish(service, copy)
    }
    // Nothing, a file, a version that waits, in use, retired.
    let all = ["primary", "primary unknown", "primary pending", "in-use primary", "retired primary"]
    #expect(seen.isSubset(of: all) && seen.isSuperset(of: all.filter { $0 != "primary unknown" }), "\(seen)")
  }

  @Test(arguments: ["DELETE FROM rotations", "UPDATE rotations SET cursor = cursor + 1"])
  func `a rotation whose record was changed is told of, and not passed over`(statement: String) throws {
    let crashed = try crashes { service in
      _ = try service.rotateMaster(singleCopy: true, by: shop.caller, tags)
      try service.waitForRewrapping()
    }
    let unfinished = try #require(try crashed.first { try $0.hasUnfinishedRotation() })
    // The control: as it was left, it goes on, and nothing is told.
    let control = try unfinished.copy()
    try control.running { service in
      try service.waitForRewrapping()
      #expect(service.faults.last == nil)
    }
    try unfinished.sql(statement)
    let (service, _) = try unfinished.open()
    defer { service.close() }
    let end = Date(timeIntervalSinceNow: 10)
    while service.faults.last == nil, Date() < end { usleep(10_000) }
    #expect(service.faults.last?.sentence.contains("the rotation to master key version 2") == true)
    #expect(service.rewrapping.stalledBy != nil)
  }

  /// From wherever a crash left it, to the end.
  private func finish(_ service: KeyService, _ copy: Workshop) throws {
    let status = try service.masterStatus(by: copy.caller, tags)
    if status.versions.contains(where: { $0.state == .pending }) {
      _ = try service.commitMaster(nil, by: copy.caller, tags)
    } else if status.primary?.version == 1 {
      _ = try service.rotateMaster(singleCopy: true, by: copy.caller, tags)
    }
    try service.waitForRewrapping()
    #expect(service.store.storeRow.primaryMasterVersion == 2)
    #expect(try service.store.census().roots == [2: 9])
    guard status.versions.first?.state != .retired else { return }
    _ = try service.retireMaster(1, by: copy.caller, tags)
  }
}

extension Workshop {
  /// As the closed store's rows say.
  fileprivate func hasUnfinishedRotation() throws -> Bool {
    let database = try DatabaseQueue(path: storePath)
    defer { try? database.close() }
    return try database.read { try Row.fetchOne($0, sql: "SELECT 1 FROM rotations WHERE finished = 0") != nil }
  }
}
