import ChatelaineAuditTrail
import ChatelaineEnvelopes
import ChatelaineKeyStore
import ChatelainePrimitives
import ChatelaineVocabulary
import Testing

@testable import ChatelaineKeyService

/// Many texts, one entry.
@Suite struct BatchTests {
  let shop: Workshop

  init() throws {
    shop = try Workshop()
    try shop.initialize()
    try shop.running { service in
      for name in ["acme", "globex"] {
        _ = try service.createTenant(tenant(name), by: shop.caller, tags)
        for other in ["a", "b"] {
          _ = try service.createKey(key(other), of: tenant(name), by: shop.caller, tags)
        }
      }
    }
  }

  private static func context(_ number: Int) throws -> EncryptionContext {
    try EncryptionContext([.init(key: Array("n".utf8), value: [UInt8(truncatingIfNeeded: number)])])
  }

  @Test func `each text of a batch gets its envelope, and the one entry an item for each`() throws {
    try shop.running { service in
      let calls = try Calls(service, by: shop.caller)
      let texts = (0..<200).map { [UInt8](repeating: UInt8($0), count: $0) }
      let sealed = try calls.encryptBatch(texts, under: "a", of: "acme") { try Self.context($0) }
      let entry = try calls.lastEntry()
      #expect(entry.entryClass == .keyUse && entry.outcome == .ok && entry.keyName == key("a"))
      #expect(entry.keyVersion == 1 && entry.keyID != .zero && entry.details.isEmpty)
      #expect(entry.items.map(\.byteCount) == (0..<200).map { UInt32($0) })
      #expect(
        entry.items.allSatisfy { $0.outcome == .ok } && Set(entry.items.map(\.contextDigest)).count == 200)
      let envelopes = try sealed.map { try $0.get() }
      #expect(try calls.decrypt(envelopes[150], of: "acme", Self.context(150)) == .success(texts[150]))

      let opened = try calls.decryptBatch(envelopes, of: "acme") { try Self.context($0 == 7 ? 8 : $0) }
      let back = try calls.lastEntry()
      for (index, answer) in opened.enumerated() {
        #expect(answer == (index == 7 ? .failure(.decryptionFailed) : .success(texts[index])))
      }
      #expect(back.outcome == .failed && back.reason == .keyOrContext && back.entryClass == .keyUse)
      #expect(back.items.map(\.outcome).filter { $0 == .ok }.count == 199)
      #expect(
        back.items[7].reason == .keyOrContext && back.items[8].contextDigest == entry.items[8].contextDigest)
      #expect(back.keyID == entry.keyID && back.keyVersion == 1 && back.details.isEmpty)
      #expect(back.keyName == key("a") && back.rule == entry.rule && !back.rule.isEmpty)
    }
  }

  @Test func `a batch under a key that is not there, or not allowed, fails alike in every item`() throws {
    try shop.running { service in
      var calls = try Calls(service, by: shop.caller)
      #expect(
        try calls.encryptBatch([[1], [2]], under: "none", of: "acme")
          == [.failure(.notFound), .failure(.notFound)])
      var entry = try calls.lastEntry()
      #expect(entry.entryClass == .keyUse && entry.outcome == .denied && entry.reason == .noSuchKey)
      #expect(entry.items.map(\.reason) == [.noSuchKey, .noSuchKey])
      let envelope = try calls.encrypt([1], under: "a", of: "acme").get()
      calls.caller.grants = .allowing([.init(tenants: ["globex"])])
      #expect(
        try calls.encryptBatch([[1], [2]], under: "a", of: "acme")
          == [.failure(.notFound), .failure(.notFound)])
      entry = try calls.lastEntry()
      #expect(entry.entryClass == .refusal && entry.outcome == .denied && entry.reason == .policy)
      #expect(entry.items.map(\.reason) == [.policy, .policy])
      #expect(try calls.decryptBatch([envelope], of: "acme") == [.failure(.decryptionFailed)])
      entry = try calls.lastEntry()
      #expect(entry.entryClass == .refusal && entry.reason == .policy && entry.keyID == .zero)
    }
  }

  @Test func `envelopes of several keys are told apart in the entry`() throws {
    try shop.running { service in
      let calls = try Calls(service, by: shop.caller)
      let first = try calls.encrypt([1], under: "a", of: "acme").get()
      let other = try calls.encrypt([2], under: "b", of: "acme").get()
      _ = try service.rotateKey(key("a"), of: tenant("acme"), by: shop.caller, tags)
      let second = try calls.encrypt([3], under: "a", of: "acme").get()
      let foreign = try calls.encrypt([4], under: "a", of: "globex").get()
      let opened = try calls.decryptBatch([first, other, [9, 9], second, first, foreign], of: "acme")
      let no = Calls.Answer.failure(.decryptionFailed)
      let expectedAnswers: [Calls.Answer] = [
        .success([1]), .success([2]), no, .success([3]), .success([1]), no,
      ]
      #expect(opened == expectedAnswers)
      let entry = try calls.lastEntry()
      #expect(entry.keyID == .zero && entry.keyVersion == 0 && entry.keyName == nil)
      #expect(entry.items.map(\.reason) == [.none, .none, .header, .none, .none, .noSuchKey])
      var expected = ByteWriter()
      expected.u16(4)
      for envelope in [first, other, second, foreign] { expected.raw(Array(envelope[4..<24])) }
      for index: UInt16 in [0, 1, 0xffff, 2, 0, 3] { expected.u16(index) }
      #expect(entry.detail(.itemKeys) == expected.bytes)
    }
  }

  @Test func `a rule for some keys opens those of a batch and no other`() throws {
    try shop.running { service in
      var calls = try Calls(service, by: shop.caller)
      let a = try calls.encrypt([1], under: "a", of: "acme").get()
      let b = try calls.encrypt([2], under: "b", of: "acme").get()
      calls.caller.grants = .allowing([.init(tenants: ["acme"], keys: ["a"])])
      #expect(try calls.decryptBatch([a, b], of: "acme") == [.success([1]), .failure(.decryptionFailed)])
      var entry = try calls.lastEntry()
      #expect(entry.items.map(\.reason) == [.none, .policy] && entry.items.map(\.outcome) == [.ok, .denied])
      #expect(entry.entryClass == .keyUse && entry.outcome == .failed && entry.rule == Array("rule-0".utf8))
      #expect(
        try calls.decryptBatch([b, b], of: "acme") == [
          .failure(.decryptionFailed), .failure(.decryptionFailed),
        ])
      entry = try calls.lastEntry()
      #expect(entry.entryClass == .refusal && entry.outcome == .denied && entry.keyName == key("b"))
    }
  }

  @Test func `the largest batch of the most keys fits into one entry, and one key more is refused`() throws {
    try shop.running { service in
      var calls = try Calls(service, by: shop.caller, keysAtHandMax: 8)
      calls.caller.principal = [UInt8](repeating: 1, count: Limits.principalBytesMax)
      calls.caller.source = [UInt8](repeating: 1, count: 255)
      #expect(calls.path.batchKeysMax == 4)
      // Keys that nobody has count like others: 4 fit here.
      let envelope = try calls.encrypt([1], under: "a", of: "acme").get()
      func naming(_ number: Int) -> [UInt8] {
        var changed = envelope
        changed[19] ^= UInt8(truncatingIfNeeded: number)
        changed[18] ^= UInt8(truncatingIfNeeded: number >> 8)
        return changed
      }
      let answers = try calls.decryptBatch((0..<6).map(naming) + [naming(0), naming(3)], of: "acme")
      #expect(answers.indices.filter { answers[$0] == .failure(.limitExceeded) } == [4, 5])
      #expect(answers[6] == .success([1]))
      let wide = try Calls(service, by: calls.caller, keysAtHandMax: 4000)
      let all = try wide.decryptBatch(
        (0..<Limits.batchItemsMax).map { naming($0 % (Limits.batchKeysMax + 1)) }, of: "acme")
      #expect(all.count { $0 == .failure(.limitExceeded) } == 1)
      #expect(all.count { $0 == .success([1]) } == 2)
      let entry = try wide.lastEntry()
      #expect(entry.items.count == Limits.batchItemsMax)
      #expect(entry.detail(.itemKeys)?.count == 12_290)
    }
  }

  @Test func `garbage in a batch does not hide from the entry which key the others used`() throws {
    try shop.running { service in
      let calls = try Calls(service, by: shop.caller)
      let (mine, other) = (
        try calls.encrypt([1], under: "a", of: "acme").get(), try calls.encrypt([2], under: "b", of: "acme").get())
      for batch in [[[9], mine], [mine, [9]], [[9], mine, [], mine]] {
        let opened = try calls.decryptBatch(batch, of: "acme")
        #expect(opened == batch.map { $0 == mine ? .success([1]) : .failure(.decryptionFailed) })
        let entry = try calls.lastEntry()
        #expect(entry.keyName == key("a") && entry.items.count == batch.count && entry.outcome == .failed)
      }
      // The control: where two keys were used, the entry has no one name.
      _ = try calls.decryptBatch([mine, [9], other], of: "acme")
      #expect(try calls.lastEntry().keyName == nil)
    }
  }

  @Test func `a batch that lacks a key wrote no entry and is begun again`() throws {
    try shop.running { service in
      let calls = try Calls(service, by: shop.caller)
      let envelope = try calls.encrypt([1], under: "a", of: "acme").get()
      calls.path.forget(nil)
      let batch = calls.path.beginDecryptBatch(of: tenant("acme"), by: shop.caller, tags)
      let output = [UInt8](rawCapacity: 1) { output in
        let added = batch.add(envelope.span, context: .empty, appendingTo: &output)
        guard case .needs(.version) = added else { return #expect(Bool(false), "\(added)") }
      }
      #expect(output.isEmpty)
      // A door can ask beforehand, for all of a batch.
      let found = calls.path.neededKey(for: envelope.span, of: tenant("acme"), by: shop.caller)
      let needed = try #require(found)
      #expect(needed == .version(tenant("acme"), try Envelope.parseHeader(envelope.span).key))
      #expect(!calls.path.isAtHand(needed))
      #expect(calls.path.neededKey(for: [1, 2].span, of: tenant("acme"), by: shop.caller) == nil)
      #expect(calls.path.neededKey(for: envelope.span, of: tenant("acme"), by: .service) == nil)
      #expect(try AuditEntry(parsing: batch.finish().bytes.span).items.isEmpty)
      #expect(try calls.decryptBatch([envelope], of: "acme") == [.success([1])])
      #expect(calls.path.isAtHand(needed))
    }
  }
}

extension Calls {
  /// `context` gives each item's by its index.
  func encryptBatch(
    _ texts: [[UInt8]], under name: String, of owner: String,
    _ context: (Int) throws -> EncryptionContext = { _ in .empty }
  ) throws -> [Answer] {
    while true {
      switch path.beginEncryptBatch(under: key(name), of: tenant(owner), by: caller, tags) {
      case .needs(let request): path.keep(service.load(request))
      case .batch(let batch):
        var answers: [Answer] = []
        for (index, text) in texts.enumerated() {
          let context = try context(index)
          var failure: ServiceError?
          let output = [UInt8](rawCapacity: text.count + 96) { output in
            failure = text.span.withRawSpan { batch.add($0, context: context, appendingTo: &output) }
          }
          answers.append(failure.map { .failure($0) } ?? .success(output))
        }
        try note(batch.finish())
        return answers
      }
    }
  }

  func decryptBatch(
    _ envelopes: [[UInt8]], of owner: String, _ context: (Int) throws -> EncryptionContext = { _ in .empty }
  ) throws -> [Answer] {
    while true {
      var missing: KeyRequest?
      let batch = path.beginDecryptBatch(of: tenant(owner), by: caller, tags)
      var answers: [Answer] = []
      for (index, envelope) in envelopes.enumerated() where missing == nil {
        let context = try context(index)
        var added = DecryptBatch.Added.ok
        let output = [UInt8](rawCapacity: max(0, envelope.count - 96)) { output in
          added = batch.add(envelope.span, context: context, appendingTo: &output)
        }
        switch added {
        case .ok: answers.append(.success(output))
        case .failure(let error):
          guard output.isEmpty else { preconditionFailure("written although it failed") }
          answers.append(.failure(error))
        case .needs(let request): missing = request
        }
      }
      guard let missing else {
        try note(batch.finish())
        return answers
      }
      path.keep(service.load(missing))
    }
  }
}
