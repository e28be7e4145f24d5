package import ChatelaineVocabulary

/// The envelope format, v1: 96 bytes over the plaintext.
///
///      0  3  "CH" 01
///      3  1  suite: low nibble 1 AES-256-GCM, 2 XChaCha20-Poly1305; high nibble: kind of key
///      4 16  key id                20  4  key version (0 for a data key)
///     24 24  salt                  48 32  commitment
///     80  n  ciphertext          80+n 16  tag
package enum Envelope {
  package static let headerByteCount = 80
  package static let boundByteCount = 48
  package static let overheadByteCount = 96

  /// Why bytes are not an envelope.
  package enum Malformed: Error, Equatable {
    case tooShort
    case magic
    case version
    case suite
    case kind
    /// A data key has version 0, every other key a higher one.
    case keyVersion
  }

  /// What an envelope says of itself without any key.
  package struct Header: Equatable, Sendable {
    package let suite: Suite
    package let kind: EnvelopeKind
    package let key: KeyReference
    package let salt: [UInt8]
    package let commitment: Digest
    /// Bytes of plaintext inside.
    package let plaintextByteCount: Int
  }

  /// The part of a header that picks the key: what the data path needs, without allocation.
  package struct Selector: Equatable, Sendable {
    package let suite: Suite
    package let kind: EnvelopeKind
    package let key: KeyReference

    package init(suite: Suite, kind: EnvelopeKind, key: KeyReference) {
      self.suite = suite
      self.kind = kind
      self.key = key
    }
  }

  package static func parseSelector(_ bytes: Span<UInt8>) throws(Malformed) -> Selector {
    guard bytes.count >= overheadByteCount else { throw .tooShort }
    guard bytes[0] == UInt8(ascii: "C"), bytes[1] == UInt8(ascii: "H") else { throw .magic }
    guard bytes[2] == 1 else { throw .version }
    guard let suite = Suite(rawValue: bytes[3] & 15) else { throw .suite }
    guard let kind = EnvelopeKind(rawValue: bytes[3] >> 4) else { throw .kind }
    var cursor = ByteCursor(at: 4)
    guard let id = try? cursor.identifier(bytes), let version = try? cursor.u32(bytes) else { throw .tooShort }
    guard (version == 0) == (kind == .dataKey) else { throw .keyVersion }
    return Selector(suite: suite, kind: kind, key: KeyReference(id: id, version: version))
  }

  package static func parseHeader(_ bytes: Span<UInt8>) throws(Malformed) -> Header {
    let selector = try parseSelector(bytes)
    return Header(
      suite: selector.suite, kind: selector.kind, key: selector.key, salt: bytes.extracting(24..<48).copied(),
      commitment: Digest(bytes.extracting(48..<80)), plaintextByteCount: bytes.count - overheadByteCount)
  }
}
