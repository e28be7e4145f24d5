internal import CLibcrypto

/// HMAC-SHA-256 (RFC 2104, FIPS 198-1) by libcrypto: what other hosts' protocols ask for. Ours use HMAC-SHA-512.
package enum HMACSHA256 {
  package static let macByteCount = 32

  /// Writes the 32-byte MAC of `message` under a key of any length.
  package static func authenticate(_ message: Span<UInt8>, key: RawSpan, into output: inout OutputRawSpan) {
    unsafe output.withUnsafeMutableBytes { buffer, initializedCount in
      let isMade = unsafe key.withUnsafeBytes { key in
        unsafe message.withUnsafeBytes { message in
          var count = 0
          let target = unsafe buffer.baseAddress!.advanced(by: initializedCount).assumingMemoryBound(to: UInt8.self)
          let made = unsafe EVP_Q_mac(
            nil, "HMAC", nil, "SHA256", nil, key.baseAddress, key.count,
            message.baseAddress?.assumingMemoryBound(to: UInt8.self), message.count, target, macByteCount, &count)
          return unsafe made != nil && count == macByteCount
        }
      }
      precondition(isMade, "libcrypto has no HMAC-SHA-256")
      initializedCount += macByteCount
    }
  }
}
