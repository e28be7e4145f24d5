internal import ChatelaineSecretMemory
package import ChatelaineVocabulary

/// Seals under a key derived for one message, together with a commitment to that key.
///
/// `okm = D(K, label, bound ‖ extra)`; message key = okm[0..32), commitment = okm[32..64), nonce
/// zeros, AAD = bound ‖ commitment ‖ extra. `bound` holds a fresh 24-byte salt, so one key meets one
/// message and the nonce need not vary. The commitment is compared before anything is decrypted:
/// plain GCM and Poly1305 open one ciphertext under two keys.
///
/// Not `Sendable`: one object a thread or event loop.
package final class CommittingAEAD {
  package static let saltByteCount = 24
  package static let commitmentByteCount = 32
  package static let tagByteCount = 16
  /// Commitment and tag.
  package static let overheadByteCount = commitmentByteCount + tagByteCount

  /// Which check refused: for the log. A caller is told neither.
  package enum Refusal: Error, Equatable {
    /// The commitment differs: another key, header or context.
    case keyOrContext
    /// The tag differs: the ciphertext was changed.
    case body
  }

  private let aes: AES256GCM
  private var derived = SecretBytes.zeros(count: DerivationKey.outputByteCount)

  package init() throws(CipherUnavailable) { aes = try AES256GCM() }

  /// Appends commitment ‖ ciphertext ‖ tag to what already holds `bound`.
  package func seal(
    _ plaintext: RawSpan, suite: Suite, label: DerivationLabel, key: borrowing DerivationKey,
    bound: Span<UInt8>, extra: Span<UInt8>, appendingTo output: inout OutputRawSpan
  ) {
    derived.withMutableBytes { key.derive(label, bound, extra, into: &$0) }
    derived.withBytes { okm in
      let commitment = Span<UInt8>(_bytes: okm.extracting(32..<64))
      var associated = AssociatedData()
      associated.append(bound)
      associated.append(commitment)
      associated.append(extra)
      output.append(contentsOf: commitment)
      let messageKey = okm.extracting(0..<32)
      let bytes = associated.storage.span.extracting(0..<associated.count)
      switch suite {
      case .aes256GCM:
        aes.seal(
          plaintext, key: messageKey, nonce: zeroNonce.span.extracting(0..<12), authenticating: bytes,
          appendingTo: &output)
      case .xchacha20Poly1305:
        XChaCha20Poly1305.seal(
          plaintext, key: messageKey, nonce: zeroNonce.span, authenticating: bytes, appendingTo: &output)
      }
    }
    forget()
  }

  /// Appends the plaintext of commitment ‖ ciphertext ‖ tag, or appends nothing and throws.
  package func open(
    _ sealed: Span<UInt8>, suite: Suite, label: DerivationLabel, key: borrowing DerivationKey,
    bound: Span<UInt8>, extra: Span<UInt8>, appendingTo output: inout OutputRawSpan
  ) throws(Refusal) {
    guard sealed.count >= Self.overheadByteCount else { throw .body }
    derived.withMutableBytes { key.derive(label, bound, extra, into: &$0) }
    defer { forget() }
    try derived.withBytes { okm throws(Refusal) in
      let commitment = sealed.extracting(0..<Self.commitmentByteCount)
      guard constantTimeEqual(Span(_bytes: okm.extracting(32..<64)), commitment) else { throw .keyOrContext }
      var associated = AssociatedData()
      associated.append(bound)
      associated.append(commitment)
      associated.append(extra)
      let messageKey = okm.extracting(0..<32)
      let bytes = associated.storage.span.extracting(0..<associated.count)
      let body = sealed.extracting(Self.commitmentByteCount...)
      let isAuthentic =
        switch suite {
        case .aes256GCM:
          aes.open(
            body, key: messageKey, nonce: zeroNonce.span.extracting(0..<12), authenticating: bytes,
            appendingTo: &output)
        case .xchacha20Poly1305:
          XChaCha20Poly1305.open(
            body, key: messageKey, nonce: zeroNonce.span, authenticating: bytes, appendingTo: &output)
        }
      guard isAuthentic else { throw .body }
    }
  }

  /// Overwrites the last message key where OpenSSL keeps it; call before waiting for more work.
  package func scrub() { aes.scrub() }

  private func forget() { derived.withMutableBytes { erase(&$0) } }
}

private let zeroNonce = InlineArray<24, UInt8>(repeating: 0)

/// The public bytes that a tag covers, gathered on the stack.
private struct AssociatedData {
  var storage = InlineArray<192, UInt8>(repeating: 0)
  var count = 0

  mutating func append(_ bytes: Span<UInt8>) {
    precondition(bytes.count <= storage.count - count, "associated data is bounded")
    var span = storage.mutableSpan
    span.put(copying: bytes, at: count)
    count += bytes.count
  }
}
