internal import CPrimitives

/// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 §8.2.2) by libcrypto, to verify: what others sign tokens with, never we.
package enum RSASHA256 {
  /// Bits of a modulus. Less is weak; more takes a caller's time for ours.
  package static let modulusBitsRange = 2048...8192

  /// Whether two big-endian numbers can be a public key: a modulus of the range, an odd exponent of 3 to 2^32 - 1.
  package static func isKey(modulus: Span<UInt8>, exponent: Span<UInt8>) -> Bool {
    guard let first = modulus.indices.first(where: { modulus[$0] != 0 }) else { return false }
    let bits = (modulus.count - first) * 8 - modulus[first].leadingZeroBitCount
    guard modulusBitsRange.contains(bits), modulus[modulus.count - 1] & 1 == 1, exponent.count <= 4 else { return false }
    var value: UInt32 = 0
    for index in exponent.indices { value = value << 8 | UInt32(exponent[index]) }
    return value >= 3 && value & 1 == 1
  }

  /// Whether `signature` is one of `message` under a key for which `isKey` says yes.
  package static func isValid(
    signature: Span<UInt8>, of message: Span<UInt8>, modulus: Span<UInt8>, exponent: Span<UInt8>
  ) -> Bool {
    unsafe modulus.withUnsafeBufferPointer { modulus in
      unsafe exponent.withUnsafeBufferPointer { exponent in
        unsafe signature.withUnsafeBufferPointer { signature in
          unsafe message.withUnsafeBufferPointer { message in
            unsafe ch_rsa_sha256_is_valid(
              modulus.baseAddress, modulus.count, exponent.baseAddress, exponent.count, signature.baseAddress,
              signature.count, message.baseAddress, message.count) == 1
          }
        }
      }
    }
  }
}

/// ECDSA on P-256 with SHA-256 (FIPS 186-5 §6.4) by libcrypto, to verify. Signatures are `r ‖ s` (RFC 7518 §3.4).
package enum ECDSAP256 {
  package static let coordinateByteCount = 32
  package static let signatureByteCount = 64

  /// Whether two coordinates are a point of the curve.
  package static func isKey(x: Span<UInt8>, y: Span<UInt8>) -> Bool {
    guard let point = point(x, y) else { return false }
    return unsafe ch_p256_is_key(point) == 1
  }

  /// Whether `signature` is one of `message`. Malformed keys and signatures are not: libcrypto refuses an `r` or `s` that is
  /// zero, or not below the curve's order.
  package static func isValid(
    signature: Span<UInt8>, of message: Span<UInt8>, x: Span<UInt8>, y: Span<UInt8>
  ) -> Bool {
    guard signature.count == signatureByteCount, let point = point(x, y) else { return false }
    return unsafe signature.withUnsafeBufferPointer { signature in
      unsafe message.withUnsafeBufferPointer { message in
        unsafe ch_p256_sha256_is_valid(point, signature.baseAddress, message.baseAddress, message.count) == 1
      }
    }
  }

  /// Uncompressed (SEC 1 §2.3.3).
  private static func point(_ x: Span<UInt8>, _ y: Span<UInt8>) -> [UInt8]? {
    guard x.count == coordinateByteCount, y.count == coordinateByteCount else { return nil }
    var point: [UInt8] = [4]
    for index in x.indices { point.append(x[index]) }
    for index in y.indices { point.append(y[index]) }
    return point
  }
}
