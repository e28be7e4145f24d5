internal import CPrimitives
package import ChatelaineVocabulary

/// SHA-256 (FIPS 180-4), of public bytes: entries, headers, contexts.
///
/// The plain state struct instead of EVP: 143 ns against 224 ns for 200 bytes, and it is copyable,
/// which the log's running file hash needs.
package struct SHA256: Sendable {
  private var state = ch_sha256()

  package init() { unsafe ch_sha256_begin(&state) }

  package mutating func update(_ bytes: Span<UInt8>) {
    unsafe bytes.withUnsafeBytes { unsafe ch_sha256_add(&state, $0.baseAddress, $0.count) }
  }

  package mutating func update(_ bytes: [UInt8]) { update(bytes.span) }

  package consuming func finish() -> Digest {
    var output = InlineArray<32, UInt8>(repeating: 0)
    var outputSpan = output.mutableSpan
    unsafe outputSpan.withUnsafeMutableBufferPointer { unsafe ch_sha256_end(&state, $0.baseAddress) }
    return Digest(output.span)
  }

  /// The digest of one run of bytes, after an optional prefix byte.
  package static func hash(prefix: UInt8? = nil, _ bytes: Span<UInt8>) -> Digest {
    var output = InlineArray<32, UInt8>(repeating: 0)
    var outputSpan = output.mutableSpan
    unsafe bytes.withUnsafeBytes { input in
      unsafe outputSpan.withUnsafeMutableBufferPointer {
        unsafe ch_sha256_once(prefix.map(Int32.init) ?? -1, input.baseAddress, input.count, nil, 0, $0.baseAddress)
      }
    }
    return Digest(output.span)
  }

  package static func hash(_ bytes: [UInt8]) -> Digest { hash(bytes.span) }
}
