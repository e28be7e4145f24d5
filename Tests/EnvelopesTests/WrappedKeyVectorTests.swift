import ChatelaineEnvelopes
import ChatelainePrimitives
import ChatelaineSecretMemory
import ChatelaineTestSupport
import ChatelaineVocabulary
import Testing

/// Every vector runs every path: parse, open, rewrap-then-open, inspect.
@Suite("Wrapped key vectors")
struct WrappedKeyVectorTests {
  @Test("There are vectors of every outcome and kind")
  func coverage() {
    print("wrapped-key.json: \(WrappedKeyVector.all.count) vectors")
    #expect(Set(WrappedKeyVector.all.map(\.expect)) == ["ok", "malformed", "key-or-context", "body"])
    #expect(Set(WrappedKeyVector.all.filter { $0.expect == "ok" }.map(\.kind)) == [1, 2, 3, 4, 5])
  }

  // MUST: WRAP-1, WRAP-2, WRAP-3, WRAP-4, WRAP-5, FMT-1, FMT-2
  @Test("Parse and inspect: only what is malformed is refused", arguments: WrappedKeyVector.all)
  func parse(vector: WrappedKeyVector) throws {
    let bytes = vector.bytes
    guard vector.expect != "malformed" else {
      #expect(throws: WrappedKey.Malformed.self) { try WrappedKey(bytes.span) }
      return
    }
    let wrapped = try WrappedKey(bytes.span)
    #expect(wrapped.bytes == bytes)
    #expect(wrapped.salt == Array(bytes[44..<68]))
    #expect(wrapped.commitment.bytes == Array(bytes[68..<100]))
    guard vector.expect == "ok" else { return }
    #expect(wrapped.kind.rawValue == vector.kind)
    #expect(try wrapped.key == vector.keyReference)
    #expect(try wrapped.wrappingKey == vector.wrappingKeyReference)
    #expect(wrapped.salt.hex == vector.salt)
  }

  // MUST: WRAP-6, WRAP-7, WRAP-8, WRAP-9
  @Test("Open: the key's bytes, or the vector's reason", arguments: WrappedKeyVector.all)
  func open(vector: WrappedKeyVector) throws {
    let wrapper = try KeyWrapper()
    expect(try open(vector, with: wrapper), of: vector)
  }

  @Test(
    "Rewrap, then open: the same key under a fresh one, or the same refusal", arguments: WrappedKeyVector.all)
  func rewrap(vector: WrappedKeyVector) throws {
    let wrapper = try KeyWrapper()
    let binding = try vector.binding
    let reference = try vector.wrappingKeyReference
    let fresh = DerivationKey(copying: SecureRandom.bytes(32))
    let freshReference = KeyReference(id: reference.id, version: max(1, reference.version &+ 1))
    let opened = try open(vector, with: wrapper)
    guard case .success(let bytes) = opened else { return expect(opened, of: vector) }
    let old = try WrappedKey(vector.bytes.span)
    let new = wrapper.wrapped(
      bytes, kind: old.kind, as: old.key, under: fresh, wrappingKeyReference: freshReference, binding: binding
    )
    let again = Result { () throws(Reason) in try wrapper.unwrapped(new, under: fresh, binding: binding) }
    expect(again, of: vector)
    #expect(new.wrappingKey == freshReference && new.key == old.key && new.kind == old.kind)
    let key = vector.wrappingDerivationKey
    let reason = wrapper.refusal(new.bytes, under: key, binding: binding)
    #expect(reason == .keyOrContext)
  }

  @Test(
    "Wrap: the vector's salt gives the vector's bytes exactly",
    arguments: WrappedKeyVector.all.filter { $0.expect == "ok" })
  func wrap(vector: WrappedKeyVector) throws {
    let wrapper = try KeyWrapper()
    let wrapped = wrapper.wrapped(
      .init(hex: vector.keyBytes), kind: try #require(WrappedKeyKind(rawValue: vector.kind)),
      as: try vector.keyReference,
      under: vector.wrappingDerivationKey, wrappingKeyReference: try vector.wrappingKeyReference,
      binding: try vector.binding, salt: .init(hex: vector.salt))
    #expect(wrapped.bytes.hex == vector.wrapped)
  }

  // MUST: WRAP-12, WRAP-13
  @Test("The text form of a data key is its bytes and nothing else, and is refused where they are")
  func text() throws {
    let vectors = WrappedKeyVector.all.filter { $0.kind == WrappedKeyKind.dataKey.rawValue }
    #expect(vectors.contains { $0.expect == "ok" } && vectors.contains { $0.expect == "malformed" })
    for vector in vectors {
      let text = Array(vector.text.utf8)
      #expect(TextForm.encode(vector.bytes.span) == text)
      #expect(try TextForm.decode(text.span) == vector.bytes)
      let parsed = try? WrappedKey(vector.bytes.span)
      #expect((parsed == nil) == (vector.expect == "malformed"))
      #expect(vector.expect != "ok" || text.count == 202 && text.starts(with: "ch1.Q1cB".utf8))
      let others = [
        Array(text.dropLast()), text + Array("=".utf8), text + Array("\n".utf8), Array("cw1.".utf8) + text.dropFirst(4),
      ]
      for other in others { #expect((try? TextForm.decode(other.span)) != vector.bytes) }
    }
  }

  @Test("What a wrapped key says of itself is bound: only another key in hand needs the comparison")
  func boundToTheCommitment() throws {
    let wrapper = try KeyWrapper()
    var onlyByComparison: [String] = []
    for vector in WrappedKeyVector.all where vector.expect == "key-or-context" {
      let (wrapped, binding) = (try WrappedKey(vector.bytes.span), try vector.binding)
      let key = vector.wrappingDerivationKey
      if (try? wrapper.unwrapped(wrapped, under: key, binding: binding)) != nil {
        onlyByComparison.append(vector.name)
      }
    }
    #expect(onlyByComparison.count == 10)
    #expect(onlyByComparison.allSatisfy { $0.hasSuffix("is not the one in hand") }, "\(onlyByComparison)")
  }

  // MUST: WRAP-6, WRAP-11
  @Test(
    "Another kind, id or version than the caller expects, of either key, is refused",
    arguments: WrappedKeyVector.all.filter { $0.expect == "ok" })
  func expectations(vector: WrappedKeyVector) throws {
    let wrapper = try KeyWrapper()
    let (wrapped, binding) = (try WrappedKey(vector.bytes.span), try vector.binding)
    let underKey = vector.wrappingDerivationKey
    func refusal(
      kind: WrappedKeyKind? = nil, as reference: KeyReference? = nil, inHand: KeyReference? = nil
    ) -> Reason? {
      do throws(Reason) {
        _ = try wrapper.unwrapped(
          wrapped, kind: kind, as: reference, under: underKey, wrappingKeyReference: inHand, binding: binding)
        return nil
      } catch { return error }
    }
    #expect(refusal() == nil)
    #expect(refusal(kind: wrapped.kind, as: wrapped.key, inHand: wrapped.wrappingKey) == nil)
    for kind in WrappedKeyKind.allCases where kind != wrapped.kind {
      #expect(refusal(kind: kind) == .keyOrContext)
    }
    for other in others(than: wrapped.key) { #expect(refusal(as: other) == .keyOrContext) }
    for other in others(than: wrapped.wrappingKey) { #expect(refusal(inHand: other) == .keyOrContext) }
  }

  private func others(than key: KeyReference) -> [KeyReference] {
    [
      KeyReference(id: key.id, version: key.version &+ 1),
      KeyReference(id: key.id, version: key.version ^ 1 << 31),
      KeyReference(id: Identifier(high: key.id.high ^ 1 << 63, low: key.id.low), version: key.version),
      KeyReference(id: Identifier(high: key.id.high, low: key.id.low ^ 1), version: key.version),
    ]
  }

  // MUST: WRAP-10
  @Test("Each wrapping draws its own salt, a rewrap included")
  func freshSalts() throws {
    let wrapper = try KeyWrapper()
    let key = DerivationKey(copying: Array(0..<32))
    let reference = KeyReference(id: Identifier(high: 1, low: 2), version: 1)
    let salts = (0..<200).map { _ in
      wrapper.wrap(
        SecretBytes(copying: Array(0..<32)), kind: .tenantKey, as: reference, under: key,
        wrappingKeyReference: reference, binding: .zero
      ).salt
    }
    #expect(Set(salts).count == 200)
    #expect(salts.allSatisfy { $0.count == 24 })
  }

  /// As a caller does whose row names the key.
  private func open(_ vector: WrappedKeyVector, with wrapper: KeyWrapper) throws -> Result<[UInt8], Reason> {
    let kind = try #require(WrappedKeyKind(rawValue: vector.kind))
    let (reference, inHand) = (try vector.keyReference, try vector.wrappingKeyReference)
    let key = vector.wrappingDerivationKey
    let binding = try vector.binding
    return Result { () throws(Reason) in
      let wrapped: WrappedKey
      do { wrapped = try WrappedKey(vector.bytes.span) } catch { throw .malformed }
      return try wrapper.unwrapped(
        wrapped, kind: kind, as: reference, under: key, wrappingKeyReference: inHand, binding: binding)
    }
  }

  private func expect(_ result: Result<[UInt8], Reason>, of vector: WrappedKeyVector) {
    switch result {
    case .success(let bytes):
      #expect(vector.expect == "ok")
      #expect(bytes.hex == vector.keyBytes)
    case .failure(let reason):
      #expect(reason.rawValue == vector.expect)
    }
  }
}
