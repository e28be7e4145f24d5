internal import ChatelainePrimitives
internal import ChatelaineSecretMemory
internal import ChatelaineVocabulary

/// The file format of the key that signs the log's heads, v1: 108 bytes.
///
///      0  3 "CS" 01     3  1 seal, always 1: the file's permissions     4  8 created
///     12 32 public key (Ed25519)    44 32 private key (RFC 8032)    76 32 SHA-256 of what is before
package enum SigningKeyFile {
  /// Why bytes are not a signing key.
  package enum Refusal: Error, Equatable {
    case size
    case magic
    /// Another version or seal than this program makes.
    case formatVersion
    /// The checksum differs: bits have changed.
    case damaged
    /// The public key is not that of the private key.
    case wrongKey
  }

  package static let byteCount = 108
  private static let head: [UInt8] = Array("CS".utf8) + [1, 1]
  private static let checkedByteCount = 76
  private static let seedRange = 44..<76

  static func parse(_ file: RawSpan) throws(Refusal) -> SigningKey {
    let bytes = Span<UInt8>(_bytes: file)
    guard bytes.count >= 4, bytes[0] == head[0], bytes[1] == head[1] else {
      throw bytes.count == byteCount ? .magic : .size
    }
    guard bytes[2] == head[2], bytes[3] == head[3] else { throw .formatVersion }
    guard bytes.count == byteCount else { throw .size }
    let checksum = Digest(bytes.extracting(checkedByteCount...))
    guard SHA256.hash(bytes.extracting(0..<checkedByteCount)) == checksum else { throw .damaged }
    var cursor = ByteCursor(at: 4)
    guard let created = try? cursor.u64(bytes) else { throw .size }
    let secret = SecretBytes(count: Ed25519.seedByteCount, keeping: .sealed) {
      $0.append(contentsOf: file.extracting(seedRange))
    }
    let key = SigningKey(secret, created: WallTime(nanoseconds: created))
    guard bytes.extracting(12..<44).equals(key.publicKey) else { throw .wrongKey }
    return key
  }

  static func encode(_ key: SigningKey) -> SecretBytes {
    SecretBytes(count: byteCount) { output in
      var writer = ByteWriter(capacity: seedRange.lowerBound)
      writer.raw(head)
      writer.u64(key.created.nanoseconds)
      writer.raw(key.publicKey)
      output.append(contentsOf: writer.bytes.span)
      key.withSeed { output.append(contentsOf: $0) }
      let digest = SHA256.hash(Span(_bytes: output.bytes))
      output.append(contentsOf: digest.bytes.span)
    }
  }
}
