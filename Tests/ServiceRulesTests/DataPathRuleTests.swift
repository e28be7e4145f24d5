import ChatelaineAuditTrail
import ChatelaineEnvelopes
import ChatelaineKeyService
import ChatelaineKeyStore
import ChatelaineTestSupport
import ChatelaineVocabulary
import Testing

/// Rules of envelopes that sealer and opener keep only together with the service around them.
struct DataPathRuleTests {
  // MUST: ENV-7
  @Test func `Each envelope has a salt of its own`() throws {
    let desk = try Desk()
    let salts = try desk.running { service in
      let path = try DataPath(service)
      return try (0..<200).map { _ in
        let envelope = try path.encrypt("the same text", for: desk, in: service)
        return try Envelope.parseHeader(envelope.span).salt
      }
    }
    #expect(Set(salts).count == 200)
    #expect(salts.allSatisfy { $0.count == 24 })
    // No byte of it stands still, as a counter's or a clock's would.
    for index in 0..<24 { #expect(Set(salts.map { $0[index] }).count > 50) }
  }

  // MUST: ENV-8, ENV-9, ENV-12
  @Test func `A caller learns that an envelope does not open, and only the log why`() throws {
    let desk = try Desk()
    let context = try EncryptionContext([.init(key: [1], value: [2])])
    try desk.running { service in
      let path = try DataPath(service)
      let envelope = try path.encrypt("a text", for: desk, context, in: service)
      #expect(try path.refusal(envelope, for: desk, context, in: service) == nil)
      let refusals = [
        try path.refusal(envelope, for: desk, in: service),
        try path.refusal(envelope.flipping(bit: 48 * 8), for: desk, context, in: service),
        try path.refusal(envelope.flipping(bit: 80 * 8), for: desk, context, in: service),
        try path.refusal(envelope.flipping(bit: (envelope.count - 1) * 8), for: desk, context, in: service),
      ]
      #expect(refusals == Array(repeating: .decryptionFailed, count: 4))
      #expect(Set(refusals.compactMap { $0?.sentence }).count == 1)
      #expect(Set(refusals.compactMap { $0?.code.rawValue }).count == 1)
    }
    let reasons = try desk.entries().filter { $0.operation == .decrypt }.map(\.reason)
    #expect(reasons == [.none, .keyOrContext, .keyOrContext, .body, .body])
  }

  // MUST: DERIV-3
  @Test(arguments: [Purpose.mac, .index]) func `A key of another purpose opens and seals nothing`(
    _ purpose: Purpose
  ) throws {
    let desk = try Desk()
    let name = try KeyName("no-seal")
    try desk.running { service in
      _ = try service.createKey(
        name, of: desk.tenant, purpose: purpose, suite: nil, by: Desk.caller(), RequestTags())
      let path = try DataPath(service)
      #expect(throws: ServiceError.notFound) {
        try path.encrypt("a text", for: desk, under: name, in: service)
      }
      var envelope = try path.encrypt("a text", for: desk, in: service)
      let other = try service.openKey(name, of: desk.tenant)
      envelope.replaceSubrange(4..<20, with: other.row.id.bytes)
      #expect(try path.refusal(envelope, for: desk, in: service) == .decryptionFailed)
    }
    let last = try desk.entries().last { $0.operation == .decrypt }
    #expect(last?.reason == .purpose)
  }
}
