import ChatelaineEnvelopes
import ChatelainePrimitives
import ChatelaineSecretMemory
import ChatelaineTestSupport
import ChatelaineVocabulary
import Testing

/// two-key.json: one ciphertext that plain AES-256-GCM opens under two keys.
struct TwoKeyVector: Decodable {
  let key1: String
  let key2: String
  let messageKey1: String
  let messageKey2: String
  let tenant: String
  let context: [[String]]
  let aad: String
  let nonce: String
  let ciphertext: String
  let tag: String
  let envelope: String
  let plaintext1: String
  let plaintext2: String
}

@Suite("Envelopes")
struct EnvelopeTests {
  static let reference = KeyReference(id: Identifier(high: 0x0123, low: 0x4567), version: 5)

  // MUST: ENV-11
  @Test(
    "The two-key ciphertext is refused under key 2, although AES-256-GCM opens it under both message keys")
  func twoKeys() throws {
    let vector = try OwnVectors.load("two-key.json", as: TwoKeyVector.self)
    let body = [UInt8](hex: vector.ciphertext + vector.tag)
    func plainGCM(_ messageKey: String) throws -> String? {
      let aes = try AES256GCM()
      let key = SecretBytes(copying: [UInt8](hex: messageKey))
      var isOpened = false
      let output = key.withBytes { key in
        [UInt8](rawCapacity: body.count) { output in
          isOpened = aes.open(
            body.span, key: key, nonce: [UInt8](hex: vector.nonce).span,
            authenticating: [UInt8](hex: vector.aad).span, appendingTo: &output)
        }
      }
      return isOpened ? output.hex : nil
    }
    // The control: the attack is real.
    #expect(try plainGCM(vector.messageKey1) == vector.plaintext1)
    #expect(try plainGCM(vector.messageKey2) == vector.plaintext2)
    #expect(vector.plaintext1 != vector.plaintext2)

    let envelope = [UInt8](hex: vector.envelope)
    #expect(Array(envelope.suffix(body.count)) == body)
    let cipher = try EnvelopeCipher()
    let context = try contextHash(tenant: vector.tenant, subject: "", vector.context)
    let first = DerivationKey(copying: .init(hex: vector.key1))
    let second = DerivationKey(copying: .init(hex: vector.key2))
    let opened = try cipher.opened(envelope, key: first, contextHash: context)
    #expect(opened.hex == vector.plaintext1)
    let reason = cipher.refusal(envelope, key: second, contextHash: context)
    #expect(reason == .keyOrContext)
    let aad = [UInt8](hex: vector.aad)
    #expect(Array(aad.prefix(80)) == Array(envelope.prefix(80)) && Array(aad.suffix(32)) == context.digest.bytes)
  }

  @Test(
    "Every bit of an envelope changed in turn is refused, with the reason of its field",
    arguments: Suite.allCases)
  func everyBit(suite: Suite) throws {
    let cipher = try EnvelopeCipher()
    let key = DerivationKey(copying: Array(0..<32))
    let context = try someContext()
    let selector = Envelope.Selector(suite: suite, kind: .tenantKey, key: Self.reference)
    let envelope = cipher.sealed(
      Array("twenty-one bytes long".utf8), as: selector, key: key, contextHash: context)
    let control = try cipher.opened(envelope, key: key, contextHash: context)
    #expect(control == Array("twenty-one bytes long".utf8))
    for bit in 0..<envelope.count * 8 {
      let changed = envelope.flipping(bit: bit)
      let expected: Reason =
        switch bit / 8 {
        case 0..<3: .malformed
        case 3: Self.parsesAsEnvelope(changed[3]) ? .keyOrContext : .malformed
        case 4..<80: .keyOrContext
        default: .body
        }
      let reason = cipher.refusal(changed, key: key, contextHash: context)
      #expect(reason == expected, "bit \(bit)")
    }
  }

  /// With a key version other than 0: kinds 0 and 1, suites 1 and 2.
  private static func parsesAsEnvelope(_ byte: UInt8) -> Bool { [0x01, 0x02, 0x11, 0x12].contains(byte) }

  @Test("Every bit of a wrapped key changed in turn is refused, with the reason of its field")
  func everyBitOfAWrappedKey() throws {
    let wrapper = try KeyWrapper()
    let key = DerivationKey(copying: Array(0..<32))
    let wrapped = wrapper.wrapped(
      Array(100..<132), kind: .tenantKey, as: Self.reference, under: key,
      wrappingKeyReference: KeyReference(id: Self.reference.id, version: 6), binding: .zero)
    let control = try wrapper.unwrapped(wrapped, under: key, binding: .zero)
    #expect(control == Array(100..<132))
    for bit in 0..<wrapped.bytes.count * 8 {
      let changed = wrapped.bytes.flipping(bit: bit)
      let expected: Reason =
        switch bit / 8 {
        case 0..<3: .malformed
        case 3: (1...4).contains(changed[3]) ? .keyOrContext : .malformed
        case 4..<100: .keyOrContext
        default: .body
        }
      let reason = wrapper.refusal(changed, under: key, binding: .zero)
      #expect(reason == expected, "bit \(bit)")
    }
  }

  @Test(
    "5,000 random messages of 0 bytes to 1 MiB come back, and open under nothing else",
    arguments: Suite.allCases)
  func roundTrips(suite: Suite) throws {
    let cipher = try EnvelopeCipher()
    var random = SeededRandom(announcing: "envelope round trips, suite \(suite.rawValue)")
    let pool = random.bytes(Limits.plaintextBytesMax)
    for round in 0..<5000 {
      let size = Self.skewedSize(round, using: &random)
      let start = Int.random(in: 0...(pool.count - size), using: &random)
      let plaintext = Array(pool[start..<start + size])
      let kind = EnvelopeKind.allCases.randomElement(using: &random)!
      let id = Identifier(high: random.next(), low: random.next())
      let version = kind == .dataKey ? 0 : UInt32.random(in: 1 ... .max, using: &random)
      let selector = Envelope.Selector(suite: suite, kind: kind, key: .init(id: id, version: version))
      let subject = random.bytes(kind == .subjectKey ? Int.random(in: 1...128, using: &random) : 0)
      let (keyBytes, context) = (
        random.bytes(32),
        try contextHash(tenant: "acme", subject: subject.hex, [["00", random.bytes(8).hex]])
      )
      let key = DerivationKey(copying: keyBytes)
      let envelope = cipher.sealed(plaintext, as: selector, key: key, contextHash: context)
      #expect(envelope.count == size + 96)
      let opened = try cipher.opened(envelope, key: key, contextHash: context)
      #expect(opened.isSame(as: plaintext), "round \(round), \(size) bytes")
      if round % 10 == 0 {
        let other = DerivationKey(copying: keyBytes.flipping(bit: Int.random(in: 0..<256, using: &random)))
        let reason = cipher.refusal(envelope, key: other, contextHash: context)
        #expect(reason == .keyOrContext)
        cipher.scrub()
      }
    }
  }

  /// Half are below 1 KiB; the first few are the bounds.
  private static func skewedSize(_ round: Int, using random: inout SeededRandom) -> Int {
    let bounds = [0, 1, 15, 16, 17, 63, 64, 65, Limits.plaintextBytesMax - 1, Limits.plaintextBytesMax]
    if round < bounds.count { return bounds[round] }
    let fraction = Double.random(in: 0..<1, using: &random)
    return min(
      Limits.plaintextBytesMax,
      Int.random(in: 0...(1 << Int(fraction * fraction * 40 / 2 + 1)), using: &random))
  }

  // MUST: ENV-9
  @Test("An envelope cut anywhere is refused")
  func everyCut() throws {
    let cipher = try EnvelopeCipher()
    let key = DerivationKey(copying: Array(0..<32))
    let context = try someContext()
    for suite in Suite.allCases {
      let selector = Envelope.Selector(suite: suite, kind: .tenantKey, key: Self.reference)
      let envelope = cipher.sealed(Array(0..<40), as: selector, key: key, contextHash: context)
      for count in 0..<envelope.count {
        let reason = cipher.refusal(Array(envelope.prefix(count)), key: key, contextHash: context)
        let expected: Reason = count < 96 ? .malformed : .body
        #expect(reason == expected, "cut to \(count)")
      }
    }
  }

  @Test("An envelope as the parser of wrapped keys sees it, and the other way round, is malformed")
  func notEachOther() throws {
    let cipher = try EnvelopeCipher()
    let key = DerivationKey(copying: Array(0..<32))
    let selector = Envelope.Selector(suite: .aes256GCM, kind: .tenantKey, key: Self.reference)
    // 52 bytes of plaintext make an envelope as long as a wrapped key.
    let envelope = cipher.sealed(
      .init(repeating: 1, count: 52), as: selector, key: key, contextHash: try someContext())
    #expect(envelope.count == WrappedKey.byteCount)
    #expect(throws: WrappedKey.Malformed.magic) { try WrappedKey(envelope.span) }
    let wrapped = try KeyWrapper().wrapped(
      Array(0..<32), kind: .tenantKey, as: Self.reference, under: key, wrappingKeyReference: Self.reference,
      binding: .zero)
    #expect(throws: Envelope.Malformed.magic) { try Envelope.parseSelector(wrapped.bytes.span) }
  }

  @Test("A salt of any other length than 24 traps")
  func saltLength() async {
    await #expect(processExitsWith: .failure) { try sealWithSalt(23) }
    await #expect(processExitsWith: .failure) { try sealWithSalt(0) }
    await #expect(processExitsWith: .success) { try sealWithSalt(24) }
  }

  @Test("Sealing with a subject that does not fit the kind traps")
  func sealingMisfits() async {
    await #expect(processExitsWith: .failure) { try seal(as: .tenantKey, inContextOf: .subjectKey) }
    await #expect(processExitsWith: .failure) { try seal(as: .dataKey, inContextOf: .subjectKey) }
    await #expect(processExitsWith: .failure) { try seal(as: .subjectKey, inContextOf: .tenantKey) }
    await #expect(processExitsWith: .success) { try seal(as: .subjectKey, inContextOf: .subjectKey) }
    await #expect(processExitsWith: .success) { try seal(as: .dataKey, inContextOf: .tenantKey) }
  }

  // MUST: ENV-10
  @Test(
    "A subject that does not fit the kind is refused, although commitment and tag are right",
    arguments: Suite.allCases, EnvelopeKind.allCases)
  func openingMisfits(suite: Suite, kind: EnvelopeKind) throws {
    let key = DerivationKey(copying: Array(0..<32))
    let aead = try CommittingAEAD()
    let misfit = try someContext(for: kind == .subjectKey ? .tenantKey : .subjectKey)
    let bound =
      Array("CH".utf8) + [1, kind.rawValue << 4 | suite.rawValue] + .init(repeating: 9, count: 16)
      + [0, 0, 0, kind == .dataKey ? 0 : 1] + .init(repeating: 7, count: 24)
    let plaintext = Array("for someone".utf8)
    let forged = plaintext.withRawSpan { plaintext in
      [UInt8](rawCapacity: plaintext.byteCount + Envelope.overheadByteCount) { output in
        output.append(contentsOf: bound.span)
        aead.seal(
          plaintext, suite: suite, label: .envelope, key: key, bound: bound.span,
          extra: misfit.digest.bytes.span, appendingTo: &output)
      }
    }
    let sealed = Array(forged.dropFirst(bound.count))
    // The control: but for the rule, it would open.
    let opened = try [UInt8](rawCapacity: plaintext.count) { (output) throws(CommittingAEAD.Refusal) in
      try aead.open(
        sealed.span, suite: suite, label: .envelope, key: key, bound: bound.span,
        extra: misfit.digest.bytes.span, appendingTo: &output)
    }
    #expect(opened == plaintext)
    let reason = try EnvelopeCipher().refusal(forged, key: key, contextHash: misfit)
    #expect(reason == .keyOrContext)
  }
}

private func sealWithSalt(_ count: Int) throws {
  let selector = Envelope.Selector(suite: .aes256GCM, kind: .tenantKey, key: EnvelopeTests.reference)
  _ = try EnvelopeCipher().sealed(
    [1], as: selector, key: DerivationKey(copying: Array(0..<32)), contextHash: try someContext(),
    salt: .init(repeating: 0, count: count))
}

private func seal(as kind: EnvelopeKind, inContextOf other: EnvelopeKind) throws {
  let key = KeyReference(id: EnvelopeTests.reference.id, version: kind == .dataKey ? 0 : 1)
  _ = try EnvelopeCipher().sealed(
    [1], as: Envelope.Selector(suite: .aes256GCM, kind: kind, key: key),
    key: DerivationKey(copying: Array(0..<32)), contextHash: try someContext(for: other))
}
