package import ChatelainePrimitives
package import ChatelaineSecretMemory
package import ChatelaineVocabulary

/// A 256-bit key under another key: the wrapped key format, v1, 148 bytes.
///
///       0  3 "CW" 01     3  1 kind
///       4 16 id         20  4 version
///      24 16 wrapping key id    40  4 wrapping key version
///      44 24 salt       68 32 commitment    100 32 ciphertext    132 16 tag
package struct WrappedKey: Equatable, Sendable {
  package static let byteCount = 148
  package static let boundByteCount = 68

  /// Why bytes are not a wrapped key.
  package enum Malformed: Error, Equatable {
    case length
    case magic
    case version
    case kind
    /// A data key has version 0, every other key a higher one.
    case keyVersion
    case wrappingKeyVersion
  }

  package let kind: WrappedKeyKind
  package let key: KeyReference
  package let wrappingKey: KeyReference
  /// All 148 bytes.
  package let bytes: [UInt8]

  package init(_ bytes: Span<UInt8>) throws(Malformed) {
    guard bytes.count == Self.byteCount else { throw .length }
    guard bytes[0] == UInt8(ascii: "C"), bytes[1] == UInt8(ascii: "W") else { throw .magic }
    guard bytes[2] == 1 else { throw .version }
    guard let kind = WrappedKeyKind(rawValue: bytes[3]) else { throw .kind }
    var cursor = ByteCursor(at: 4)
    guard let id = try? cursor.identifier(bytes), let version = try? cursor.u32(bytes),
      let wrappingID = try? cursor.identifier(bytes), let wrappingVersion = try? cursor.u32(bytes)
    else { throw .length }
    guard (version == 0) == (kind == .dataKey) else { throw .keyVersion }
    guard wrappingVersion >= 1 else { throw .wrappingKeyVersion }
    self.kind = kind
    key = KeyReference(id: id, version: version)
    wrappingKey = KeyReference(id: wrappingID, version: wrappingVersion)
    self.bytes = bytes.copied()
  }

  package var salt: [UInt8] { Array(bytes[44..<68]) }
  package var commitment: Digest { Digest(bytes.span.extracting(68..<100)) }
}

/// Wraps and unwraps keys. Not `Sendable`: one object a thread or event loop.
package final class KeyWrapper {
  private let aead: CommittingAEAD

  package init() throws(CipherUnavailable) { aead = try CommittingAEAD() }

  /// Wraps 32 bytes of key, bound to `binding`: `BindingHash.record`, or for a data key the digest of
  /// `BindingHash.context` with no subject.
  package func wrap(
    _ key: borrowing SecretBytes, kind: WrappedKeyKind, as reference: KeyReference,
    under wrappingKey: borrowing DerivationKey, wrappingKeyReference: KeyReference, binding: Digest
  ) -> WrappedKey {
    let salt = SecureRandom.bytes(CommittingAEAD.saltByteCount)
    return wrap(
      key, kind: kind, as: reference, under: wrappingKey, wrappingKeyReference: wrappingKeyReference,
      binding: binding, salt: salt)
  }

  /// As above with a salt that the caller drew; only tests against vectors choose it.
  package func wrap(
    _ key: borrowing SecretBytes, kind: WrappedKeyKind, as reference: KeyReference,
    under wrappingKey: borrowing DerivationKey, wrappingKeyReference: KeyReference, binding: Digest, salt: [UInt8]
  ) -> WrappedKey {
    precondition(key.count == DerivationKey.byteCount, "a wrapped key holds 32 bytes")
    precondition(salt.count == CommittingAEAD.saltByteCount, "a salt is 24 bytes")
    var writer = ByteWriter(capacity: WrappedKey.boundByteCount)
    writer.raw("CW")
    writer.u8(1)
    writer.u8(kind.rawValue)
    writer.identifier(reference.id)
    writer.u32(reference.version)
    writer.identifier(wrappingKeyReference.id)
    writer.u32(wrappingKeyReference.version)
    writer.raw(salt)
    let bound = writer.bytes
    let extra = binding.inlineBytes
    let sealed = key.withBytes { key in
      [UInt8](rawCapacity: WrappedKey.byteCount) { output in
        output.append(contentsOf: bound.span)
        aead.seal(
          key, suite: .aes256GCM, label: .wrap, key: wrappingKey, bound: bound.span, extra: extra.span,
          appendingTo: &output)
      }
    }
    aead.scrub()
    guard let wrapped = try? WrappedKey(sealed.span) else { preconditionFailure("versions of a key to wrap are wrong") }
    return wrapped
  }

  /// Unwraps into secret memory what says that it is this key under this wrapping key.
  ///
  /// `reference` is nil where no row names the key: a data key, the store key.
  package func unwrap(
    _ wrapped: WrappedKey, kind: WrappedKeyKind, as reference: KeyReference?,
    under wrappingKey: borrowing DerivationKey, wrappingKeyReference: KeyReference, binding: Digest,
    keeping: SecretBytes.Keeping = .slab
  ) throws(CommittingAEAD.Refusal) -> SecretBytes {
    guard wrapped.kind == kind, wrapped.wrappingKey == wrappingKeyReference,
      reference == nil || wrapped.key == reference
    else { throw .keyOrContext }
    let extra = binding.inlineBytes
    defer { aead.scrub() }
    return try SecretBytes(count: DerivationKey.byteCount, keeping: keeping) { output throws(CommittingAEAD.Refusal) in
      try aead.open(
        wrapped.bytes.span.extracting(WrappedKey.boundByteCount...), suite: .aes256GCM, label: .wrap,
        key: wrappingKey, bound: wrapped.bytes.span.extracting(0..<WrappedKey.boundByteCount), extra: extra.span,
        appendingTo: &output)
    }
  }
}
