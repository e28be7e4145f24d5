import ChatelaineKeyService
import ChatelaineVocabulary
import Testing

@Suite struct KeyServiceTests {
  @Test func `a tenant and a key are made, and the key opens`() throws {
    let shop = try Workshop()
    try shop.initialize()
    try shop.running { service in
      _ = try service.createTenant(tenant("acme"), by: shop.caller)
      _ = try service.createKey(key("records"), of: tenant("acme"), by: shop.caller)
      #expect(try service.openKey(key("records"), of: tenant("acme")).version == 1)
    }
  }
}
