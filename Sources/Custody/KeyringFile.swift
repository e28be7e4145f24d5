internal import ChatelainePrimitives
package import ChatelaineSecretMemory
package import ChatelaineVocabulary

/// The keyring file format, v1: one version of the master key, 128 or 224 bytes.
///
///       0  3 "CK" 01     3  1 seal     4 16 keyring id     20  4 version     24  8 created
///      32 32 key check value = D(master key, "kcv", bytes[4..24))[0..32)
///     seal file:        64 32 master key            96 32 SHA-256 of what is before
///     seal passphrase:  64  4 Argon2id memory KiB   68  4 passes   72 16 Argon2 salt   88 24 salt
///                      112 32 commitment   144 32 ciphertext   176 16 tag   192 32 SHA-256 of what is before
package enum KeyringFile {
  /// What keeps the master key in its file.
  package enum Seal: UInt8, Sendable, CaseIterable {
    /// Nothing but the file's permissions.
    case file = 1
    /// A passphrase, through Argon2id and a committing AEAD.
    case passphrase = 2

    var byteCount: Int { self == .file ? 128 : 224 }
  }

  /// What a file says of itself without being opened.
  package struct Header: Equatable, Sendable {
    package let seal: Seal
    package let key: KeyReference
    package let created: WallTime
    package let keyCheckValue: Digest
    /// nil for a file seal.
    package let cost: Argon2Cost?
  }

  /// Why bytes are not a master key.
  package enum Refusal: Error, Equatable {
    case size
    case magic
    case formatVersion
    case seal
    /// Versions begin at 1.
    case keyVersion
    /// Argon2id cost out of bounds.
    case cost
    /// The checksum or the tag differs: bits have changed.
    case damaged
    case passphraseNeeded
    case wrongPassphrase
    /// The key inside is not the one that the key check value names.
    case wrongKey
    /// The memory for Argon2id, or a cipher, cannot be had here.
    case outOfMemory
  }

  package static let byteCountMax = Seal.passphrase.byteCount
  static let headByteCount = 64
  static let boundByteCount = 112
}

// MARK: Reading

extension KeyringFile {
  /// Parses the public part and compares the checksum of the whole.
  package static func parse(_ file: RawSpan) throws(Refusal) -> Header {
    let bytes = Span<UInt8>(_bytes: file)
    let seal = try parseSeal(bytes)
    let end = bytes.count - Digest.byteCount
    guard SHA256.hash(bytes.extracting(0..<end)) == Digest(bytes.extracting(end...)) else { throw .damaged }
    var cursor = ByteCursor(at: 4)
    guard let id = try? cursor.identifier(bytes), let version = try? cursor.u32(bytes),
      let created = try? cursor.u64(bytes), let keyCheckValue = try? cursor.digest(bytes)
    else { throw .size }
    guard version >= 1 else { throw .keyVersion }
    return Header(
      seal: seal, key: KeyReference(id: id, version: version), created: WallTime(nanoseconds: created),
      keyCheckValue: keyCheckValue, cost: seal == .passphrase ? try parseCost(bytes) : nil)
  }

  /// Opens a file to the key it holds. `passphrase` is not looked at for a file seal.
  package static func open(_ file: RawSpan, passphrase: Passphrase?) throws(Refusal) -> MasterKey {
    let header = try parse(file)
    let secret =
      try header.cost.map { cost throws(Refusal) in
        guard let passphrase else { throw .passphraseNeeded }
        return try unseal(file, cost: cost, passphrase: passphrase)
      } ?? copySecret(file)
    let key = MasterKey(secret, reference: header.key, created: header.created)
    guard constantTimeEqual(key.keyCheckValue.bytes.span, header.keyCheckValue.bytes.span) else {
      throw .wrongKey
    }
    return key
  }

  private static func parseSeal(_ bytes: Span<UInt8>) throws(Refusal) -> Seal {
    guard Seal.allCases.contains(where: { $0.byteCount == bytes.count }) else { throw .size }
    guard bytes[0] == UInt8(ascii: "C"), bytes[1] == UInt8(ascii: "K") else { throw .magic }
    guard bytes[2] == 1 else { throw .formatVersion }
    guard let seal = Seal(rawValue: bytes[3]) else { throw .seal }
    guard bytes.count == seal.byteCount else { throw .size }
    return seal
  }

  private static func parseCost(_ bytes: Span<UInt8>) throws(Refusal) -> Argon2Cost {
    var cursor = ByteCursor(at: headByteCount)
    guard let memoryKiB = try? cursor.u32(bytes), let passes = try? cursor.u32(bytes) else { throw .size }
    guard let cost = Argon2Cost(memoryKiB: memoryKiB, passes: passes) else { throw .cost }
    return cost
  }

  private static func copySecret(_ file: RawSpan) -> SecretBytes {
    SecretBytes(count: MasterKey.byteCount, keeping: .sealed) {
      $0.append(contentsOf: file.extracting(headByteCount..<headByteCount + MasterKey.byteCount))
    }
  }

  private static func unseal(
    _ file: RawSpan, cost: Argon2Cost, passphrase: Passphrase
  ) throws(Refusal) -> SecretBytes {
    let bytes = Span<UInt8>(_bytes: file)
    let key = try passphrase.deriveKey(salt: bytes.extracting(72..<88), cost: cost)
    guard let aead = try? CommittingAEAD() else { throw .outOfMemory }
    do throws(CommittingAEAD.Refusal) {
      return try SecretBytes(count: MasterKey.byteCount, keeping: .sealed) {
        output throws(CommittingAEAD.Refusal) in
        try aead.open(
          bytes.extracting(boundByteCount..<192), suite: .xchacha20Poly1305, label: .seal, key: key,
          bound: bytes.extracting(0..<boundByteCount), extra: Span(), appendingTo: &output)
      }
    } catch {
      switch error {
      case .keyOrContext: throw .wrongPassphrase
      case .body: throw .damaged
      }
    }
  }
}

// MARK: Writing

extension KeyringFile {
  /// The random parts of a passphrase seal; only tests against vectors choose them.
  package struct Salts: Sendable {
    package let argon2: [UInt8]
    package let seal: [UInt8]

    package init(argon2: [UInt8], seal: [UInt8]) {
      self.argon2 = argon2
      self.seal = seal
    }

    package static func fresh() -> Salts {
      Salts(
        argon2: SecureRandom.bytes(Argon2id.saltByteCount),
        seal: SecureRandom.bytes(CommittingAEAD.saltByteCount))
    }
  }

  /// The bytes of a file whose only seal is its permissions.
  package static func encode(_ key: MasterKey) -> SecretBytes {
    SecretBytes(count: Seal.file.byteCount) { output in
      output.append(contentsOf: head(key, .file).bytes.span)
      key.secret.withBytes { output.append(contentsOf: $0) }
      appendChecksum(to: &output)
    }
  }

  /// The bytes of a file sealed by a passphrase.
  package static func encode(
    _ key: MasterKey, passphrase: Passphrase, cost: Argon2Cost, salts: Salts = .fresh()
  ) throws(Refusal) -> SecretBytes {
    var bound = head(key, .passphrase)
    bound.u32(cost.memoryKiB)
    bound.u32(cost.passes)
    bound.raw(salts.argon2)
    bound.raw(salts.seal)
    let sealing = try passphrase.deriveKey(salt: salts.argon2.span, cost: cost)
    guard let aead = try? CommittingAEAD() else { throw .outOfMemory }
    return SecretBytes(count: Seal.passphrase.byteCount) { output in
      output.append(contentsOf: bound.bytes.span)
      key.secret.withBytes { secret in
        aead.seal(
          secret, suite: .xchacha20Poly1305, label: .seal, key: sealing, bound: bound.bytes.span,
          extra: Span(),
          appendingTo: &output)
      }
      appendChecksum(to: &output)
    }
  }

  private static func head(_ key: MasterKey, _ seal: Seal) -> ByteWriter {
    var writer = ByteWriter(capacity: boundByteCount)
    writer.raw("CK")
    writer.u8(1)
    writer.u8(seal.rawValue)
    writer.identifier(key.reference.id)
    writer.u32(key.reference.version)
    writer.u64(key.created.nanoseconds)
    writer.digest(key.keyCheckValue)
    return writer
  }

  private static func appendChecksum(to output: inout OutputRawSpan) {
    let digest = SHA256.hash(Span(_bytes: output.bytes))
    output.append(contentsOf: digest.bytes.span)
  }
}
