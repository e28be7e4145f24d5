internal import ChatelaineEnvelopes
internal import ChatelainePrimitives
internal import ChatelaineSecretMemory
internal import ChatelaineVocabulary

extension KeyService {
  /// Known answers of both ciphers, through the whole path of an envelope: run before the first key.
  package static func selfTest() throws(StartError) { try selfTest(KnownAnswer.all) }

  static func selfTest(_ answers: [KnownAnswer]) throws(StartError) {
    for answer in answers {
      guard answer.holds else { throw .selfTest }
    }
  }
}

/// One envelope of a fixed key, context, salt and plaintext, and its SHA-256 as
/// `Tests/Vectors/generate.py` makes it.
struct KnownAnswer {
  let suite: Suite
  var envelopeHash: String

  static let all = [
    KnownAnswer(
      suite: .aes256GCM, envelopeHash: "ea8801a2ef158390caa3854e847da1a2031709de0e2e0a2d58bd30db069d3aa3"),
    KnownAnswer(
      suite: .xchacha20Poly1305, envelopeHash: "fdbe67827f87e8c9d5cd7a8631248771ba902315c4e631671db476bab5f9ef40"),
  ]

  var holds: Bool {
    guard let cipher = try? EnvelopeCipher(), let tenant = try? TenantID("self-test") else { return false }
    let secret = SecretBytes(count: 32) { output in for byte in 0..<32 { output.append(UInt8(byte)) } }
    let key = secret.withBytes { DerivationKey($0) }
    let selector = Envelope.Selector(
      suite: suite, kind: .tenantKey, key: KeyReference(id: Identifier(high: 1, low: 2), version: 3))
    let hash = BindingHash.context(tenant: tenant)
    let plaintext = Array("chatelaine self-test".utf8)
    let salt = [UInt8](repeating: 7, count: 24)
    let envelope = [UInt8](rawCapacity: plaintext.count + Envelope.overheadByteCount) { output in
      plaintext.span.withRawSpan { plaintext in
        cipher.seal(plaintext, as: selector, key: key, contextHash: hash, salt: salt.span, appendingTo: &output)
      }
    }
    guard SHA256.hash(envelope).hex == envelopeHash else { return false }
    let opened = try? [UInt8](rawCapacity: plaintext.count) { (output) throws(CommittingAEAD.Refusal) in
      try cipher.open(envelope.span, as: selector, key: key, contextHash: hash, appendingTo: &output)
    }
    var broken = envelope
    broken[broken.count - 1] ^= 1
    let refused = try? [UInt8](rawCapacity: plaintext.count) { (output) throws(CommittingAEAD.Refusal) in
      try cipher.open(broken.span, as: selector, key: key, contextHash: hash, appendingTo: &output)
    }
    return opened == plaintext && refused == nil
  }
}
