package import ChatelainePrimitives
package import ChatelaineSecretMemory
package import ChatelaineVocabulary

/// One version of the master key, ready to wrap and unwrap.
///
/// A class, so that snapshots of the set can share it; its bytes live in sealed secret memory.
package final class MasterKey: Sendable {
  package static let byteCount = DerivationKey.byteCount

  /// The keyring's id and this version.
  package let reference: KeyReference
  package let created: WallTime
  /// Names the key without telling it: D(key, "kcv", keyring id ‖ version)[0..32).
  package let keyCheckValue: Digest
  package let derivationKey: DerivationKey
  let secret: SecretBytes

  package init(_ secret: consuming SecretBytes, reference: KeyReference, created: WallTime) {
    derivationKey = secret.withBytes { DerivationKey($0) }
    self.secret = secret
    self.reference = reference
    self.created = created
    var info = ByteWriter(capacity: 20)
    info.identifier(reference.id)
    info.u32(reference.version)
    keyCheckValue = derivationKey.derivePublicValue(.keyCheckValue, info.bytes.span)
  }

  /// A fresh random key.
  package static func random(as reference: KeyReference, created: WallTime) -> MasterKey {
    MasterKey(.random(count: byteCount, keeping: .sealed), reference: reference, created: created)
  }
}

/// All versions of one keyring, open.
package struct MasterKeySet: Sendable {
  package let keyringID: Identifier
  /// By version, ascending; never empty.
  package let keys: [MasterKey]

  init(_ keys: [MasterKey]) {
    precondition(!keys.isEmpty, "a keyring holds a key")
    self.keys = keys
    keyringID = keys[0].reference.id
  }

  package var newest: MasterKey { keys[keys.count - 1] }

  /// With one version more, or in the place of one of the same number.
  package func adding(_ key: MasterKey) -> MasterKeySet {
    precondition(key.reference.id == keyringID, "a key of another keyring")
    return MasterKeySet((removing(key.reference.version) + [key]).sorted { $0.reference.version < $1.reference.version })
  }

  /// Without the versions that are not wanted; some one is left.
  package func filter(_ isWanted: (MasterKey) -> Bool) -> MasterKeySet { MasterKeySet(keys.filter(isWanted)) }

  private func removing(_ version: UInt32) -> [MasterKey] { keys.filter { $0.reference.version != version } }

  package subscript(version: UInt32) -> MasterKey? { keys.first { $0.reference.version == version } }
}
