internal import CLibcrypto

/// AES-256-GCM (NIST SP 800-38D) with a 96-bit nonce and a 128-bit tag, by libcrypto.
///
/// Holds one EVP context a direction, re-keyed for each message (353 ns for 32 bytes, against 696
/// with a context a message). An EVP context keeps the expanded key on OpenSSL's heap: `scrub()`
/// overwrites it. Not `Sendable`: one object a thread or event loop.
@safe package final class AES256GCM {
  package static let keyByteCount = 32
  package static let nonceByteCount = 12
  package static let tagByteCount = 16

  /// `OSSL_CIPHER_PARAM_AEAD_TAG`, which must stay where it is: libcrypto keeps the pointer.
  private static let tagName: StaticString = "tag"
  private let sealing: OpaquePointer
  private let opening: OpaquePointer
  /// Asks for a tag, which libcrypto writes behind them; a question by name each time costs 24 ns more.
  private let tagQuestion: UnsafeMutablePointer<OSSL_PARAM>
  private let tag: UnsafeMutablePointer<UInt8>
  /// Whether a context holds a message's key schedule.
  private var sealingIsKeyed = false
  private var openingIsKeyed = false

  /// Fails only where libcrypto has no AES-256-GCM or no memory.
  package init() throws(CipherUnavailable) {
    guard let cipher = unsafe EVP_CIPHER_fetch(nil, "AES-256-GCM", nil) else { throw CipherUnavailable() }
    defer { unsafe EVP_CIPHER_free(cipher) }
    guard let sealing = unsafe EVP_CIPHER_CTX_new() else { throw CipherUnavailable() }
    guard let opening = unsafe EVP_CIPHER_CTX_new() else {
      unsafe EVP_CIPHER_CTX_free(sealing)
      throw CipherUnavailable()
    }
    unsafe self.sealing = sealing
    unsafe self.opening = opening
    unsafe tag = .allocate(capacity: Self.tagByteCount)
    unsafe tagQuestion = .allocate(capacity: 2)
    let name = unsafe UnsafeRawPointer(Self.tagName.utf8Start).assumingMemoryBound(to: CChar.self)
    unsafe tagQuestion.initialize(to: OSSL_PARAM_construct_octet_string(name, tag, Self.tagByteCount))
    unsafe tagQuestion.advanced(by: 1).initialize(to: OSSL_PARAM_construct_end())
    guard unsafe EVP_EncryptInit_ex2(sealing, cipher, nil, nil, nil) == 1,
      unsafe EVP_DecryptInit_ex2(opening, cipher, nil, nil, nil) == 1
    else { throw CipherUnavailable() }
  }

  deinit {
    unsafe EVP_CIPHER_CTX_free(sealing)
    unsafe EVP_CIPHER_CTX_free(opening)
    unsafe tagQuestion.deallocate()
    unsafe tag.deallocate()
  }

  /// Appends ciphertext ‖ tag.
  package func seal(
    _ plaintext: RawSpan, key: RawSpan, nonce: Span<UInt8>, authenticating associated: Span<UInt8>,
    appendingTo output: inout OutputRawSpan
  ) {
    Self.check(key: key, nonce: nonce)
    precondition(output.freeCapacity >= plaintext.byteCount + Self.tagByteCount, "output is too small")
    let succeeded = unsafe output.withUnsafeMutableBytes { buffer, initializedCount in
      let target = unsafe buffer.baseAddress!.advanced(by: initializedCount).assumingMemoryBound(to: UInt8.self)
      initializedCount += plaintext.byteCount + Self.tagByteCount
      return unsafe key.withUnsafeBytes { key in
        unsafe nonce.withUnsafeBytes { nonce in
          unsafe associated.withUnsafeBytes { associated in
            unsafe plaintext.withUnsafeBytes { plaintext in
              unsafe sealPointers(
                plaintext, key: key, nonce: nonce, associated: associated, target: target)
            }
          }
        }
      }
    }
    precondition(succeeded, "AES-256-GCM failed to seal")
  }

  @unsafe private func sealPointers(
    _ plaintext: UnsafeRawBufferPointer, key: UnsafeRawBufferPointer, nonce: UnsafeRawBufferPointer,
    associated: UnsafeRawBufferPointer, target: UnsafeMutablePointer<UInt8>
  ) -> Bool {
    var count: Int32 = 0
    let keyBytes = unsafe key.baseAddress?.assumingMemoryBound(to: UInt8.self)
    let nonceBytes = unsafe nonce.baseAddress?.assumingMemoryBound(to: UInt8.self)
    sealingIsKeyed = true
    guard unsafe EVP_EncryptInit_ex2(sealing, nil, keyBytes, nonceBytes, nil) == 1 else { return false }
    if associated.count > 0 {
      let bytes = unsafe associated.baseAddress!.assumingMemoryBound(to: UInt8.self)
      guard unsafe EVP_EncryptUpdate(sealing, nil, &count, bytes, Int32(associated.count)) == 1 else { return false }
    }
    if plaintext.count > 0 {
      let bytes = unsafe plaintext.baseAddress!.assumingMemoryBound(to: UInt8.self)
      guard unsafe EVP_EncryptUpdate(sealing, target, &count, bytes, Int32(plaintext.count)) == 1 else { return false }
    }
    guard unsafe EVP_EncryptFinal_ex(sealing, target, &count) == 1 else { return false }
    unsafe tagQuestion.pointee.return_size = 0
    guard unsafe EVP_CIPHER_CTX_get_params(sealing, tagQuestion) == 1,
      unsafe tagQuestion.pointee.return_size == Self.tagByteCount
    else { return false }
    unsafe target.advanced(by: plaintext.count).update(from: tag, count: Self.tagByteCount)
    return true
  }

  /// Appends the plaintext of ciphertext ‖ tag, or appends nothing and returns false where the tag
  /// does not match; what was decrypted by then is erased.
  package func open(
    _ sealed: Span<UInt8>, key: RawSpan, nonce: Span<UInt8>, authenticating associated: Span<UInt8>,
    appendingTo output: inout OutputRawSpan
  ) -> Bool {
    Self.check(key: key, nonce: nonce)
    let count = sealed.count - Self.tagByteCount
    guard count >= 0 else { return false }
    precondition(output.freeCapacity >= count, "output is too small")
    return unsafe output.withUnsafeMutableBytes { buffer, initializedCount in
      // why: the caller's buffer may be empty and have no address; OpenSSL needs one for an empty text.
      var none: UInt8 = 0
      let opened = unsafe withUnsafeMutablePointer(to: &none) { none in
        let start = unsafe buffer.baseAddress?.advanced(by: initializedCount).assumingMemoryBound(to: UInt8.self)
        let target = unsafe start ?? none
        return unsafe key.withUnsafeBytes { key in
          unsafe nonce.withUnsafeBytes { nonce in
            unsafe associated.withUnsafeBytes { associated in
              unsafe sealed.withUnsafeBytes { sealed in
                unsafe openPointers(
                  sealed, count: count, key: key, nonce: nonce, associated: associated, target: target)
              }
            }
          }
        }
      }
      if opened { initializedCount += count }
      return opened
    }
  }

  @unsafe private func openPointers(
    _ sealed: UnsafeRawBufferPointer, count: Int, key: UnsafeRawBufferPointer, nonce: UnsafeRawBufferPointer,
    associated: UnsafeRawBufferPointer, target: UnsafeMutablePointer<UInt8>
  ) -> Bool {
    var written: Int32 = 0
    let keyBytes = unsafe key.baseAddress?.assumingMemoryBound(to: UInt8.self)
    let nonceBytes = unsafe nonce.baseAddress?.assumingMemoryBound(to: UInt8.self)
    let sealedBytes = unsafe sealed.baseAddress!.assumingMemoryBound(to: UInt8.self)
    openingIsKeyed = true
    precondition(unsafe EVP_DecryptInit_ex2(opening, nil, keyBytes, nonceBytes, nil) == 1, "AES-256-GCM failed to open")
    if associated.count > 0 {
      let bytes = unsafe associated.baseAddress!.assumingMemoryBound(to: UInt8.self)
      guard unsafe EVP_DecryptUpdate(opening, nil, &written, bytes, Int32(associated.count)) == 1 else { return false }
    }
    let tag = unsafe UnsafeMutableRawPointer(mutating: sealedBytes.advanced(by: count))
    let isDecrypted = unsafe count == 0 || EVP_DecryptUpdate(opening, target, &written, sealedBytes, Int32(count)) == 1
    let isAuthentic =
      unsafe isDecrypted
      && EVP_CIPHER_CTX_ctrl(opening, EVP_CTRL_AEAD_SET_TAG, Int32(Self.tagByteCount), tag) == 1
      && EVP_DecryptFinal_ex(opening, target, &written) == 1
    if !isAuthentic { unsafe OPENSSL_cleanse(target, count) }
    return isAuthentic
  }

  /// Overwrites the key schedules of the last message with those of the zero key.
  ///
  /// Call it before waiting for more work: until then OpenSSL's heap holds a message key.
  package func scrub() {
    let zeros = InlineArray<32, UInt8>(repeating: 0)
    unsafe zeros.span.withUnsafeBufferPointer { zeros in
      if sealingIsKeyed { _ = unsafe EVP_EncryptInit_ex2(sealing, nil, zeros.baseAddress, zeros.baseAddress, nil) }
      if openingIsKeyed { _ = unsafe EVP_DecryptInit_ex2(opening, nil, zeros.baseAddress, zeros.baseAddress, nil) }
    }
    (sealingIsKeyed, openingIsKeyed) = (false, false)
  }

  private static func check(key: RawSpan, nonce: Span<UInt8>) {
    precondition(key.byteCount == keyByteCount, "an AES-256 key is 32 bytes")
    precondition(nonce.count == nonceByteCount, "a GCM nonce is 12 bytes here")
  }
}

/// The cryptographic library lacks what it must have.
package struct CipherUnavailable: Error, Equatable {
  package init() {}
}
