import ChatelaineAuditLog
import ChatelaineAuditTrail
import ChatelaineEnvelopes
import ChatelaineKeyStore
import ChatelainePrimitives
import ChatelaineSecretMemory
import ChatelaineVocabulary
import Testing

@testable import ChatelaineKeyService

@Suite("Encrypt and decrypt") struct DataPathTests {
  private let workshop: Workshop

  init() throws {
    workshop = try Workshop()
    try workshop.initialize()
    try workshop.running { service in
      for name in ["acme", "globex"] {
        _ = try service.createTenant(tenant(name), by: workshop.caller, tags)
        for suite in Suite.allCases {
          _ = try service.createKey(
            key("k\(suite.rawValue)"), of: tenant(name), suite: suite, by: workshop.caller, tags)
        }
      }
    }
  }

  /// Every wrong pairing of tenant, context and version is refused with the same code; the log has the
  /// true reason; the right one opens.
  @Test("The swap matrix: an envelope opens for its own tenant and context, and for no other")
  func swapMatrix() throws {
    var sealed: [(tenant: String, suite: Suite, context: Int, envelope: [UInt8])] = []
    var refusals = 0
    try workshop.running { service in
      let path = try Calls(service, by: workshop.caller)
      for name in ["acme", "globex"] {
        for suite in Suite.allCases {
          for context in 0..<3 {
            let envelope = try encrypt(
              "text of \(name)", under: "k\(suite.rawValue)", of: name, context: context, path)
            sealed.append((name, suite, context, envelope))
          }
          _ = try service.rotateKey(key("k\(suite.rawValue)"), of: tenant(name), by: workshop.caller, tags)
        }
      }
      for item in sealed {
        for name in ["acme", "globex"] {
          for context in 0..<3 {
            let opened = try decrypt(item.envelope, of: name, context: context, path)
            if name == item.tenant, context == item.context {
              #expect(opened == .success(Array("text of \(name)".utf8)))
            } else {
              #expect(opened == .failure(.decryptionFailed))
              refusals += 1
            }
          }
        }
      }
    }
    let failed = try workshop.entries().map(\.entry).filter {
      $0.operation == .decrypt && $0.outcome == .failed
    }
    #expect(failed.count == refusals)
    #expect(failed.filter { $0.reason == .noSuchKey }.count == sealed.count * 3)
    #expect(failed.filter { $0.reason == .keyOrContext }.count == sealed.count * 2)
  }

  @Test("A changed body, a header that is none, and a key nobody has are one answer and three reasons")
  func reasons() throws {
    try workshop.running { service in
      let path = try Calls(service, by: workshop.caller)
      let envelope = try encrypt("text", under: "k1", of: "acme", context: 0, path)
      var body = envelope
      body[envelope.count - 1] ^= 1
      var unknown = envelope
      unknown[4] ^= 1
      for wrong in [body, unknown, Array(envelope.prefix(95)), []] {
        #expect(try decrypt(wrong, of: "acme", context: 0, path) == .failure(.decryptionFailed))
      }
      #expect(try decrypt(envelope, of: "acme", context: 0, path) == .success(Array("text".utf8)))
    }
    let reasons = try workshop.entries().map(\.entry).filter { $0.operation == .decrypt }.map(\.reason)
    #expect(reasons == [.body, .noSuchKey, .header, .header, .none])
  }

  @Test("A disabled key is refused at once on a path that has it at hand, and works again when enabled")
  func disabledAtHand() throws {
    try workshop.running { service in
      let path = try Calls(service, by: workshop.caller)
      let envelope = try encrypt("text", under: "k1", of: "acme", context: 0, path)
      #expect(try decrypt(envelope, of: "acme", context: 0, path) == .success(Array("text".utf8)))
      _ = try service.setKeyState(.disabled, key("k1"), of: tenant("acme"), by: workshop.caller, tags)
      #expect(try decrypt(envelope, of: "acme", context: 0, path) == .failure(.decryptionFailed))
      #expect(throws: ServiceError.keyDisabled) {
        try encrypt("text", under: "k1", of: "acme", context: 0, path)
      }
      _ = try service.setKeyState(.enabled, key("k1"), of: tenant("acme"), by: workshop.caller, tags)
      #expect(try decrypt(envelope, of: "acme", context: 0, path) == .success(Array("text".utf8)))
    }
  }

  @Test("After a rotation new envelopes name the new version, and a cache of one key still serves all")
  func rotationWithASmallCache() throws {
    try workshop.running { service in
      let path = try Calls(service, by: workshop.caller, keysAtHandMax: 1)
      var envelopes: [[UInt8]] = []
      for version in 1...5 {
        let envelope = try encrypt("v\(version)", under: "k2", of: "acme", context: 0, path)
        #expect(try Envelope.parseHeader(envelope.span).key.version == UInt32(version))
        envelopes.append(envelope)
        _ = try service.rotateKey(key("k2"), of: tenant("acme"), by: workshop.caller, tags)
      }
      for (index, envelope) in envelopes.enumerated() {
        #expect(
          try decrypt(envelope, of: "acme", context: 0, path) == .success(Array("v\(index + 1)".utf8)))
      }
    }
  }

  @Test("An entry says who, what and how much, with a context digest that only the tenant's key explains")
  func entries() throws {
    try workshop.running { service in
      let path = try Calls(service, by: workshop.caller)
      for name in ["acme", "globex"] {
        _ = try encrypt("12345", under: "k1", of: name, context: 1, path)
        _ = try encrypt("12345", under: "k1", of: name, context: 2, path)
      }
    }
    let uses = try workshop.entries().map(\.entry).filter { $0.operation == .encrypt }
    #expect(uses.count == 4)
    for entry in uses {
      #expect(entry.entryClass == .keyUse && entry.outcome == .ok && entry.keyVersion == 1)
      #expect(entry.principal == workshop.caller.principal && entry.requestID == tags.requestID)
      #expect(entry.items.map(\.byteCount) == [5])
    }
    #expect(Set(uses.map { $0.items[0].contextDigest }).count == 4, "same contexts of two tenants look alike")
    #expect(!uses.contains { $0.items[0].contextDigest == .zero })
  }

  @Test("The empty text goes in and comes out")
  func emptyText() throws {
    try workshop.running { service in
      let path = try Calls(service, by: workshop.caller)
      for name in ["k1", "k2"] {
        let envelope = try encrypt("", under: name, of: "acme", context: 0, path)
        #expect(envelope.count == Envelope.overheadByteCount)
        #expect(try decrypt(envelope, of: "acme", context: 0, path) == .success([]))
      }
    }
  }

  // MARK: Calls

  private func encrypt(
    _ text: String, under name: String, of owner: String, context: Int, _ calls: Calls
  ) throws -> [UInt8] {
    try calls.encrypt(Array(text.utf8), under: name, of: owner, Self.context(context)).get()
  }

  private func decrypt(_ envelope: [UInt8], of owner: String, context: Int, _ calls: Calls) throws
    -> Calls.Answer
  {
    try calls.decrypt(envelope, of: owner, Self.context(context))
  }

  private static func context(_ number: Int) throws -> EncryptionContext {
    guard number > 0 else { return .empty }
    return try EncryptionContext([.init(key: Array("field".utf8), value: Array("\(number)".utf8))])
  }
}
