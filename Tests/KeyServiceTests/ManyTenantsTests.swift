import ChatelaineAccessPolicy
import ChatelaineAuditTrail
import ChatelaineKeyStore
import ChatelaineVocabulary
import Testing

@testable import ChatelaineKeyService

/// Tenants made together, which must be like those made one by one.
@Suite struct ManyTenantsTests {
  let shop: Workshop
  let ids = (0..<300).map { tenant("t-\($0)") }

  init() throws {
    shop = try Workshop()
    try shop.initialize()
  }

  @Test func `every one has a key of its own that opens, and store and log hold at a check and at a start`() throws {
    try shop.running { service in
      let before = service.storeHead.generation
      _ = try service.createTenants(ids, eachWithKey: key("a"), by: shop.caller, tags)
      #expect(service.storeHead.generation == before + 1)
    }
    let report = try KeyService.check(storePath: shop.storePath, log: shop.storage(), masterKeys: shop.masterKeys)
    #expect(report.records == 1 + 3 * ids.count && report.openIntents == 0)
    try shop.running { service in
      let keys = try ids.map { try service.openKey(key("a"), of: $0) }
      #expect(Set(keys.map(\.reference.id)).count == ids.count)
      #expect(throws: ServiceError.notFound) { try service.openKey(key("a"), of: tenant("t-300")) }
      // One of them lives on like any other.
      #expect(try service.rotateKey(key("a"), of: ids[7], by: shop.caller, tags) == 2)
    }
  }

  @Test func `one intent and one outcome stand for all, with their number`() throws {
    try shop.running { _ = try $0.createTenants(ids, eachWithKey: key("a"), by: shop.caller, tags) }
    let entries = try shop.entries().map(\.entry).filter { $0.operation == .tenantCreate }
    #expect(entries.map(\.entryClass) == [.intent, .outcome])
    #expect(entries.allSatisfy { $0.detail(.count) == ByteWriter.u64Bytes(300) && $0.tenant == nil })
  }

  @Test func `where one is there already none is made, and what is there stays`() throws {
    try shop.running { service in
      _ = try service.createTenant(ids[200], by: shop.caller, tags)
      _ = try service.createKey(key("a"), of: ids[200], by: shop.caller, tags)
      let before = try service.openKey(key("a"), of: ids[200]).reference
      #expect(throws: ServiceError.self) {
        try service.createTenants(ids, eachWithKey: key("a"), by: shop.caller, tags)
      }
      #expect(try service.openKey(key("a"), of: ids[200]).reference == before)
      #expect(throws: ServiceError.notFound) { try service.openKey(key("a"), of: ids[0]) }
    }
  }

  @Test func `who may not make one of them makes none`() throws {
    var caller = shop.caller
    caller.grants = .allowing([.init(role: .operator, tenants: ["t-1*"])])
    try shop.running { service in
      #expect(throws: ServiceError.notAllowed) {
        try service.createTenants(ids, eachWithKey: key("a"), by: caller, tags)
      }
      #expect(throws: ServiceError.notFound) { try service.openKey(key("a"), of: ids[1]) }
    }
  }
}
