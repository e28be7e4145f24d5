import ChatelaineAuditLog
import ChatelaineAuditTrail
import ChatelaineEnvelopes
import ChatelaineKeyStore
import ChatelaineSecretMemory
import ChatelaineVocabulary
import Foundation
import Synchronization
import Testing

@testable import ChatelaineCustody
@testable import ChatelaineKeyService

extension KeyService {
  /// Until no row is left to rewrap.
  func waitForRewrapping() throws {
    for _ in 0..<2000 {
      if try unfinishedRotation() == nil { return }
      usleep(5000)
    }
    Issue.record("the rewrapping does not end: \(String(describing: rewrapping.stalledBy))")
  }
}

/// The master key rotated, from the first step to the last, by hand and one step at a time.
@Suite struct MasterRotationTests {
  let shop: Workshop
  private let tenants = (0..<40).map { tenant("tenant-\($0)") }

  init() throws {
    shop = try Workshop.withKeyring()
    try shop.initialize()
  }

  private func fill(_ service: KeyService) throws -> [UInt8] {
    for tenant in tenants { _ = try service.createTenant(tenant, by: shop.caller, tags) }
    _ = try service.createKey(key("k"), of: tenants[0], by: shop.caller, tags)
    return try Calls(service, by: shop.caller).encrypt([1, 2, 3], under: "k", of: "tenant-0").get()
  }

  private func rotate(_ service: KeyService, singleCopy: Bool = false) throws -> NewMaster {
    try service.rotateMaster(singleCopy: singleCopy, by: shop.caller, tags)
  }

  private func copied(_ version: UInt32) throws -> Digest {
    try #require(shop.keysOnDisk()[version]).keyCheckValue
  }

  private func refusal(_ body: () throws -> Void) -> ServiceError? {
    do {
      try body()
      return nil
    } catch { return error as? ServiceError }
  }

  @Test func `a rotation moves every root, and what was encrypted before opens as it did`() throws {
    let (envelope, keysBefore) = try shop.running { service in
      let envelope = try fill(service)
      let new = try rotate(service)
      #expect(new.version == 2 && !new.isPrimary)
      #expect(FileManager.default.fileExists(atPath: new.file))
      #expect(service.store.storeRow.primaryMasterVersion == 1)
      let second = try Keyring(at: shop.ringPath).open(passphrase: nil)[2]
      let before = try shop.rowsWhileOpen("key_versions")
      #expect(try service.commitMaster(#require(second).keyCheckValue, by: shop.caller, tags).version == 2)
      try service.waitForRewrapping()
      let status = try service.masterStatus(by: shop.caller, tags)
      #expect(status.roots == 40 && status.primary?.version == 2 && status.primary?.roots == 40)
      #expect(status.versions.map(\.isSafeToRetire) == [true, false])
      #expect(status.rotation?.rewrapped == 40 && status.rotation?.finished != nil)
      for tenant in tenants { #expect(try service.store.tenant(tenant)?.wrappedRoot?.wrappingKey.version == 2) }
      #expect(service.store.storeRow.wrappedStoreKey.wrappingKey.version == 2)
      #expect(try service.checkStore() > 40)
      return (envelope, before)
    }
    #expect(try shop.rowsWhileOpen("key_versions") == keysBefore)
    try shop.running { service in
      let opened = try Calls(service, by: shop.caller).decrypt(envelope, of: "tenant-0").get()
      #expect(opened == [1, 2, 3])
    }
  }

  @Test func `entries say what was made, committed, moved and retired`() throws {
    let value = try shop.running { service in
      _ = try fill(service)
      let new = try rotate(service)
      let value = try copied(new.version)
      _ = try service.commitMaster(value, by: shop.caller, tags)
      try service.waitForRewrapping()
      _ = try service.retireMaster(1, by: shop.caller, tags)
      return value
    }
    let entries = try shop.entries().map(\.entry).filter { $0.entryClass == .intent || $0.entryClass == .outcome }
    let operations: [ChatelaineAuditTrail.Operation] = [.masterAdd, .masterCommit, .masterRewrap, .masterRetire]
    for operation in operations {
      let pair = entries.filter { $0.operation == operation }
      #expect(pair.map(\.entryClass) == [.intent, .outcome] && pair[1].outcome == .ok, "\(operation.word)")
      #expect(pair[1].detail(.intentSequence) == ByteWriter.u64Bytes(pair[0].sequence))
      #expect(pair[1].detail(.storeRoot) != nil && pair.allSatisfy { $0.tenant == nil })
      #expect(pair.allSatisfy { $0.detail(.version)?.last == (operation == .masterRetire ? 1 : 2) })
    }
    let added = entries.filter { $0.operation == .masterAdd }
    #expect(added.allSatisfy { $0.detail(.keyCheckValue) == value.bytes })
    let committed = entries.filter { $0.operation == .masterCommit }
    #expect(committed.allSatisfy { $0.detail(.note) == Array("second copy checked".utf8) })
    let moved = try #require(entries.last { $0.operation == .masterRewrap })
    #expect(moved.detail(.count) == ByteWriter.u64Bytes(40) && moved.principalKind == .service)
  }

  @Test func `a version is in use only after its second copy's key check value was given`() throws {
    try shop.running { service in
      #expect(refusal { _ = try service.commitMaster(.zero, by: shop.caller, tags) } == .master(.nothingPending))
      let new = try rotate(service)
      #expect(
        refusal { _ = try service.commitMaster(.zero, by: shop.caller, tags) } == .otherKeyCheckValue(version: 2))
      #expect(service.store.storeRow.primaryMasterVersion == 1)
      #expect(refusal { _ = try rotate(service) } == .master(.pending(version: new.version)))
      #expect(refusal { _ = try service.retireMaster(2, by: shop.caller, tags) } == .master(.notCommitted(version: 2)))
    }
    // Over a restart too.
    let (service, report) = try shop.open()
    defer { service.close() }
    #expect(report.masters.pending == 2)
    #expect(refusal { _ = try rotate(service) } == .master(.pending(version: 2)))
    let status = try service.masterStatus(by: shop.caller, tags)
    #expect(status.versions.map(\.state) == [.primary, .pending])
    #expect(status.versions[1].keyCheckValue == nil && status.versions[0].keyCheckValue != nil)
    _ = try service.commitMaster(copied(2), by: shop.caller, tags)
    try service.waitForRewrapping()
  }

  @Test func `without a second copy it is committed at once, and the log says so`() throws {
    try shop.running { service in
      #expect(try rotate(service, singleCopy: true).isPrimary)
      try service.waitForRewrapping()
    }
    let entry = try #require(try shop.entries().map(\.entry).last { $0.operation == .masterCommit })
    #expect(entry.detail(.note) == Array("single copy".utf8))
  }

  @Test func `a version is retired when nothing needs it, and not before`() throws {
    try shop.running { service in
      _ = try fill(service)
      service.rewrapping.stop()  // So that the roots stay where they are.
      _ = try rotate(service, singleCopy: true)
      #expect(refusal { _ = try service.retireMaster(1, by: shop.caller, tags) } == .master(.needed(version: 1, roots: 40)))
      #expect(refusal { _ = try service.retireMaster(2, by: shop.caller, tags) } == .master(.primary(version: 2)))
      #expect(refusal { _ = try service.retireMaster(7, by: shop.caller, tags) } == .master(.unknown(version: 7)))
      #expect(refusal { _ = try rotate(service) } == .master(.rewrapping(version: 2, left: 40)))
    }
    try shop.running { service in
      try service.waitForRewrapping()
      #expect(try service.retireMaster(1, by: shop.caller, tags).file == shop.ringPath + "/master-000001.key")
      #expect(service.masterKeys[1] == nil && service.masterKeys[2] != nil)
      #expect(refusal { _ = try service.retireMaster(1, by: shop.caller, tags) } == .master(.retired(version: 1)))
      _ = try service.createKey(key("later"), of: tenants[3], by: shop.caller, tags)
    }
    try reopened()
    try FileManager.default.removeItem(atPath: shop.ringPath + "/master-000001.key")
    try shop.running { service in
      #expect(try service.openKey(key("later"), of: tenants[3]).version == 1)
      #expect(try rotate(service, singleCopy: true).version == 3)
      try service.waitForRewrapping()
    }
  }

  private func reopened() throws {
    let (service, report) = try shop.open()
    defer { service.close() }
    #expect(report.masters.retired == [1] && service.masterKeys[1] == nil)
  }

  @Test func `of two rotations at once one runs and the other learns of it`() throws {
    try shop.running { service in
      let results = Results()
      DispatchQueue.concurrentPerform(iterations: 4) { _ in results.add(refusal { _ = try rotate(service) }) }
      #expect(results.all.count { $0 == nil } == 1)
      #expect(results.all.compactMap(\.self).allSatisfy { $0 == .conflict || $0 == .master(.pending(version: 2)) })
      let versions = try Keyring(at: shop.ringPath).versions
      #expect(versions == [1, 2])
    }
  }

  @Test func `a pending version whose file is gone gives its place to the next number`() throws {
    try shop.running { service in _ = try rotate(service) }
    try FileManager.default.removeItem(atPath: shop.ringPath + "/master-000002.key")
    let (service, report) = try shop.open()
    defer { service.close() }
    #expect(report.masters.lost == 2)
    #expect(refusal { _ = try service.commitMaster(nil, by: shop.caller, tags) } == .master(.pendingLost(version: 2)))
    #expect(try rotate(service).version == 3)
    #expect(try service.masterStatus(by: shop.caller, tags).versions.map(\.state) == [.primary, .retired, .pending])
  }

  @Test func `a version that the operator added is taken up`() throws {
    try shop.running { service in
      let new = Keyring.NewVersion(seal: .file, created: WallTime(nanoseconds: 10))
      let added = try Keyring(at: shop.ringPath).add(new, passphrase: nil)
      #expect(try service.masterStatus(by: shop.caller, tags).versions.map(\.state) == [.primary, .unknown])
      #expect(try rotate(service).version == 2)
      let versions = try Keyring(at: shop.ringPath).versions
      #expect(versions == [1, 2])
      _ = try service.commitMaster(added.keyCheckValue, by: shop.caller, tags)
      try service.waitForRewrapping()
    }
  }

  @Test func `a service that may not write its keyring takes up what is there and makes nothing`() throws {
    let readOnly = ServiceKeyring(KeyringPlace(path: shop.ringPath), makesVersions: false)
    let service = try KeyService.open(
      storePath: shop.storePath, log: shop.storage(), options: shop.options, masterKeys: shop.masterKeys,
      keyring: readOnly
    ).0
    defer { service.close() }
    #expect(refusal { _ = try rotate(service) } == .master(.operatorMakesVersions(reason: .configured)))
    let new = Keyring.NewVersion(seal: .file, created: WallTime(nanoseconds: 10))
    _ = try Keyring(at: shop.ringPath).add(new, passphrase: nil)
    #expect(try rotate(service, singleCopy: true).version == 2)
    try service.waitForRewrapping()
  }

  @Test func `a keyring under a passphrase gets its new version from the operator, and a restart`() throws {
    let secret = try passphrase()
    let sealed = try Workshop.withKeyring(passphrase: secret, makesVersions: false)
    try sealed.initialize()
    let new = Keyring.NewVersion(seal: .passphrase, cost: Workshop.cheap, created: WallTime(nanoseconds: 10))
    func running(_ body: (KeyService) throws -> Void) throws {
      let service = try sealed.open(sealed.keysOnDisk(passphrase: secret)).0
      defer { service.close() }
      try body(service)
    }
    try running { service in
      let refused = ServiceError.master(.operatorMakesVersions(reason: .sealedByPassphrase))
      #expect(refusal { _ = try rotate(service) } == refused)
      _ = try Keyring(at: sealed.ringPath).add(new, passphrase: secret)
      #expect(refusal { _ = try rotate(service) } == .master(.needsRestart(version: 2)))
    }
    try running { service in
      _ = try rotate(service)
      let value = try #require(sealed.keysOnDisk(passphrase: secret)[2]).keyCheckValue
      _ = try service.commitMaster(value, by: sealed.caller, tags)
      try service.waitForRewrapping()
      #expect(service.store.storeRow.primaryMasterVersion == 2)
    }
  }

  private func passphrase() throws -> Passphrase {
    let bytes = SecretBytes(count: 20) { output in for byte in "a long enough phrase".utf8 { output.append(byte) } }
    return try Passphrase(bytes)
  }

  // MARK: Starts

  // MUST: STORE-9
  @Test func `a start without a version that the store uses names it, and changes nothing`() throws {
    try shop.running { service in
      _ = try fill(service)
      service.rewrapping.stop()
      _ = try rotate(service, singleCopy: true)
    }
    let first = shop.masterKeys
    let both = try shop.keysOnDisk()
    let before = try Workshop.contents(shop.directory)
    #expect(shop.refusalToOpen(first) == .store(.masterKey(.missingVersion(2))))
    #expect(shop.refusalToOpen(both.filter { $0.reference.version == 2 }) == .store(.masterKey(.missingVersion(1))))
    let reference = KeyReference(id: both.keyringID, version: 1)
    let other = both.adding(.random(as: reference, created: WallTime(nanoseconds: 9)))
    let file = try #require(other[1]).keyCheckValue
    let kind = MasterFileFault.Kind.otherKey(
      path: shop.ringPath + "/master-000001.key", file: file, store: shop.masterKeys.keys[0].keyCheckValue)
    #expect(shop.refusalToOpen(other) == .masterFile(MasterFileFault(version: 1, kind: kind)))
    #expect(try Workshop.contents(shop.directory) == before)
    try shop.running { try $0.waitForRewrapping() }
  }

  // MUST: STORE-9
  @Test func `what is only in the keyring is reported and not used`() throws {
    let new = Keyring.NewVersion(seal: .file, created: WallTime(nanoseconds: 10))
    _ = try Keyring(at: shop.ringPath).add(new, passphrase: nil)
    let (service, report) = try shop.open()
    defer { service.close() }
    #expect(report.masters.unknown == [2])
    _ = try service.createTenant(tenants[0], by: shop.caller, tags)
    #expect(try service.store.tenant(tenants[0])?.wrappedRoot?.wrappingKey.version == 1)
  }
}

private final class Results: Sendable {
  private let found = Mutex<[ServiceError?]>([])
  func add(_ one: ServiceError?) { found.withLock { $0.append(one) } }
  var all: [ServiceError?] { found.withLock { $0 } }
}
