import ChatelaineAuditLog
import ChatelaineAuditTrail
import ChatelainePrimitives
import ChatelaineVocabulary
import Foundation
import Synchronization
import Testing

@testable import ChatelaineKeyService
@testable import ChatelaineKeyStore

@Suite struct KeyServiceTests {
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

  @Test func `a key that was made opens, after a restart too`() throws {
    let before = try shop.running { try $0.openKey(records, of: acme).fingerprint }
    try shop.running { service in
      let opened = try service.openKey(records, of: acme)
      #expect(opened.version == 1)
      #expect(opened.fingerprint == before)
      #expect(try service.tenants(limit: 10, by: shop.caller, tags).rows.map(\.id) == [acme])
      #expect(try service.keys(of: acme, by: shop.caller, tags).rows.map(\.name) == [records])
    }
  }

  @Test func `names are never used again`() throws {
    try shop.running { service in
      _ = try service.setKeyState(.disabled, records, of: acme, by: shop.caller, tags)
      #expect(throws: ServiceError.taken(record: "Tenant acme")) {
        try service.createTenant(acme, by: shop.caller, tags)
      }
      let refusal = #expect(throws: ServiceError.self) {
        try service.createKey(records, of: acme, by: shop.caller, tags)
      }
      #expect(refusal == .taken(record: "Key acme/records"))
      #expect(refusal?.code == .conflict)
    }
    let failed = try shop.entries().map(\.entry).filter { $0.outcome == .failed }
    #expect(failed.map(\.reason) == [.conflict, .conflict])
  }

  @Test func `older versions still open after a rotation, and are other keys`() throws {
    try shop.running { service in
      let first = try service.openKey(records, of: acme).fingerprint
      #expect(try service.rotateKey(records, of: acme, by: shop.caller, tags) == 2)
      #expect(try service.openKey(records, of: acme).version == 2)
      #expect(try service.openKey(records, of: acme, version: 1).fingerprint == first)
      #expect(try service.openKey(records, of: acme, version: 2).fingerprint != first)
      for version: UInt32 in [0, 3, .max] {
        #expect(throws: ServiceError.notFound) { try service.openKey(records, of: acme, version: version) }
      }
    }
  }

  @Test func `a disabled key is refused until it is enabled`() throws {
    try shop.running { service in
      _ = try service.setKeyState(.disabled, records, of: acme, by: shop.caller, tags)
      #expect(throws: ServiceError.keyDisabled) { try service.openKey(records, of: acme) }
      _ = try service.setKeyState(.enabled, records, of: acme, by: shop.caller, tags)
      #expect(try service.openKey(records, of: acme).version == 1)
    }
  }

  @Test func `another tenant's key is not there, by name or by id`() throws {
    try shop.running { service in
      let globex = tenant("globex")
      _ = try service.createTenant(globex, by: shop.caller, tags)
      let opened = try service.openKey(records, of: acme)
      #expect(try service.openKey(opened.reference, of: acme).fingerprint == opened.fingerprint)
      #expect(throws: ServiceError.notFound) { try service.openKey(records, of: globex) }
      #expect(throws: ServiceError.notFound) { try service.openKey(opened.reference, of: globex) }
      #expect(throws: ServiceError.notFound) { try service.openKey(records, of: tenant("nobody")) }
      #expect(throws: ServiceError.notFound) {
        try service.rotateKey(records, of: globex, by: shop.caller, tags)
      }
    }
  }

  @Test func `every change leaves an intent and an outcome that fit each other and the store`() throws {
    var heads: [KeyStore.Head] = []
    try shop.running { service in
      func note() { heads.append(service.storeHead) }
      _ = try service.createTenant(tenant("globex"), by: shop.caller, tags)
      note()
      _ = try service.createKey(
        key("mail"), of: tenant("globex"), purpose: .index, suite: nil, by: shop.caller, tags)
      note()
      _ = try service.rotateKey(records, of: acme, by: shop.caller, tags)
      note()
      _ = try service.setKeyState(.disabled, records, of: acme, by: shop.caller, tags)
      note()
    }
    let entries = try shop.entries()
    let changes = entries.filter { $0.entry.entryClass == .outcome }.suffix(4)
    #expect(changes.map(\.entry.operation) == [.tenantCreate, .keyCreate, .keyRotate, .keyDisable])
    for (change, head) in zip(changes, heads) {
      let intent = try #require(entries.first { $0.entry.sequence == head.logSequence })
      #expect(intent.entry.entryClass == .intent)
      #expect(intent.entry.operation == change.entry.operation)
      #expect(intent.entry.storeGeneration == head.generation - 1)
      #expect(intent.leafHash == head.logLeafHash)
      #expect(change.entry.storeGeneration == head.generation)
      #expect(change.entry.detail(.storeRoot) == head.root.bytes)
      #expect(change.entry.detail(.intentSequence) == ByteWriter.u64Bytes(intent.entry.sequence))
      #expect(change.entry.detail(.intentLeafHash) == intent.leafHash.bytes)
      #expect(change.entry.outcome == .ok)
      #expect(
        change.entry.requestID == tags.requestID && change.entry.principal == shop.caller.principal)
      #expect(change.entry.keyID == intent.entry.keyID && change.entry.keyVersion == intent.entry.keyVersion)
    }
    #expect(changes.suffix(2).allSatisfy { $0.entry.keyVersion == 2 && $0.entry.keyName == records })
  }

  @Test func `of two rotations at once one wins and the other learns of it`() throws {
    let storage = WatchedStorage(try shop.storage())
    let service = try shop.open(on: storage).0
    defer { service.close() }
    let second = Mutex<Result<UInt32, any Error>?>(nil)
    let done = DispatchSemaphore(value: 0)
    let calls = Counter()
    storage.watch { (_) throws(StorageFailure) in
      guard calls.next() == 1 else { return }
      // The first rotation's intent is on its way: the second sees the version of before, and waits.
      Thread.detachNewThread {
        let result = Result<UInt32, any Error> {
          try service.rotateKey(records, of: acme, by: shop.caller, tags)
        }
        second.withLock { $0 = result }
        done.signal()
      }
      Thread.sleep(forTimeInterval: 0.3)
    }
    #expect(try service.rotateKey(records, of: acme, by: shop.caller, tags) == 2)
    #expect(done.wait(timeout: .now() + 10) == .success)
    let refusal = #expect(throws: ServiceError.self) { try second.withLock { $0 }?.get() }
    #expect(refusal == .conflict)
    #expect(try service.openKey(records, of: acme).version == 2)
    #expect(try service.checkStore() == 5)
  }
}

extension OpenedKey {
  /// Tells keys apart.
  var fingerprint: Digest { key.derivePublicValue(.keyCheckValue, Span()) }
}
