import ChatelaineAuditTrail
import ChatelaineEnvelopes
import ChatelaineVocabulary
import Testing

@testable import ChatelaineKeyService

/// What a call leaves in the buffer that it is given.
@Suite struct OutputTests {
  let shop: Workshop

  init() throws {
    shop = try Workshop()
    try shop.initialize()
    try shop.running { service in
      _ = try service.createTenant(tenant("acme"), by: shop.caller, tags)
      for suite in Suite.allCases {
        _ = try service.createKey(
          key("k\(suite.rawValue)"), of: tenant("acme"), suite: suite, by: shop.caller, tags)
      }
    }
  }

  /// What an opening leaves: the bytes that count, and all bytes of the buffer's memory.
  private func open(
    _ envelope: [UInt8], _ path: DataPath, _ service: KeyService
  ) -> (kept: [UInt8], memory: [UInt8], failure: ServiceError?) {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: envelope.count + 64, alignment: 16)
    defer { unsafe memory.deallocate() }
    unsafe memory.initializeMemory(as: UInt8.self, repeating: 0xa5)
    while true {
      var output = unsafe OutputRawSpan(buffer: memory, initializedCount: 7)
      let turn = path.decrypt(
        envelope.span, of: tenant("acme"), context: .empty, by: shop.caller, tags, appendingTo: &output)
      let count = unsafe output.finalize(for: memory)
      switch turn {
      case .needs(let request): path.keep(service.load(request))
      case .done(let attempt): return unsafe (Array(memory.prefix(count)), Array(memory), attempt.failure)
      }
    }
  }

  @Test(arguments: Suite.allCases, [1, 16, 1000, 65_536])
  func `a refused envelope leaves nothing of its plaintext, and the count as it was`(
    suite: Suite, count: Int
  ) throws {
    try shop.running { service in
      let calls = try Calls(service, by: shop.caller)
      let text = (0..<count).map { UInt8(truncatingIfNeeded: $0 * 7 + 1) }
      let envelope = try calls.encrypt(text, under: "k\(suite.rawValue)", of: "acme").get()
      let before = [UInt8](repeating: 0xa5, count: 7)
      for place in [envelope.count - 1, envelope.count - 16, 80 + count / 2, 79, 48, 30] {
        var wrong = envelope
        wrong[place] ^= 0x80
        let opened = open(wrong, calls.path, service)
        #expect(opened.failure == .decryptionFailed && opened.kept == before)
        let window = min(count, 8)
        #expect(count < 8 || !contains(opened.memory, Array(text[..<window])))
        #expect(count < 8 || !contains(opened.memory, Array(text[(count - window)...])))
        #expect(opened.memory[7...].allSatisfy { $0 == 0xa5 || $0 == 0 }, "byte \(place)")
      }
      // The control: the envelope as it was.
      let opened = open(envelope, calls.path, service)
      #expect(opened.failure == nil && opened.kept == before + text && contains(opened.memory, text))
    }
  }

  private func contains(_ memory: [UInt8], _ part: [UInt8]) -> Bool {
    guard memory.count >= part.count else { return false }
    return (0...(memory.count - part.count)).contains { memory[$0..<$0 + part.count].elementsEqual(part) }
  }

  @Test func `texts up to the limit go in and out, and one byte more is refused`() throws {
    try shop.running { service in
      let calls = try Calls(service, by: shop.caller)
      let largest = [UInt8](repeating: 9, count: Limits.plaintextBytesMax)
      for name in ["k1", "k2"] {
        let envelope = try calls.encrypt(largest, under: name, of: "acme").get()
        #expect(try calls.decrypt(envelope, of: "acme") == .success(largest))
        #expect(try calls.encrypt(largest + [9], under: name, of: "acme") == .failure(.limitExceeded))
        #expect(try calls.decrypt(envelope + [9], of: "acme") == .failure(.limitExceeded))
      }
    }
    #expect(
      try shop.entries().map(\.entry).filter { $0.reason == .limit && $0.outcome == .failed }.count == 4)
  }
}
