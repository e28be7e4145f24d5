import ChatelaineEnvelopes
import ChatelainePrimitives
import ChatelaineSecretMemory
import ChatelaineTestSupport
import ChatelaineVocabulary
import Testing

/// local-envelope.json.
struct LocalEnvelopeVector: Decodable, Sendable, CustomTestStringConvertible {
  let name: String
  let expect: String
  let tenantKey: String
  let tenantKeyId: String
  let tenantKeyVersion: UInt32
  let tenant: String
  let context: [[String]]
  let dataKey: String
  let dataKeyId: String
  let plaintext: String
  let local: String
  let text: String

  var testDescription: String { name }
  var bytes: [UInt8] { .init(hex: local) }
  var tenantKeyReference: KeyReference {
    get throws {
      KeyReference(id: try #require(Identifier(hex: tenantKeyId)), version: tenantKeyVersion)
    }
  }
  var contextHash: ContextHash {
    get throws { try EnvelopesTests.contextHash(tenant: tenant, subject: "", context) }
  }

  static let all: [LocalEnvelopeVector] = load("local-envelope.json")
  static let valid = all.filter { $0.expect == "ok" }
}

/// Every vector runs every path: parse, open, rewrap-then-open, text.
@Suite("Local envelopes")
struct LocalEnvelopeTests {
  @Test("There are vectors of both outcomes and both suites")
  func coverage() throws {
    print("local-envelope.json: \(LocalEnvelopeVector.all.count) vectors")
    #expect(Set(LocalEnvelopeVector.all.map(\.expect)) == ["ok", "malformed"])
    #expect(
      try Set(LocalEnvelopeVector.valid.map { try LocalEnvelope($0.bytes.span).header.suite })
        == Set(Suite.allCases))
  }

  // MUST: LOCAL-1, LOCAL-2, LOCAL-3, LOCAL-4
  @Test("Parse: only what is malformed is refused", arguments: LocalEnvelopeVector.all)
  func parse(vector: LocalEnvelopeVector) throws {
    let bytes = vector.bytes
    guard vector.expect == "ok" else {
      #expect(throws: LocalEnvelope.Malformed.self) { try LocalEnvelope(bytes.span) }
      return
    }
    let local = try LocalEnvelope(bytes.span)
    #expect(local.wrappedKey.bytes == Array(bytes.prefix(148)))
    #expect(local.wrappedKey.key.id.hex == vector.dataKeyId)
    #expect(try local.wrappedKey.wrappingKey == vector.tenantKeyReference)
    #expect(local.header.key == local.wrappedKey.key)
    #expect(local.header.plaintextByteCount == vector.plaintext.utf8.count / 2)
  }

  // MUST: LOCAL-1, LOCAL-2, LOCAL-3, LOCAL-4
  @Test("Each refusal has its reason")
  func reasons() throws {
    let bytes = try #require(LocalEnvelopeVector.valid.first).bytes
    let (wrapped, envelope) = (Array(bytes.prefix(148)), Array(bytes.dropFirst(148)))
    func changing(_ offset: Int, to value: UInt8) -> [UInt8] {
      var changed = bytes
      changed[offset] = value
      return changed
    }
    var tenantWrapped = changing(3, to: WrappedKeyKind.tenantKey.rawValue)
    tenantWrapped[23] = 1
    var tenantSealed = changing(148 + 3, to: 0x01)
    tenantSealed[148 + 23] = 1
    let cases: [([UInt8], LocalEnvelope.Malformed)] = [
      ([], .tooShort), (wrapped, .tooShort), (Array(bytes.prefix(243)), .tooShort),
      (changing(0, to: 0), .wrappedKey(.magic)), (changing(2, to: 2), .wrappedKey(.version)),
      (changing(3, to: 6), .wrappedKey(.kind)), (changing(23, to: 1), .wrappedKey(.keyVersion)),
      (envelope + wrapped, .wrappedKey(.magic)), (tenantWrapped, .wrappedKeyIsNoDataKey),
      (changing(148, to: 0), .envelope(.magic)), (changing(148 + 2, to: 2), .envelope(.version)),
      (changing(148 + 3, to: 0x23), .envelope(.suite)), (changing(148 + 3, to: 0x31), .envelope(.kind)),
      (changing(148 + 23, to: 1), .envelope(.keyVersion)), (wrapped + wrapped, .envelope(.magic)),
      (tenantSealed, .envelopeIsOfNoDataKey),
      (bytes.flipping(bit: 4 * 8), .keyIDsDiffer), (bytes.flipping(bit: (148 + 19) * 8), .keyIDsDiffer),
    ]
    for (index, (bytes, reason)) in cases.enumerated() {
      #expect(throws: reason, "case \(index)") { try LocalEnvelope(bytes.span) }
    }
    let shortest = Array(bytes.prefix(244))
    #expect(try LocalEnvelope(shortest.span).header.plaintextByteCount == 0)
  }

  @Test(
    "Open: the data key under the tenant key, the plaintext under it", arguments: LocalEnvelopeVector.valid)
  func open(vector: LocalEnvelopeVector) throws {
    let tenantKey = DerivationKey(copying: .init(hex: vector.tenantKey))
    let opened = try open(
      vector.bytes, under: tenantKey, reference: try vector.tenantKeyReference, context: try vector.contextHash)
    #expect(opened.dataKey.hex == vector.dataKey)
    #expect(opened.plaintext.hex == vector.plaintext)
  }

  @Test(
    "Rewrap: the first 148 bytes are new, the rest is the same, and both layers open",
    arguments: LocalEnvelopeVector.valid)
  func rewrap(vector: LocalEnvelopeVector) throws {
    let (wrapper, context) = (try KeyWrapper(), try vector.contextHash)
    let old = try LocalEnvelope(vector.bytes.span)
    let newKey = DerivationKey(copying: SecureRandom.bytes(32))
    let oldReference = try vector.tenantKeyReference
    let newReference = KeyReference(id: oldReference.id, version: oldReference.version + 1)
    let dataKey = try wrapper.unwrap(
      old.wrappedKey, kind: .dataKey, as: nil, under: DerivationKey(copying: .init(hex: vector.tenantKey)),
      wrappingKeyReference: oldReference, binding: context.digest)
    let wrapped = wrapper.wrap(
      dataKey, kind: .dataKey, as: old.wrappedKey.key, under: newKey, wrappingKeyReference: newReference,
      binding: context.digest)
    let rewrapped = wrapped.bytes + vector.bytes.dropFirst(WrappedKey.byteCount)
    #expect(rewrapped.count == vector.bytes.count)
    #expect(Array(rewrapped.prefix(148)) != Array(vector.bytes.prefix(148)))
    let new = try LocalEnvelope(rewrapped.span)
    #expect(new.header == old.header)
    let opened = try open(rewrapped, under: newKey, reference: newReference, context: context)
    #expect(opened.dataKey.hex == vector.dataKey)
    #expect(opened.plaintext.hex == vector.plaintext)
  }

  @Test("Text: the text form of every vector is one text, and reads back", arguments: LocalEnvelopeVector.all)
  func text(vector: LocalEnvelopeVector) throws {
    let (encoded, decoded) = (
      TextForm.encode(vector.bytes.span), try TextForm.decode(Array(vector.text.utf8).span)
    )
    #expect(String(decoding: encoded, as: UTF8.self) == vector.text)
    #expect(decoded == vector.bytes)
  }

  private func open(
    _ bytes: [UInt8], under tenantKey: borrowing DerivationKey, reference: KeyReference, context: ContextHash
  ) throws -> (dataKey: [UInt8], plaintext: [UInt8]) {
    let local = try LocalEnvelope(bytes.span)
    let dataKey = try KeyWrapper().unwrapped(
      local.wrappedKey, kind: .dataKey, under: tenantKey, wrappingKeyReference: reference,
      binding: context.digest)
    let plaintext = try EnvelopeCipher().opened(
      Array(bytes.dropFirst(WrappedKey.byteCount)), key: DerivationKey(copying: dataKey), contextHash: context)
    return (dataKey, plaintext)
  }
}
