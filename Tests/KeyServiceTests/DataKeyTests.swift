import ChatelaineAuditTrail
import ChatelaineEnvelopes
import ChatelaineKeyStore
import ChatelainePrimitives
import ChatelaineVocabulary
import Testing

@testable import ChatelaineKeyService

/// Data keys, and what is moved to a key's current version.
@Suite struct DataKeyTests {
  let shop: Workshop

  init() throws {
    shop = try Workshop()
    try shop.initialize()
    try shop.running { service in
      for name in ["acme", "globex"] {
        _ = try service.createTenant(tenant(name), by: shop.caller, tags)
        for suite in Suite.allCases {
          _ = try service.createKey(
            key("k\(suite.rawValue)"), of: tenant(name), suite: suite, by: shop.caller, tags)
        }
      }
    }
  }

  private static func context(_ value: UInt8) throws -> EncryptionContext {
    try EncryptionContext([.init(key: Array("n".utf8), value: [value])])
  }

  @Test(arguments: Suite.allCases)
  func `a data key that was issued unwraps for its tenant and context, also after a rotation`(suite: Suite)
    throws
  {
    let name = "k\(suite.rawValue)"
    try shop.running { service in
      let calls = try Calls(service, by: shop.caller)
      let issued = try calls.issue(under: name, of: "acme", Self.context(1)).get()
      #expect(issued.key?.count == 32)
      let parsed = try WrappedKey(issued.wrapped.span)
      #expect(parsed.kind == .dataKey && parsed.key.version == 0 && parsed.wrappingKey.version == 1)
      let another = try calls.issue(under: name, of: "acme", Self.context(1)).get()
      let anotherID = try WrappedKey(another.wrapped.span).key.id
      #expect(another.key != issued.key && anotherID != parsed.key.id)
      _ = try service.rotateKey(key(name), of: tenant("acme"), by: shop.caller, tags)
      let opened = try calls.unwrap(issued.wrapped, of: "acme", Self.context(1)).get()
      #expect(opened == issued.key)
      let entry = try calls.lastEntry()
      #expect(entry.operation == .unwrapDataKey && entry.outcome == .ok && entry.keyVersion == 1)
      #expect(entry.items.map(\.byteCount) == [32] && entry.keyName == key(name))
    }
  }

  @Test func `of a key that is issued wrapped only no other form leaves`() throws {
    try shop.running { service in
      let calls = try Calls(service, by: shop.caller)
      let issued = try calls.issue(under: "k1", of: "acme", wrappedOnly: true).get()
      #expect(issued.key == nil)
      let entry = try calls.lastEntry()
      #expect(entry.operation == .issueDataKey && entry.items.map(\.byteCount) == [0])
      #expect(try calls.unwrap(issued.wrapped, of: "acme").get().count == 32)
    }
  }

  @Test func `a wrapped data key that does not open has one answer and true reasons`() throws {
    try shop.running { service in
      let calls = try Calls(service, by: shop.caller)
      let wrapped = try calls.issue(under: "k1", of: "acme", Self.context(1)).get().wrapped
      func reason(_ bytes: [UInt8], _ owner: String, _ context: UInt8) throws -> Reason {
        #expect(try calls.unwrap(bytes, of: owner, Self.context(context)) == .failure(.decryptionFailed))
        return try calls.lastEntry().reason
      }
      func flipped(_ place: Int) -> [UInt8] {
        var bytes = wrapped
        bytes[place] ^= 1
        return bytes
      }
      #expect(try reason(wrapped, "acme", 2) == .keyOrContext)
      #expect(try reason(wrapped, "globex", 1) == .noSuchKey)
      #expect(try reason(wrapped, "nobody", 1) == .noSuchTenant)
      #expect(try reason(flipped(140), "acme", 1) == .body)
      #expect(try reason(flipped(70), "acme", 1) == .keyOrContext)
      #expect(try reason(flipped(30), "acme", 1) == .noSuchKey)
      #expect(try reason(Array(wrapped.dropLast()), "acme", 1) == .header)
      var other = wrapped
      other[3] = WrappedKeyKind.tenantKey.rawValue
      #expect(try reason(other, "acme", 1) == .header)
      _ = try service.setKeyState(.disabled, key("k1"), of: tenant("acme"), by: shop.caller, tags)
      #expect(try reason(wrapped, "acme", 1) == .keyDisabled)
      #expect(try calls.issue(under: "k1", of: "acme") == .failure(.keyDisabled))
      _ = try service.setKeyState(.enabled, key("k1"), of: tenant("acme"), by: shop.caller, tags)
      #expect(try calls.unwrap(wrapped, of: "acme", Self.context(1)).get().count == 32)
    }
  }

  @Test(arguments: Suite.allCases, [0, 1, 1000, 100_000])
  func `a rewrapped envelope is the same text under the current version`(suite: Suite, count: Int) throws {
    let name = "k\(suite.rawValue)"
    try shop.running { service in
      let calls = try Calls(service, by: shop.caller)
      let text = (0..<count).map { UInt8(truncatingIfNeeded: $0 * 31) }
      let old = try calls.encrypt(text, under: name, of: "acme", Self.context(1)).get()
      #expect(try calls.rewrap(envelope: old, of: "acme", Self.context(1)) == .success(old), "it is current")
      #expect(try calls.lastEntry().detail(.version) == [0, 0, 0, 1])
      _ = try service.rotateKey(key(name), of: tenant("acme"), by: shop.caller, tags)
      _ = try service.rotateKey(key(name), of: tenant("acme"), by: shop.caller, tags)
      let new = try calls.rewrap(envelope: old, of: "acme", Self.context(1)).get()
      let entry = try calls.lastEntry()
      #expect(entry.operation == .rewrap && entry.keyVersion == 1 && entry.detail(.version) == [0, 0, 0, 3])
      #expect(entry.items.map(\.byteCount) == [UInt32(count)] && entry.outcome == .ok)
      let (before, after) = (try Envelope.parseHeader(old.span), try Envelope.parseHeader(new.span))
      #expect(after.key == KeyReference(id: before.key.id, version: 3) && after.suite == before.suite)
      #expect(after.salt != before.salt && new.count == old.count)
      for envelope in [old, new] {
        #expect(try calls.decrypt(envelope, of: "acme", Self.context(1)) == .success(text))
      }
    }
  }

  @Test func `a rewrapped data key is the same key with the same id`() throws {
    try shop.running { service in
      let calls = try Calls(service, by: shop.caller)
      let old = try calls.issue(under: "k2", of: "acme", Self.context(1)).get()
      #expect(try calls.rewrap(dataKey: old.wrapped, of: "acme", Self.context(1)) == .success(old.wrapped))
      _ = try service.rotateKey(key("k2"), of: tenant("acme"), by: shop.caller, tags)
      let new = try calls.rewrap(dataKey: old.wrapped, of: "acme", Self.context(1)).get()
      let (before, after) = (try WrappedKey(old.wrapped.span), try WrappedKey(new.span))
      #expect(after.key == before.key && after.wrappingKey.version == 2 && after.salt != before.salt)
      #expect(try calls.unwrap(new, of: "acme", Self.context(1)).get() == old.key)
    }
  }

  @Test func `nothing that does not open is rewrapped or given back`() throws {
    try shop.running { service in
      let calls = try Calls(service, by: shop.caller)
      let envelope = try calls.encrypt([1, 2, 3], under: "k1", of: "acme").get()
      let empty = try calls.encrypt([], under: "k1", of: "acme").get()
      let dataKey = try calls.issue(under: "k1", of: "acme").get().wrapped
      for _ in 0..<2 {
        for bytes in [envelope, empty] {
          var wrong = bytes
          wrong[bytes.count - 1] ^= 1
          #expect(try calls.rewrap(envelope: wrong, of: "acme") == .failure(.decryptionFailed))
          #expect(try calls.lastEntry().reason == .body)
          #expect(
            try calls.rewrap(envelope: bytes, of: "acme", Self.context(1)) == .failure(.decryptionFailed))
          #expect(try calls.rewrap(envelope: bytes, of: "globex") == .failure(.decryptionFailed))
        }
        var wrong = dataKey
        wrong[140] ^= 1
        #expect(try calls.rewrap(dataKey: wrong, of: "acme") == .failure(.decryptionFailed))
        #expect(
          try calls.rewrap(dataKey: dataKey, of: "acme", Self.context(1)) == .failure(.decryptionFailed))
        #expect(try calls.rewrap(dataKey: envelope, of: "acme") == .failure(.decryptionFailed))
        #expect(try calls.rewrap(envelope: dataKey, of: "acme") == .failure(.decryptionFailed))
        _ = try service.rotateKey(key("k1"), of: tenant("acme"), by: shop.caller, tags)
      }
    }
  }
}
