internal import ChatelaineSecretMemory
package import ChatelaineVocabulary

/// What a derived key is for. A key is only ever used with the labels its kind allows.
package enum DerivationLabel: String, Sendable, CaseIterable {
  case keyCheckValue = "kcv"
  case wrap
  case row
  case idempotency
  case auditContext = "audit-context"
  case envelope
  case stream
  case mac
  case index
  case seal

  /// `chatelaine/v1/` label ‖ 0x00.
  fileprivate var prefix: [UInt8] { self == .envelope ? Self.envelopePrefix : Self.prefixes[self]! }

  private static let envelopePrefix = prefixes[.envelope]!
  private static let prefixes: [DerivationLabel: [UInt8]] = Dictionary(
    uniqueKeysWithValues: allCases.map { ($0, Array("chatelaine/v1/\($0.rawValue)".utf8) + [0]) })
}

/// A 256-bit key that is only ever used to derive others.
///
/// `D(K, label, info) = HMAC-SHA-512(K, "chatelaine/v1/" label ‖ 0x00 ‖ info ‖ 0x01)`: HKDF-Expand
/// (RFC 5869 §2.3) with one block. No caller's data is ever MACed under a stored key itself.
package struct DerivationKey: ~Copyable, Sendable {
  package static let byteCount = 32
  package static let outputByteCount = HMACSHA512.macByteCount

  private let hmac: HMACSHA512

  /// Prepares a 32-byte key.
  package init(_ key: RawSpan) {
    precondition(key.byteCount == Self.byteCount, "a key is 32 bytes")
    hmac = HMACSHA512(key: key)
  }

  /// Writes `D(K, label, a ‖ b)`, 64 bytes.
  package borrowing func derive(
    _ label: DerivationLabel, _ a: Span<UInt8>, _ b: Span<UInt8> = Span(), into output: inout MutableRawSpan
  ) {
    let end = InlineArray<1, UInt8>(repeating: 1)
    hmac.authenticate(label.prefix.span, a, b, end.span, into: &output)
  }

  /// The first 32 bytes of `D(K, label, info)` as a key of its own.
  package borrowing func deriveKey(_ label: DerivationLabel, _ info: Span<UInt8> = Span()) -> DerivationKey {
    var output = SecretBytes.zeros(count: Self.outputByteCount)
    output.withMutableBytes { derive(label, info, into: &$0) }
    return output.withBytes { DerivationKey($0.extracting(0..<Self.byteCount)) }
  }

  /// The first 32 bytes of `D(K, label, info)` as a public value: a key check value.
  package borrowing func derivePublicValue(_ label: DerivationLabel, _ info: Span<UInt8>) -> Digest {
    var output = SecretBytes.zeros(count: Self.outputByteCount)
    output.withMutableBytes { derive(label, info, into: &$0) }
    return output.withBytes { Digest(Span(_bytes: $0.extracting(0..<Digest.byteCount))) }
  }

  /// The first 32 bytes of HMAC-SHA-512 over `a ‖ b` under this key: a row's MAC.
  package borrowing func authenticate(_ a: Span<UInt8>, _ b: Span<UInt8>) -> Digest {
    var mac = InlineArray<64, UInt8>(repeating: 0)
    var span = mac.mutableSpan
    var bytes = unsafe span.mutableBytes
    hmac.authenticate(a, b, Span(), Span(), into: &bytes)
    return Digest(mac.span.extracting(0..<Digest.byteCount))
  }
}
