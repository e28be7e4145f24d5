internal import ChatelainePrimitives
internal import ChatelaineSecretMemory
internal import ChatelaineVocabulary

/// What signs tokens here, by its name in JOSE (RFC 7518 §3.1, RFC 8037 §3.1). There is no `none`.
package enum TokenAlgorithm: String, CaseIterable, Sendable {
  case hs256 = "HS256"
  case rs256 = "RS256"
  case es256 = "ES256"
  case edDSA = "EdDSA"
}

/// A key of an issuer: verifies signatures of one algorithm, which is the key's and never the token's choice (RFC 8725 §3.1).
/// So a public RSA key is no secret of HMAC, whatever a token says.
package struct TokenKey: Sendable {
  package let algorithm: TokenAlgorithm
  /// `kid`; nil where the key has none.
  package let id: [UInt8]?
  private let material: Material

  private enum Material: Sendable {
    case rsa(modulus: [UInt8], exponent: [UInt8])
    case p256(x: [UInt8], y: [UInt8])
    case ed25519([UInt8])
    case shared(SharedSecret)
  }

  /// nil: less than 2,048 or more than 8,192 bits, or an exponent that is none.
  init?(id: [UInt8]?, rsaModulus modulus: [UInt8], exponent: [UInt8]) {
    guard RSASHA256.isKey(modulus: modulus.span, exponent: exponent.span) else { return nil }
    (algorithm, self.id, material) = (.rs256, id, .rsa(modulus: modulus, exponent: exponent))
  }

  /// nil: no point of the curve.
  init?(id: [UInt8]?, p256X x: [UInt8], y: [UInt8]) {
    guard ECDSAP256.isKey(x: x.span, y: y.span) else { return nil }
    (algorithm, self.id, material) = (.es256, id, .p256(x: x, y: y))
  }

  init?(id: [UInt8]?, ed25519 bytes: [UInt8]) {
    guard bytes.count == Ed25519.publicKeyByteCount else { return nil }
    (algorithm, self.id, material) = (.edDSA, id, .ed25519(bytes))
  }

  /// nil: shorter than the hash (RFC 7518 §3.2), or longer than 1,024 bytes. The bytes move into secret memory.
  init?(id: [UInt8]?, secret bytes: inout [UInt8]) {
    defer { Self.erase(&bytes) }
    guard (32...1024).contains(bytes.count) else { return nil }
    (algorithm, self.id, material) = (.hs256, id, .shared(SharedSecret(bytes.span)))
  }

  private static func erase(_ bytes: inout [UInt8]) {
    for index in bytes.indices { bytes[index] = 0 }
  }

  package func isValid(signature: Span<UInt8>, of message: Span<UInt8>) -> Bool {
    switch material {
    case .rsa(let modulus, let exponent):
      RSASHA256.isValid(signature: signature, of: message, modulus: modulus.span, exponent: exponent.span)
    case .p256(let x, let y): ECDSAP256.isValid(signature: signature, of: message, x: x.span, y: y.span)
    case .ed25519(let key): Ed25519.isValid(signature: signature, of: message, publicKey: key.span)
    case .shared(let secret): secret.isValid(mac: signature, of: message)
    }
  }
}

/// The secret of HS256, in locked memory.
private final class SharedSecret: Sendable {
  private let bytes: SecretBytes

  init(_ bytes: Span<UInt8>) {
    self.bytes = SecretBytes(count: bytes.count) { $0.append(contentsOf: bytes) }
  }

  func isValid(mac: Span<UInt8>, of message: Span<UInt8>) -> Bool {
    let right = bytes.withBytes { key in
      [UInt8](rawCapacity: HMACSHA256.macByteCount) { HMACSHA256.authenticate(message, key: key, into: &$0) }
    }
    return constantTimeEqual(mac, right.span)
  }
}
