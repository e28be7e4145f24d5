import ChatelaineEnvelopes
import ChatelainePrimitives
import ChatelaineTestSupport
import ChatelaineVocabulary
import Testing

/// Every vector runs every path: parse, open, rewrap-then-open, inspect.
@Suite("Envelope vectors")
struct EnvelopeVectorTests {
  @Test("There are vectors of every outcome, suite and kind")
  func coverage() {
    print("envelope.json: \(EnvelopeVector.all.count) vectors")
    #expect(Set(EnvelopeVector.all.map(\.expect)) == ["ok", "malformed", "key-or-context", "body"])
    let valid = EnvelopeVector.all.filter { $0.expect == "ok" }
    #expect(
      Set(valid.map { [$0.suite, $0.kind] }) == [[1, 0], [1, 1], [1, 2], [2, 0], [2, 1], [2, 2]])
  }

  // MUST: ENV-1, ENV-2, ENV-3, ENV-4, ENV-5, ENV-6, FMT-2
  @Test("Parse: only what is malformed is refused", arguments: EnvelopeVector.all)
  func parse(vector: EnvelopeVector) throws {
    let bytes = vector.bytes
    if vector.expect == "malformed" {
      #expect(throws: Envelope.Malformed.self) { try Envelope.parseSelector(bytes.span) }
    } else {
      let selector = try Envelope.parseSelector(bytes.span)
      if vector.expect == "ok" { #expect(try selector == vector.selector) }
    }
  }

  // MUST: ENV-8, ENV-9, ENV-10
  @Test("Open: the plaintext, or the vector's reason and no byte", arguments: EnvelopeVector.all)
  func open(vector: EnvelopeVector) throws {
    let cipher = try EnvelopeCipher()
    let contextHash = try vector.contextHash
    let key = vector.derivationKey
    let result = Result { () throws(Reason) in
      try cipher.opened(vector.bytes, key: key, contextHash: contextHash)
    }
    expect(result, of: vector)
  }

  @Test(
    "Rewrap, then open: the same plaintext under a fresh key and context, or the same refusal",
    arguments: EnvelopeVector.all)
  func rewrap(vector: EnvelopeVector) throws {
    let cipher = try EnvelopeCipher()
    let oldContext = try vector.contextHash
    let key = vector.derivationKey
    let fresh = DerivationKey(copying: SecureRandom.bytes(32))
    let newContext = try someContext(for: try #require(EnvelopeKind(rawValue: vector.kind)))
    var rewrapped: [UInt8] = []
    let result = Result { () throws(Reason) in
      let plaintext = try cipher.opened(vector.bytes, key: key, contextHash: oldContext)
      let old: Envelope.Selector
      do { old = try Envelope.parseSelector(vector.bytes.span) } catch { throw Reason.malformed }
      let version = old.kind == .dataKey ? 0 : max(1, old.key.version &+ 1)
      let new = Envelope.Selector(
        suite: old.suite, kind: old.kind, key: .init(id: old.key.id, version: version))
      rewrapped = cipher.sealed(plaintext, as: new, key: fresh, contextHash: newContext)
      return try cipher.opened(rewrapped, key: fresh, contextHash: newContext)
    }
    expect(result, of: vector)
    guard vector.expect == "ok" else { return #expect(rewrapped.isEmpty) }
    let underOldKey = cipher.refusal(rewrapped, key: key, contextHash: newContext)
    let underOldContext = cipher.refusal(rewrapped, key: fresh, contextHash: oldContext)
    #expect(underOldKey == .keyOrContext && underOldContext == .keyOrContext)
  }

  @Test("Inspect: the header tells what went into it, without a key", arguments: EnvelopeVector.all)
  func inspect(vector: EnvelopeVector) throws {
    let bytes = vector.bytes
    guard vector.expect != "malformed" else {
      #expect(throws: Envelope.Malformed.self) { try Envelope.parseHeader(bytes.span) }
      return
    }
    let header = try Envelope.parseHeader(bytes.span)
    #expect(header.plaintextByteCount == bytes.count - 96)
    #expect(header.salt == Array(bytes[24..<48]))
    #expect(header.commitment.bytes == Array(bytes[48..<80]))
    guard vector.expect == "ok" else { return }
    #expect(header.salt.hex == vector.salt)
    #expect(header.plaintextByteCount == vector.plaintextBytes.count)
    #expect(try Envelope.Selector(suite: header.suite, kind: header.kind, key: header.key) == vector.selector)
  }

  @Test(
    "Seal: the vector's salt gives the vector's bytes exactly",
    arguments: EnvelopeVector.all.filter { $0.expect == "ok" })
  func seal(vector: EnvelopeVector) throws {
    let cipher = try EnvelopeCipher()
    let sealed = cipher.sealed(
      vector.plaintextBytes, as: try vector.selector, key: vector.derivationKey,
      contextHash: try vector.contextHash,
      salt: .init(hex: vector.salt))
    #expect(sealed.hex == vector.envelope)
  }

  @Test("Text: the text form of every vector is one text, and reads back", arguments: EnvelopeVector.all)
  func text(vector: EnvelopeVector) throws {
    guard !vector.bytes.isEmpty else { return }
    let (encoded, decoded) = (
      TextForm.encode(vector.bytes.span), try TextForm.decode(Array(vector.text.utf8).span)
    )
    #expect(String(decoding: encoded, as: UTF8.self) == vector.text)
    #expect(decoded == vector.bytes)
  }

  private func expect(_ result: Result<[UInt8], Reason>, of vector: EnvelopeVector) {
    switch result {
    case .success(let plaintext):
      #expect(vector.expect == "ok")
      #expect(plaintext == vector.plaintextBytes)
    case .failure(let reason):
      #expect(reason.rawValue == vector.expect)
    }
  }
}
