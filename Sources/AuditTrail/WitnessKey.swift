internal import ChatelainePrimitives

/// An outside witness as whoever checks its cosignatures knows it: `name+hash+base64` with signature type 04 (C2SP
/// tlog-cosignature, Ed25519).
package struct WitnessKey: Equatable, Sendable {
  package let name: String
  package let id: UInt32
  /// 32 bytes, Ed25519.
  package let publicKey: [UInt8]

  private static let cosignature: UInt8 = 4

  /// `name` has neither spaces nor plus signs, and `publicKey` 32 bytes.
  package init(name: String, publicKey: [UInt8]) {
    precondition(NoteKey.isName(Array(name.utf8)) && publicKey.count == Ed25519.publicKeyByteCount)
    self.name = name
    self.publicKey = publicKey
    id = VerifierKeyText.id(name, Self.cosignature, publicKey)
  }

  package init(parsing text: String) throws(NoteKey.Malformed) {
    let parsed = try VerifierKeyText(parsing: text, type: Self.cosignature)
    self.init(name: parsed.name, publicKey: parsed.publicKey)
  }

  package var text: String { VerifierKeyText.text(name, Self.cosignature, publicKey) }

  /// What is wrong with a text that is no such key, in words that follow where it stands.
  package static func sentence(of error: NoteKey.Malformed) -> String {
    switch error {
    case .text: "this is no witness's public key of the form name+hash+base64"
    case .algorithm: "the public key is not a witness's Ed25519 key (signature type 04): a log's key is of type 01, and ML-DSA keys (06) this version does not check"
    case .hash: "the public key's hash does not fit: it was cut or changed on its way, copy it again"
    }
  }
}

/// What a witness says of a note.
package enum Cosigning: Equatable, Sendable {
  /// It did not cosign this note.
  case none
  /// It is named as a cosigner, and a signature is not its own.
  case invalid
  /// It cosigned, most recently so many seconds after 1970 by its own clock.
  case cosigned(seconds: UInt64)
}

extension SignedNote {
  static let cosignatureByteCount = 8 + Ed25519.signatureByteCount

  /// Every signature that bears the key's name and id must be its own: one that is not spoils them all.
  package func cosigning(by key: WitnessKey) -> Cosigning {
    var newest: UInt64?
    for signature in signatures where signature.isNamed(for: key) {
      guard let seconds = signature.time(under: key, of: text) else { return .invalid }
      newest = max(newest ?? 0, seconds)
    }
    return newest.map { .cosigned(seconds: $0) } ?? .none
  }

  /// The note with the cosignatures of a witness's answer behind those it has: only those of `key`, and nothing where
  /// one of these does not hold, or the answer is not made of signature lines.
  package func adding(answer: [UInt8], of key: WitnessKey) throws(Malformed) -> (note: SignedNote, said: Cosigning) {
    let bytes = encoded + answer
    let whole = try SignedNote(parsing: bytes.span)
    let own = whole.signatures.dropFirst(signatures.count).filter { $0.isNamed(for: key) }
    let said = SignedNote(text: text, signatures: Array(own)).cosigning(by: key)
    guard case .cosigned = said else { return (self, said) }
    return (SignedNote(text: text, signatures: signatures.filter { !$0.isNamed(for: key) } + own), said)
  }
}

extension SignedNote.Signature {
  fileprivate func isNamed(for key: WitnessKey) -> Bool { keyID == key.id && name.utf8.elementsEqual(key.name.utf8) }

  /// When it was made, by the witness's clock; nil where it does not hold. The message is the line `cosignature/v1`, the
  /// line `time N`, and the note's text.
  fileprivate func time(under key: WitnessKey, of text: [UInt8]) -> UInt64? {
    guard bytes.count == SignedNote.cosignatureByteCount else { return nil }
    let seconds = bytes.prefix(8).reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
    guard seconds < 1 << 63 else { return nil }
    let message = Array("cosignature/v1\ntime \(seconds)\n".utf8) + text
    let signature = Array(bytes.dropFirst(8))
    let isValid = Ed25519.isValid(signature: signature.span, of: message.span, publicKey: key.publicKey.span)
    return isValid ? seconds : nil
  }
}
