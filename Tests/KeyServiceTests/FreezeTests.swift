import ChatelaineAccessPolicy
import ChatelaineAuditTrail
import ChatelaineKeyStore
import ChatelaineVocabulary
import Testing

@testable import ChatelaineKeyService

/// A tenant that is frozen: none of its keys is used, and nothing of it is lost.
@Suite struct FreezeTests {
  let shop: Workshop
  let acme = tenant("acme")

  init() throws {
    shop = try Workshop.withKeyring()
    try shop.initialize()
    try shop.running { service in
      for name in ["acme", "globex"] {
        _ = try service.createTenant(tenant(name), by: shop.caller, tags)
        _ = try service.createKey(key("k"), of: tenant(name), by: shop.caller, tags)
      }
    }
  }

  private func freeze(_ isFrozen: Bool, _ service: KeyService) throws {
    _ = try service.setTenantState(isFrozen: isFrozen, acme, by: shop.caller, tags)
  }

  @Test func `every use of its keys is refused until it is unfrozen, and nobody else's`() throws {
    try shop.running { service in
      let calls = try Calls(service, by: shop.caller)
      let envelope = try calls.encrypt([7], under: "k", of: "acme").get()
      let wrapped = try calls.issue(under: "k", of: "acme").get().wrapped
      try freeze(true, service)
      #expect(try calls.encrypt([1], under: "k", of: "acme") == .failure(.tenantFrozen))
      let refused = try calls.lastEntry()
      #expect(refused.reason == .tenantFrozen && refused.outcome == .denied)
      #expect(try calls.issue(under: "k", of: "acme") == .failure(.tenantFrozen))
      #expect(try calls.decrypt(envelope, of: "acme") == .failure(.decryptionFailed))
      #expect(try calls.lastEntry().reason == .tenantFrozen)
      #expect(try calls.unwrap(wrapped, of: "acme") == .failure(.decryptionFailed))
      #expect(try calls.rewrap(envelope: envelope, of: "acme") == .failure(.decryptionFailed))
      #expect(throws: ServiceError.tenantFrozen) { try service.rotateKey(key("k"), of: acme, by: shop.caller, tags) }
      #expect(throws: ServiceError.tenantFrozen) { try service.createKey(key("n"), of: acme, by: shop.caller, tags) }
      let theirs = try calls.encrypt([1], under: "k", of: "globex").get()
      #expect(try calls.decrypt(theirs, of: "globex") == .success([1]))
      try freeze(false, service)
      #expect(try calls.decrypt(envelope, of: "acme") == .success([7]))
    }
  }

  @Test func `its keys are listed and disabled meanwhile, and stay disabled`() throws {
    try shop.running { service in
      let calls = try Calls(service, by: shop.caller)
      try freeze(true, service)
      #expect(try service.keys(of: acme, by: shop.caller, tags).rows.map(\.name) == [key("k")])
      _ = try service.setKeyState(.disabled, key("k"), of: acme, by: shop.caller, tags)
      try freeze(false, service)
      #expect(try calls.encrypt([1], under: "k", of: "acme") == .failure(.keyDisabled))
    }
  }

  @Test func `it is frozen after a restart, and its root moves to a new master version`() throws {
    let envelope = try shop.running { service in
      let envelope = try Calls(service, by: shop.caller).encrypt([7], under: "k", of: "acme").get()
      try freeze(true, service)
      return envelope
    }
    try shop.running { service in
      let calls = try Calls(service, by: shop.caller)
      #expect(try calls.encrypt([1], under: "k", of: "acme") == .failure(.tenantFrozen))
      _ = try service.rotateMaster(singleCopy: true, by: shop.caller, tags)
      try service.waitForRewrapping()
      _ = try service.retireMaster(1, by: shop.caller, tags)
      try freeze(false, service)
      #expect(try calls.decrypt(envelope, of: "acme") == .success([7]))
    }
  }

  @Test func `who may act on some of its keys freezes none of them, and a tenant that is not there is told as such`() throws {
    try shop.running { service in
      var caller = shop.caller
      caller.grants = .allowing([
        .init(role: .operator, tenants: ["acme"], keys: ["k"], permissions: [.tenantFreeze, .keyDisable])
      ])
      #expect(throws: ServiceError.notFound) {
        try service.setTenantState(isFrozen: true, acme, by: caller, tags)
      }
      #expect(throws: ServiceError.notFound) {
        try service.setTenantState(isFrozen: true, tenant("nobody"), by: shop.caller, tags)
      }
      _ = try Calls(service, by: shop.caller).encrypt([1], under: "k", of: "acme").get()
    }
  }
}
