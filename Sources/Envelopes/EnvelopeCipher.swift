package import ChatelainePrimitives
internal import ChatelaineSecretMemory
internal import ChatelaineVocabulary

/// Seals and opens envelopes. Not `Sendable`: one object a thread or event loop.
package final class EnvelopeCipher {
  private let aead: CommittingAEAD

  package init() throws(CipherUnavailable) { aead = try CommittingAEAD() }

  /// Appends an envelope of `plaintext`; needs `plaintext.byteCount + 96` free bytes.
  ///
  /// `salt` is 24 fresh random bytes. `contextHash` binds a subject if, and only if, the key is one's.
  package func seal(
    _ plaintext: RawSpan, as selector: Envelope.Selector, key: borrowing DerivationKey, contextHash: ContextHash,
    salt: Span<UInt8>, appendingTo output: inout OutputRawSpan
  ) {
    precondition(salt.count == CommittingAEAD.saltByteCount, "a salt is 24 bytes")
    precondition(contextHash.fits(selector.kind), "a subject belongs to the envelopes of subject keys")
    var bound = InlineArray<48, UInt8>(repeating: 0)
    writeBound(selector, salt: salt, into: &bound)
    output.append(contentsOf: bound.span)
    let extra = contextHash.digest.inlineBytes
    aead.seal(
      plaintext, suite: selector.suite, label: .envelope, key: key, bound: bound.span, extra: extra.span,
      appendingTo: &output)
  }

  /// Appends the plaintext of an envelope that was parsed as `selector`; needs `envelope.count - 96` free
  /// bytes.
  package func open(
    _ envelope: Span<UInt8>, as selector: Envelope.Selector, key: borrowing DerivationKey,
    contextHash: ContextHash, appendingTo output: inout OutputRawSpan
  ) throws(CommittingAEAD.Refusal) {
    guard contextHash.fits(selector.kind) else { throw .keyOrContext }
    let extra = contextHash.digest.inlineBytes
    try aead.open(
      envelope.extracting(Envelope.boundByteCount...), suite: selector.suite, label: .envelope, key: key,
      bound: envelope.extracting(0..<Envelope.boundByteCount), extra: extra.span, appendingTo: &output)
  }

  /// Overwrites the last message key; call before waiting for more work.
  package func scrub() { aead.scrub() }

  private func writeBound(_ selector: Envelope.Selector, salt: Span<UInt8>, into bound: inout InlineArray<48, UInt8>) {
    bound[0] = UInt8(ascii: "C")
    bound[1] = UInt8(ascii: "H")
    bound[2] = 1
    bound[3] = selector.kind.rawValue << 4 | selector.suite.rawValue
    var span = bound.mutableSpan
    span.put(selector.key.id.high, at: 4)
    span.put(selector.key.id.low, at: 12)
    span.put(selector.key.version, at: 20)
    span.put(copying: salt, at: 24)
  }
}

extension ContextHash {
  fileprivate func fits(_ kind: EnvelopeKind) -> Bool { bindsSubject == (kind == .subjectKey) }
}
