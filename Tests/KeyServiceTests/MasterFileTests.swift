import ChatelaineEnvelopes
import ChatelaineVocabulary
import Foundation
import GRDB
import Testing

@testable import ChatelaineCustody
@testable import ChatelaineKeyService
@testable import ChatelaineKeyStore

/// Files of the keyring that are gone, damaged, open to others or another key's, and what a service says of each.
@Suite struct MasterFileTests {
  private let shop: Workshop

  init() throws {
    shop = try Workshop.withKeyring()
    try shop.initialize()
  }

  private func path(_ version: UInt32) -> String { shop.ringPath + "/" + Keyring.fileName(version) }
  private func away(_ version: UInt32) -> String { shop.directory.appending(path: "away-\(version)").path }

  private func takeAway(_ version: UInt32) throws {
    try FileManager.default.moveItem(atPath: path(version), toPath: away(version))
  }

  private func putBack(_ version: UInt32) throws {
    try FileManager.default.moveItem(atPath: away(version), toPath: path(version))
  }

  private func setMode(_ mode: Int, _ version: UInt32) throws {
    try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path(version))
  }

  private func damage(_ version: UInt32) throws {
    var bytes = try Data(contentsOf: URL(filePath: path(version)))
    bytes[70] ^= 1
    try FileManager.default.removeItem(atPath: path(version))
    try bytes.write(to: URL(filePath: path(version)))
    try setMode(0o400, version)
  }

  /// Another key under a number that the store knows: as `keyring add` makes it where the newest file was moved away.
  @discardableResult
  private func replace(_ version: UInt32) throws -> Digest {
    if FileManager.default.fileExists(atPath: path(version)) { try takeAway(version) }
    let ring = try Keyring(at: shop.ringPath)
    let reference = KeyReference(id: shop.masterKeys.keyringID, version: version)
    let key = MasterKey.random(as: reference, created: WallTime(nanoseconds: 44))
    try ring.add(key)
    return key.keyCheckValue
  }

  private func rotate(_ service: KeyService, singleCopy: Bool = false) throws -> UInt32 {
    try service.rotateMaster(singleCopy: singleCopy, by: shop.caller, tags).version
  }

  private func commit(_ service: KeyService, _ value: Digest?) throws {
    _ = try service.commitMaster(value, by: shop.caller, tags)
  }

  private func versions(_ service: KeyService) throws -> [MasterStatus.Version] {
    try service.masterStatus(by: shop.caller, tags).versions
  }

  private func refusal(_ body: () throws -> Void) -> ServiceError? {
    do {
      try body()
      return nil
    } catch { return error as? ServiceError }
  }

  private func otherKey(_ version: UInt32, file: Digest, store: Digest?) -> MasterFileFault {
    MasterFileFault(version: version, kind: .otherKey(path: path(version), file: file, store: store))
  }

  /// Version 2 is primary, version 1 retired.
  private func rotateOnce() throws {
    try shop.running { service in
      #expect(try rotate(service, singleCopy: true) == 2)
      try service.waitForRewrapping()
      _ = try service.retireMaster(1, by: shop.caller, tags)
    }
  }

  // MARK: A number used twice

  @Test func `a number whose file was moved away is not used again by the service`() throws {
    try rotateOnce()
    try shop.running { service in
      #expect(try rotate(service) == 3)
      try takeAway(3)
      #expect(try rotate(service) == 4)
    }
    try takeAway(4)
    try shop.running { service in
      let made = try rotate(service)
      #expect(made == 5)
    }
  }

  @Test func `another key under the number of a version in use is refused by path, number and both values`() throws {
    try rotateOnce()
    let right = try #require(shop.keysOnDisk()[2]).keyCheckValue
    let fault = try shop.running { service in
      let wrong = try replace(2)
      let fault = otherKey(2, file: wrong, store: right)
      for part in [path(2), "version 2", wrong.hex, right.hex] { #expect(fault.sentence.contains(part)) }
      #expect(refusal { _ = try rotate(service) } == .master(.otherFile(fault)))
      #expect(try versions(service).last?.fault == fault)
      #expect(service.neededFileFaults() == [fault])
      return fault
    }
    let before = try Workshop.contents(shop.directory)
    #expect(shop.refusalToOpen() == .masterFile(fault))
    #expect(try Workshop.contents(shop.directory) == before)
    try FileManager.default.removeItem(atPath: path(2))
    try putBack(2)
    try shop.running { service in
      let found = try versions(service)
      #expect(found.allSatisfy { $0.fault == nil })
    }
  }

  @Test func `a version is not retired while its file holds another key, which would be destroyed for it`() throws {
    try shop.running { service in
      _ = try rotate(service, singleCopy: true)
      try service.waitForRewrapping()
      let right = shop.masterKeys.newest.keyCheckValue
      let wrong = try replace(1)
      let refused = ServiceError.master(.otherFile(otherKey(1, file: wrong, store: right)))
      #expect(refusal { _ = try service.retireMaster(1, by: shop.caller, tags) } == refused)
      try FileManager.default.removeItem(atPath: path(1))
      try putBack(1)
      #expect(try service.retireMaster(1, by: shop.caller, tags).file == path(1))
    }
  }

  @Test func `another key under a retired or a pending number is told, not used, and stops no start`() throws {
    try rotateOnce()
    let retired = shop.masterKeys.newest.keyCheckValue
    try shop.running { service in
      let made = try rotate(service)
      #expect(made == 3)
    }
    let (one, three) = (try replace(1), try replace(3))
    let (service, report) = try shop.open()
    defer { service.close() }
    // why: the value that version 3 waits for is not told.
    let faults = [otherKey(1, file: one, store: retired), otherKey(3, file: three, store: nil)]
    #expect(report.masters.faults == faults && report.masters.retired == [] && report.masters.lost == 3)
    #expect(service.masterKeys[1] == nil && service.masterKeys[3] == nil)
    #expect(try versions(service).map(\.fault) == [faults[0], nil, faults[1]])
    #expect(refusal { _ = try rotate(service) } == .master(.otherFile(faults[0])))
    #expect(refusal { try commit(service, nil) } == .master(.otherFile(faults[1])))
  }

  // MARK: Bad files

  @Test(arguments: ["damaged", "mode", "short"])
  func `a bad file of a retired version is told and stops no start`(how: String) throws {
    try rotateOnce()
    switch how {
    case "damaged": try damage(1)
    case "mode": try setMode(0o440, 1)
    default:
      try FileManager.default.removeItem(atPath: path(1))
      try Data("CK".utf8).write(to: URL(filePath: path(1)))
      try setMode(0o400, 1)
    }
    let (service, report) = try shop.open()
    defer { service.close() }
    #expect(report.masters.faults.map(\.version) == [1] && report.masters.faults[0].sentence.hasPrefix(path(1)))
    let found = try versions(service)
    #expect(found.map { $0.fault?.word } == [how == "mode" ? "mode" : "damaged", nil])
    #expect(found.map(\.seal) == [nil, .file])
    // And nothing else is kept from working.
    #expect(service.neededFileFaults() == [])
    #expect(try rotate(service) == 3)
  }

  @Test func `a bad file of a version in use is refused at a start with its own sentence`() throws {
    try rotateOnce()
    try damage(2)
    let error = KeyringError.content(path: path(2), .damaged)
    #expect(shop.refusalToOpen() == .masterFile(MasterFileFault(version: 2, kind: .refused(error))))
    try FileManager.default.removeItem(atPath: path(2))
    #expect(shop.refusalToOpen()?.sentence.contains("version 2") == true)
  }

  @Test func `each version tells what is wrong with its own file while the service runs`() throws {
    try rotateOnce()
    try shop.running { service in
      _ = try rotate(service)
      #expect(service.neededFileFaults() == [])
      try takeAway(2)
      try setMode(0o644, 1)
      #expect(try versions(service).map { $0.fault?.word } == ["mode", "missing", nil])
      #expect(service.neededFileFaults().map(\.word) == ["missing"])
      try putBack(2)
      try damage(3)
      try setMode(0o400, 1)
      #expect(try versions(service).map { $0.fault?.word } == [nil, nil, "damaged"])
      #expect(refusal { _ = try rotate(service) } == .keyring(.content(path: path(3), .damaged)))
      #expect(refusal { try commit(service, nil) } == .keyring(.content(path: path(3), .damaged)))
      #expect(service.neededFileFaults() == [])
    }
  }

  @Test func `a pending version that was away at the start is committed once its file is back`() throws {
    try shop.running { _ = try rotate($0) }
    let value = try #require(shop.keysOnDisk()[2]).keyCheckValue
    try takeAway(2)
    let (service, report) = try shop.open()
    defer { service.close() }
    #expect(report.masters.lost == 2 && service.masterKeys[2] == nil)
    #expect(refusal { try commit(service, value) } == .master(.pendingLost(version: 2)))
    try putBack(2)
    #expect(refusal { try commit(service, .zero) } == .otherKeyCheckValue(version: 2))
    try commit(service, value)
    try service.waitForRewrapping()
    _ = try service.createTenant(tenant("later"), by: shop.caller, tags)
    #expect(try service.store.tenant(tenant("later"))?.wrappedRoot?.wrappingKey.version == 2)
  }

  // MARK: What is told

  @Test func `the value that commits a version is in no answer before it is committed`() throws {
    try shop.running { service in
      let new = try service.rotateMaster(singleCopy: false, by: shop.caller, tags)
      let value = try #require(shop.keysOnDisk()[2]).keyCheckValue
      let wrong = refusal { try commit(service, .zero) }
      let told = [
        "\(new)", "\(try service.masterStatus(by: shop.caller, tags))", "\(try service.status(by: shop.caller, tags))",
        wrong?.sentence ?? "", "\(String(describing: wrong))", refusal { _ = try rotate(service) }?.sentence ?? "",
      ]
      for text in told { #expect(!text.contains("\(value)") && !text.contains(value.hex)) }
      try commit(service, value)
      // The control: what is in use is told.
      #expect("\(try service.masterStatus(by: shop.caller, tags))".contains("\(value)"))
    }
  }

  @Test(arguments: [1, 2, 3] as [UInt32])
  func `a row of a master version that was deleted is missed`(version: UInt32) throws {
    try rotateOnce()
    try shop.running { _ = try rotate($0) }
    let copy = try shop.copy()
    try copy.sql("DELETE FROM master_versions WHERE version = \(version)")
    #expect(copy.refusalToOpen(try shop.keysOnDisk()) == .store(.tampered(record: "master key version \(version)")))
    try shop.running { service in
      try shop.sql("DELETE FROM master_versions WHERE version = \(version)")
      #expect(refusal { _ = try versions(service) } == .store(.tampered(record: "master key version \(version)")))
    }
  }

  @Test func `a rotation that the store has no room for names the file it leaves, and the next one takes it up`() throws {
    let service = try shop.open().0
    defer { service.close() }
    let full = FullDisk()
    service.store.pool.add(transactionObserver: full)
    #expect(throws: ServiceError.self) { try service.createTenant(tenant("t"), by: shop.caller, tags) }
    let refused = #expect(throws: ServiceError.self) { try service.rotateMaster(singleCopy: false, by: shop.caller, tags) }
    let file = shop.ringPath + "/" + Keyring.fileName(2)
    #expect(FileManager.default.fileExists(atPath: file))
    #expect(refused?.code == .busy && refused?.sentence.contains("disk is full") == true)
    #expect(refused?.sentence.contains(file) == true && refused?.sentence.contains("nothing was changed") == false)
    let version = try service.masterStatus().versions.first { $0.version == 2 }
    #expect(version?.state == .unknown)
    service.store.pool.remove(transactionObserver: full)
    // The control: with room there is no such sentence, and the same file.
    let bytes = try Data(contentsOf: URL(filePath: file))
    #expect(try service.rotateMaster(singleCopy: false, by: shop.caller, tags).version == 2)
    #expect(try Data(contentsOf: URL(filePath: file)) == bytes)
  }
}

/// Lets no transaction be committed, as SQLite does where the disk has no room for it.
private final class FullDisk: TransactionObserver {
  func observes(eventsOfKind eventKind: DatabaseEventKind) -> Bool { true }
  func databaseDidChange(with event: DatabaseEvent) {}
  func databaseWillCommit() throws { throw DatabaseError(resultCode: .SQLITE_FULL) }
  func databaseDidCommit(_ db: Database) {}
  func databaseDidRollback(_ db: Database) {}
}
