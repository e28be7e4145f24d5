internal import ChatelainePrimitives

/// Who signs notes, as whoever checks them knows it: `name+hash+base64` (C2SP signed-note, "Verifier keys").
package struct NoteKey: Equatable, Sendable {
  package enum Malformed: Error, Equatable {
    case text
    /// The key is of another algorithm than Ed25519.
    case algorithm
    /// The hash is not that of name and key.
    case hash
  }

  package let name: String
  package let id: UInt32
  /// 32 bytes, Ed25519.
  package let publicKey: [UInt8]

  package static let textBytesMax = 512
  private static let ed25519: UInt8 = 1

  /// `name` has neither spaces nor plus signs, and `publicKey` 32 bytes.
  package init(name: String, publicKey: [UInt8]) {
    precondition(Self.isName(Array(name.utf8)) && publicKey.count == Ed25519.publicKeyByteCount)
    self.name = name
    self.publicKey = publicKey
    id = VerifierKeyText.id(name, Self.ed25519, publicKey)
  }

  /// Spaces and line ends around the text are left away: it is kept in files, and copied from mails.
  package init(parsing text: String) throws(Malformed) {
    let parsed = try VerifierKeyText(parsing: text, type: Self.ed25519)
    self.init(name: parsed.name, publicKey: parsed.publicKey)
  }

  package var text: String { VerifierKeyText.text(name, Self.ed25519, publicKey) }

  /// Not empty, and without plus signs, control characters and what Unicode calls a space.
  static func isName(_ bytes: [UInt8]) -> Bool {
    guard let name = String(validating: bytes, as: UTF8.self), !name.isEmpty else { return false }
    return name.unicodeScalars.allSatisfy {
      $0 != "+" && $0.value >= 0x20 && !$0.properties.isWhitespace
    }
  }
}

extension NoteKey.Malformed {
  /// What is wrong and how to mend it, in words that follow the name of a file.
  package var sentence: String {
    switch self {
    case .text: "this is no public key of the form name+hash+base64: give the line that `chatelaine signing-key show` prints"
    case .algorithm: "the public key is of another kind than Ed25519: a newer version made it"
    case .hash: "the public key's hash does not fit: it was cut or changed on its way, copy it again"
    }
  }
}

/// Who signs, for whoever may: the private key stays where the closure has it.
package struct NoteSigner: Sendable {
  package let key: NoteKey
  /// 64 bytes over the text.
  let sign: @Sendable ([UInt8]) -> [UInt8]

  package init(key: NoteKey, sign: @escaping @Sendable ([UInt8]) -> [UInt8]) {
    self.key = key
    self.sign = sign
  }
}
