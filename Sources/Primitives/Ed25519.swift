internal import CLibcrypto

/// Ed25519 (RFC 8032) by libcrypto: signatures over the log's heads.
package enum Ed25519 {
  package static let seedByteCount = 32
  package static let publicKeyByteCount = 32
  package static let signatureByteCount = 64

  /// The public key of a 32-byte seed.
  package static func publicKey(of seed: RawSpan) -> [UInt8] {
    unsafe withPrivateKey(seed) { key in
      unsafe [UInt8](unsafeUninitializedCapacity: publicKeyByteCount) { buffer, initializedCount in
        var count = publicKeyByteCount
        precondition(
          unsafe EVP_PKEY_get_raw_public_key(key, buffer.baseAddress, &count) == 1 && count == publicKeyByteCount,
          "Ed25519 gave no public key")
        initializedCount = count
      }
    }
  }

  /// The 64-byte signature of `message` under a 32-byte seed.
  package static func sign(_ message: Span<UInt8>, seed: RawSpan) -> [UInt8] {
    unsafe withPrivateKey(seed) { key in
      let context = unsafe EVP_MD_CTX_new()
      defer { unsafe EVP_MD_CTX_free(context) }
      return unsafe [UInt8](unsafeUninitializedCapacity: signatureByteCount) { buffer, initializedCount in
        var count = signatureByteCount
        let isSigned = unsafe message.withUnsafeBufferPointer { message in
          unsafe EVP_DigestSignInit(context, nil, nil, nil, key) == 1
            && EVP_DigestSign(context, buffer.baseAddress, &count, message.baseAddress, message.count) == 1
        }
        precondition(isSigned && count == signatureByteCount, "Ed25519 failed to sign")
        initializedCount = count
      }
    }
  }

  /// Whether `signature` is one of `message` under a public key. Malformed keys and signatures are not.
  package static func isValid(signature: Span<UInt8>, of message: Span<UInt8>, publicKey: Span<UInt8>) -> Bool {
    guard publicKey.count == publicKeyByteCount, signature.count == signatureByteCount else { return false }
    let parsed = unsafe publicKey.withUnsafeBufferPointer {
      unsafe EVP_PKEY_new_raw_public_key_ex(nil, "ED25519", nil, $0.baseAddress, $0.count)
    }
    guard let key = unsafe parsed else { return false }
    defer { unsafe EVP_PKEY_free(key) }
    let context = unsafe EVP_MD_CTX_new()
    defer { unsafe EVP_MD_CTX_free(context) }
    return unsafe message.withUnsafeBufferPointer { message in
      unsafe signature.withUnsafeBufferPointer { signature in
        unsafe EVP_DigestVerifyInit(context, nil, nil, nil, key) == 1
          && EVP_DigestVerify(context, signature.baseAddress, signature.count, message.baseAddress, message.count) == 1
      }
    }
  }

  @unsafe private static func withPrivateKey<Result>(_ seed: RawSpan, _ body: (OpaquePointer) -> Result) -> Result {
    precondition(seed.byteCount == seedByteCount, "an Ed25519 seed is 32 bytes")
    let key = unsafe seed.withUnsafeBytes {
      unsafe EVP_PKEY_new_raw_private_key_ex(nil, "ED25519", nil, $0.octets, $0.count)
    }
    guard let key = unsafe key else { preconditionFailure("libcrypto has no Ed25519") }
    defer { unsafe EVP_PKEY_free(key) }
    return unsafe body(key)
  }
}
