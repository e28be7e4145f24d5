internal import CLibcrypto

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
    let key = unsafe PublicKey.make("RSA") { parameters in
      unsafe parameters.number(OSSL_PKEY_PARAM_RSA_N, modulus) && parameters.number(OSSL_PKEY_PARAM_RSA_E, exponent)
    }
    return unsafe PublicKey.withKey(key) { unsafe PublicKey.isValid(signature, of: message, "SHA256", $0) }
  }
}

/// ECDSA on P-256 with SHA-256 (FIPS 186-5 §6.4) by libcrypto, to verify. Signatures are `r ‖ s` (RFC 7518 §3.4).
package enum ECDSAP256 {
  package static let coordinateByteCount = 32
  package static let signatureByteCount = 64

  /// Whether two coordinates are a point of the curve.
  package static func isKey(x: Span<UInt8>, y: Span<UInt8>) -> Bool {
    unsafe PublicKey.withKey(key(x, y)) { key in
      let context = unsafe EVP_PKEY_CTX_new_from_pkey(nil, key, nil)
      defer { unsafe EVP_PKEY_CTX_free(context) }
      return unsafe EVP_PKEY_public_check(context) == 1
    }
  }

  /// Whether `signature` is one of `message`. Malformed keys and signatures are not: libcrypto refuses an `r` or `s` that is
  /// zero, or not below the curve's order.
  package static func isValid(
    signature: Span<UInt8>, of message: Span<UInt8>, x: Span<UInt8>, y: Span<UInt8>
  ) -> Bool {
    guard signature.count == signatureByteCount, let encoded = der(signature) else { return false }
    return unsafe PublicKey.withKey(key(x, y)) { unsafe PublicKey.isValid(encoded.span, of: message, "SHA256", $0) }
  }

  @unsafe private static func key(_ x: Span<UInt8>, _ y: Span<UInt8>) -> OpaquePointer? {
    guard x.count == coordinateByteCount, y.count == coordinateByteCount else { return nil }
    var point: [UInt8] = [4]
    for index in x.indices { point.append(x[index]) }
    for index in y.indices { point.append(y[index]) }
    return unsafe PublicKey.make("EC") { parameters in
      unsafe parameters.text(OSSL_PKEY_PARAM_GROUP_NAME, "P-256") && parameters.octets(OSSL_PKEY_PARAM_PUB_KEY, point)
    }
  }

  /// As libcrypto takes it (RFC 3279 §2.2.3).
  private static func der(_ signature: Span<UInt8>) -> [UInt8]? {
    let pair = unsafe ECDSA_SIG_new()
    defer { unsafe ECDSA_SIG_free(pair) }
    let half = signatureByteCount / 2
    let isSet = unsafe signature.withUnsafeBufferPointer { bytes in
      let r = unsafe BN_bin2bn(bytes.baseAddress, CInt(half), nil)
      let s = unsafe BN_bin2bn(bytes.baseAddress!.advanced(by: half), CInt(half), nil)
      if unsafe ECDSA_SIG_set0(pair, r, s) == 1 { return true }
      unsafe BN_free(r)
      unsafe BN_free(s)
      return false
    }
    let count = unsafe i2d_ECDSA_SIG(pair, nil)
    guard isSet, count > 0 else { return nil }
    return unsafe [UInt8](unsafeUninitializedCapacity: Int(count)) { buffer, initializedCount in
      var place = buffer.baseAddress
      initializedCount = Int(max(0, unsafe i2d_ECDSA_SIG(pair, &place)))
    }
  }
}

/// A public key of libcrypto's, for as long as one signature is verified.
@safe private struct PublicKey {
  /// What a key is made of.
  @unsafe struct Parameters {
    let builder: OpaquePointer
    var numbers: [OpaquePointer] = unsafe []

    mutating func number(_ name: String, _ bytes: Span<UInt8>) -> Bool {
      let number = unsafe bytes.withUnsafeBufferPointer { unsafe BN_bin2bn($0.baseAddress, CInt($0.count), nil) }
      guard let number = unsafe number else { return false }
      unsafe numbers.append(number)
      return unsafe OSSL_PARAM_BLD_push_BN(builder, name, number) == 1
    }

    func text(_ name: String, _ value: String) -> Bool {
      unsafe OSSL_PARAM_BLD_push_utf8_string(builder, name, value, 0) == 1
    }

    func octets(_ name: String, _ value: [UInt8]) -> Bool {
      unsafe value.withUnsafeBytes { unsafe OSSL_PARAM_BLD_push_octet_string(builder, name, $0.baseAddress, $0.count) == 1 }
    }
  }

  @unsafe static func make(_ type: String, _ fill: (inout Parameters) -> Bool) -> OpaquePointer? {
    guard let builder = unsafe OSSL_PARAM_BLD_new() else { return nil }
    var parameters = unsafe Parameters(builder: builder)
    defer {
      for unsafe number in unsafe parameters.numbers { unsafe BN_free(number) }
      unsafe OSSL_PARAM_BLD_free(builder)
    }
    guard unsafe fill(&parameters), let list = unsafe OSSL_PARAM_BLD_to_param(builder) else { return nil }
    defer { unsafe OSSL_PARAM_free(list) }
    let context = unsafe EVP_PKEY_CTX_new_from_name(nil, type, nil)
    defer { unsafe EVP_PKEY_CTX_free(context) }
    var key: OpaquePointer?
    guard unsafe EVP_PKEY_fromdata_init(context) == 1,
      unsafe EVP_PKEY_fromdata(context, &key, CH_EVP_PUBLIC_KEY, list) == 1
    else { return nil }
    return unsafe key
  }

  @unsafe static func withKey(_ key: OpaquePointer?, _ body: (OpaquePointer) -> Bool) -> Bool {
    guard let key = unsafe key else { return false }
    defer { unsafe EVP_PKEY_free(key) }
    return unsafe body(key)
  }

  @unsafe static func isValid(
    _ signature: Span<UInt8>, of message: Span<UInt8>, _ digest: String, _ key: OpaquePointer
  ) -> Bool {
    let context = unsafe EVP_MD_CTX_new()
    defer { unsafe EVP_MD_CTX_free(context) }
    return unsafe message.withUnsafeBufferPointer { message in
      unsafe signature.withUnsafeBufferPointer { signature in
        unsafe EVP_DigestVerifyInit_ex(context, nil, digest, nil, nil, key, nil) == 1
          && EVP_DigestVerify(context, signature.baseAddress, signature.count, message.baseAddress, message.count) == 1
      }
    }
  }
}
