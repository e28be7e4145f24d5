import ChatelaineAuditTrail
import ChatelaineEnvelopes
import ChatelaineKeyStore
import ChatelainePrimitives
import ChatelaineVocabulary
import Testing

@testable import ChatelaineKeyService

/// What a thread has at hand, and when it is asked for anew.
@Suite struct KeysAtHandTests {
  let shop: Workshop

  init() throws {
    shop = try Workshop()
    try shop.initialize()
    try shop.running { service in
      for name in ["acme", "globex"] {
        _ = try service.createTenant(tenant(name), by: shop.caller, tags)
        _ = try service.createKey(key("k"), of: tenant(name), by: shop.caller, tags)
      }
    }
  }

  /// The key that an encryption needs, or nil where it runs.
  private func need(_ path: DataPath, _ owner: String, _ name: String = "k") -> KeyRequest? {
    var turn: DataPath.Turn?
    let output = [UInt8](rawCapacity: 97) { output in
      turn = [1].span.withRawSpan {
        path.encrypt(
          $0, under: key(name), of: tenant(owner), context: .empty, by: shop.caller, tags,
          appendingTo: &output)
      }
    }
    guard case .needs(let request) = turn else { return nil }
    #expect(output.isEmpty)
    return request
  }

  private func load(_ path: DataPath, _ service: KeyService, _ owner: String, _ name: String = "k") {
    path.keep(service.load(.current(tenant(owner), key(name))))
  }

  @Test func `a call says which key it lacks, and runs once that is kept`() throws {
    try shop.running { service in
      let path = try DataPath(service)
      #expect(need(path, "acme") == .current(tenant("acme"), key("k")))
      path.keep(service.load(.current(tenant("globex"), key("k"))))
      #expect(need(path, "acme") != nil)
      load(path, service, "acme")
      #expect(need(path, "acme") == nil)
      path.forget(tenant("acme"))
      #expect(need(path, "acme") != nil && need(path, "globex") == nil)
      path.forget(nil)
      #expect(need(path, "globex") != nil && path.keysAtHand == 0)
    }
  }

  @Test func `a change of one tenant leaves the keys of others at hand`() throws {
    #expect(KeyEpochs.place(of: tenant("acme")) != KeyEpochs.place(of: tenant("globex")))
    try shop.running { service in
      let path = try DataPath(service)
      load(path, service, "acme")
      load(path, service, "globex")
      _ = try service.rotateKey(key("k"), of: tenant("acme"), by: shop.caller, tags)
      #expect(need(path, "acme") != nil && need(path, "globex") == nil)
      load(path, service, "acme")
      #expect(need(path, "acme") == nil)
      // The control: what concerns everything empties everything.
      service.epochs.raise(nil)
      #expect(need(path, "acme") != nil && need(path, "globex") != nil)
    }
  }

  @Test func `a key that was loaded before a change is not kept after it`() throws {
    try shop.running { service in
      let path = try DataPath(service)
      let early = service.load(.current(tenant("acme"), key("k")))
      _ = try service.setKeyState(.disabled, key("k"), of: tenant("acme"), by: shop.caller, tags)
      path.keep(early)
      #expect(need(path, "acme") != nil && path.keysAtHand == 0)
      // The control: the same without a change.
      path.keep(service.load(.current(tenant("acme"), key("k"))))
      #expect(need(path, "acme") == nil)
    }
  }

  @Test func `that there is no such key is kept until there is one`() throws {
    try shop.running { service in
      let calls = try Calls(service, by: shop.caller)
      #expect(try calls.encrypt([1], under: "new", of: "acme") == .failure(.notFound))
      #expect(need(calls.path, "acme", "new") == nil)
      #expect(try calls.encrypt([1], under: "k", of: "nobody") == .failure(.notFound))
      #expect(need(calls.path, "nobody") == nil)
      _ = try service.createKey(key("new"), of: tenant("acme"), by: shop.caller, tags)
      #expect(need(calls.path, "acme", "new") != nil)
      #expect(try calls.encrypt([1], under: "new", of: "acme").get().count == 97)
    }
    let reasons = try shop.entries().map(\.entry).filter { $0.operation == .encrypt }.map(\.reason)
    #expect(reasons == [.noSuchKey, .noSuchTenant, .none])
  }

  @Test func `a failure of the store is told once, and then looked for again`() throws {
    try shop.running { service in
      let calls = try Calls(service, by: shop.caller)
      try shop.sql("UPDATE tenant_keys SET budget_bytes = budget_bytes + 1")
      let failure = Calls.Answer.failure(.store(.tampered(record: "key acme/k")))
      #expect(try calls.encrypt([1], under: "k", of: "acme") == failure)
      try shop.sql("UPDATE tenant_keys SET budget_bytes = budget_bytes - 1")
      #expect(try calls.encrypt([1], under: "k", of: "acme").get().count == 97)
    }
  }

  @Test func `what is at hand is bounded, and what was asked for in vain does not push keys out`() throws {
    let names = (0..<20).map { "k\($0)" }
    try shop.running { service in
      for name in names { _ = try service.createKey(key(name), of: tenant("acme"), by: shop.caller, tags) }
      let calls = try Calls(service, by: shop.caller, keysAtHandMax: 16)
      for name in names + names {
        let envelope = try calls.encrypt([7], under: name, of: "acme").get()
        #expect(try calls.decrypt(envelope, of: "acme") == .success([7]))
        #expect(calls.path.keysAtHand <= 16)
      }
      load(calls.path, service, "globex")
      for number in 0..<300 { load(calls.path, service, "acme", "none\(number)") }
      #expect(calls.path.keysAtHand == 16 + 64)
      #expect(need(calls.path, "globex") == nil)
    }
  }

  @Test func `a key in use stays at hand while others come and go`() throws {
    let names = (0..<40).map { "k\($0)" }
    try shop.running { service in
      for name in names { _ = try service.createKey(key(name), of: tenant("acme"), by: shop.caller, tags) }
      let path = try DataPath(service, keysAtHandMax: 16)
      load(path, service, "globex")
      var misses = 0
      for name in names {
        if need(path, "globex") != nil {
          misses += 1
          load(path, service, "globex")
        }
        load(path, service, "acme", name)
      }
      #expect(misses <= 6)
    }
  }

  @Test func `random bytes come in growing draws, never twice, and are forgotten before a wait`() {
    var pool = RandomPool()
    var seen = Set<Identifier>()
    for round in 0..<300 {
      for _ in 0..<round % 150 { seen.insert(pool.identifier()) }
      let salt = pool.salt()
      #expect((0..<24).contains { salt[$0] != 0 })
      pool.scrub()
    }
    #expect(seen.count == (0..<300).reduce(0) { $0 + $1 % 150 })
  }
}
