internal import CLibsodium
package import ChatelaineSecretMemory

/// Argon2id v1.3 (RFC 9106) with one lane, by libsodium: keys from passphrases.
package enum Argon2id {
  package static let saltByteCount = 16
  package static let keyByteCount = 32

  /// The machine could not give the memory that the cost asks for.
  package struct OutOfMemory: Error, Equatable {}

  /// Derives 32 bytes.
  package static func deriveKey(
    passphrase: RawSpan, salt: Span<UInt8>, memoryKiB: UInt32, passes: UInt32
  ) throws(OutOfMemory) -> SecretBytes {
    precondition(!passphrase.isEmpty, "an empty passphrase")
    precondition(salt.count == saltByteCount, "an Argon2 salt is 16 bytes here")
    precondition(sodiumIsReady, "libsodium failed to initialize")
    return try SecretBytes(count: keyByteCount) { output throws(OutOfMemory) in
      let status = unsafe output.withUnsafeMutableBytes { buffer, initializedCount in
        let target = unsafe buffer.baseAddress!.assumingMemoryBound(to: UInt8.self)
        initializedCount = keyByteCount
        return unsafe passphrase.withUnsafeBytes { passphrase in
          unsafe salt.withUnsafeBufferPointer { salt in
            unsafe crypto_pwhash(
              target, UInt64(keyByteCount), passphrase.baseAddress!.assumingMemoryBound(to: CChar.self),
              UInt64(passphrase.count), salt.baseAddress!, UInt64(passes), Int(memoryKiB) * 1024,
              crypto_pwhash_ALG_ARGON2ID13)
          }
        }
      }
      guard status == 0 else { throw OutOfMemory() }
    }
  }
}
