package import ChatelainePrimitives
package import ChatelaineSecretMemory
internal import ChatelaineVocabulary
internal import Glibc

extension [UInt8] {
  /// The bytes of a vector; anything that is not hexadecimal is a bug of the vector.
  package init(hex: String) {
    guard let bytes = Hex.decode(hex.lowercased()) else {
      preconditionFailure("a vector is not hexadecimal: \(hex)")
    }
    self = bytes
  }

  package var hex: String { Hex.encode(span) }

  package func withRawSpan<Result>(_ body: (RawSpan) throws -> Result) rethrows -> Result {
    try unsafe withUnsafeBytes { try unsafe body(RawSpan(_unsafeBytes: $0)) }
  }

  /// The same bytes with one bit changed; bit 0 is the lowest of the first byte.
  package func flipping(bit: Int) -> [UInt8] {
    var copy = self
    copy[bit / 8] ^= 1 << UInt8(bit % 8)
    return copy
  }

  /// Compares with memcmp(3): a debug build's `==` is too slow for gigabytes.
  package func isSame(as other: [UInt8]) -> Bool {
    guard count == other.count else { return false }
    return unsafe withUnsafeBytes { a in
      unsafe other.withUnsafeBytes { b in
        guard let first = a.baseAddress, let second = b.baseAddress else { return true }
        return unsafe memcmp(first, second, a.count) == 0
      }
    }
  }
}

extension SecretBytes {
  /// A test's secret: the bytes stay in the array too.
  package init(copying bytes: [UInt8], keeping: Keeping = .slab) {
    self.init(count: bytes.count, keeping: keeping) { $0.append(contentsOf: bytes.span) }
  }

  package borrowing func copied() -> [UInt8] {
    withBytes { Span<UInt8>(_bytes: $0).copied() }
  }
}

extension DerivationKey {
  package init(copying bytes: [UInt8]) {
    let secret = SecretBytes(copying: bytes)
    self = secret.withBytes { DerivationKey($0) }
  }

  /// `D(K, label, a ‖ b)` as an array.
  package borrowing func derived(_ label: DerivationLabel, _ a: [UInt8], _ b: [UInt8] = []) -> [UInt8] {
    var output = SecretBytes.zeros(count: Self.outputByteCount)
    output.withMutableBytes { derive(label, a.span, b.span, into: &$0) }
    return output.copied()
  }
}
