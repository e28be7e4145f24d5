internal import CPrimitives
internal import ChatelaineSecretMemory

/// HMAC-SHA-512 (RFC 2104, FIPS 198-1) with its two key blocks hashed in advance.
///
/// The prepared states are as secret as the key, so they live in secret memory; OpenSSL's EVP_MAC
/// would keep them on its own heap and take 456 ns a MAC.
package struct HMACSHA512: ~Copyable, Sendable {
  package static let macByteCount = 64

  private let states: SecretBytes

  /// Prepares for a key of any length; keys of this product are 32 bytes.
  package init(key: RawSpan) {
    states = SecretBytes(count: Int(CH_HMAC_SHA512_STATE_BYTES)) { output in
      unsafe output.withUnsafeMutableBytes { buffer, initializedCount in
        unsafe key.withUnsafeBytes {
          unsafe ch_hmac_sha512_prepare(buffer.baseAddress, $0.baseAddress, $0.count)
        }
        initializedCount = Int(CH_HMAC_SHA512_STATE_BYTES)
      }
    }
  }

  /// Writes the 64-byte MAC of `a ‖ b ‖ c ‖ d`.
  package borrowing func authenticate(
    _ a: Span<UInt8>, _ b: Span<UInt8>, _ c: Span<UInt8>, _ d: Span<UInt8>, into mac: inout MutableRawSpan
  ) {
    precondition(mac.byteCount == Self.macByteCount, "an HMAC-SHA-512 is 64 bytes")
    states.withBytes { states in
      unsafe states.withUnsafeBytes { state in
        unsafe a.withUnsafeBytes { a in
          unsafe b.withUnsafeBytes { b in
            unsafe c.withUnsafeBytes { c in
              unsafe d.withUnsafeBytes { d in
                unsafe mac.withUnsafeMutableBytes {
                  unsafe ch_hmac_sha512(
                    state.baseAddress, a.baseAddress, a.count, b.baseAddress, b.count, c.baseAddress,
                    c.count, d.baseAddress, d.count, $0.baseAddress)
                }
              }
            }
          }
        }
      }
    }
  }
}
