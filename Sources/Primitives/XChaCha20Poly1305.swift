internal import CLibsodium

/// XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) with a 192-bit nonce, by libsodium.
package enum XChaCha20Poly1305 {
  package static let keyByteCount = 32
  package static let nonceByteCount = 24
  package static let tagByteCount = 16

  /// Appends ciphertext ‖ tag.
  package static func seal(
    _ plaintext: RawSpan, key: RawSpan, nonce: Span<UInt8>, authenticating associated: Span<UInt8>,
    appendingTo output: inout OutputRawSpan
  ) {
    check(key: key, nonce: nonce)
    precondition(output.freeCapacity >= plaintext.byteCount + tagByteCount, "output is too small")
    unsafe output.withUnsafeMutableBytes { buffer, initializedCount in
      let target = unsafe buffer.baseAddress!.advanced(by: initializedCount).assumingMemoryBound(to: UInt8.self)
      initializedCount += plaintext.byteCount + tagByteCount
      unsafe key.withUnsafeBytes { key in
        unsafe nonce.withUnsafeBytes { nonce in
          unsafe associated.withUnsafeBytes { associated in
            unsafe plaintext.withUnsafeBytes { plaintext in
              _ = unsafe crypto_aead_xchacha20poly1305_ietf_encrypt(
                target, nil, plaintext.octets, UInt64(plaintext.count), associated.octets,
                UInt64(associated.count), nil, nonce.octets!, key.octets!)
            }
          }
        }
      }
    }
  }

  /// Appends the plaintext of ciphertext ‖ tag, or appends nothing and returns false where the tag
  /// does not match.
  package static func open(
    _ sealed: Span<UInt8>, key: RawSpan, nonce: Span<UInt8>, authenticating associated: Span<UInt8>,
    appendingTo output: inout OutputRawSpan
  ) -> Bool {
    check(key: key, nonce: nonce)
    let count = sealed.count - tagByteCount
    guard count >= 0 else { return false }
    precondition(output.freeCapacity >= count, "output is too small")
    return unsafe output.withUnsafeMutableBytes { buffer, initializedCount in
      let target = unsafe buffer.baseAddress?.advanced(by: initializedCount).assumingMemoryBound(to: UInt8.self)
      let status = unsafe key.withUnsafeBytes { key in
        unsafe nonce.withUnsafeBytes { nonce in
          unsafe associated.withUnsafeBytes { associated in
            unsafe sealed.withUnsafeBytes { sealed in
              unsafe crypto_aead_xchacha20poly1305_ietf_decrypt(
                target, nil, nil, sealed.octets!, UInt64(sealed.count), associated.octets,
                UInt64(associated.count), nonce.octets!, key.octets!)
            }
          }
        }
      }
      if status == 0 { initializedCount += count }
      return status == 0
    }
  }

  private static func check(key: RawSpan, nonce: Span<UInt8>) {
    precondition(key.byteCount == keyByteCount, "an XChaCha20 key is 32 bytes")
    precondition(nonce.count == nonceByteCount, "an XChaCha20 nonce is 24 bytes")
    precondition(sodiumIsReady, "libsodium failed to initialize")
  }
}

/// sodium_init(3), once.
let sodiumIsReady = sodium_init() >= 0

extension UnsafeRawBufferPointer {
  @unsafe var octets: UnsafePointer<UInt8>? { unsafe baseAddress?.assumingMemoryBound(to: UInt8.self) }
}
