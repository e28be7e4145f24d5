internal import ChatelainePrimitives
internal import ChatelaineVocabulary

/// A text and signatures under it (C2SP signed-note): the text is worth nothing until a known key's signature holds.
package struct SignedNote: Equatable, Sendable {
  package struct Signature: Equatable, Sendable {
    package let name: String
    package let keyID: UInt32
    /// What the key made, without its id.
    package let bytes: [UInt8]
  }

  package enum Malformed: Error, Equatable {
    case empty
    case tooLong
    /// Not UTF-8, or with control characters.
    case notText
    /// No empty line, or nothing behind it.
    case noSignatures
    case signatureLine
    case tooManySignatures
  }

  /// What a key says of a note.
  package enum Verdict: Equatable, Sendable {
    case valid
    /// It did not sign this note.
    case otherKey
    /// It is named as a signer, and the signature is not its own.
    case invalid
  }

  package static let byteCountMax = 65_536
  package static let signaturesMax = 64
  fileprivate static let lineStart = Array("\u{2014} ".utf8)
  private static let newline = UInt8(ascii: "\n")

  /// With the newline at its end.
  package let text: [UInt8]
  package let signatures: [Signature]

  package init(text: [UInt8], signedBy signer: NoteSigner) {
    precondition(text.last == Self.newline, "a note's text ends in a newline")
    self.text = text
    signatures = [Signature(name: signer.key.name, keyID: signer.key.id, bytes: signer.sign(text))]
  }

  /// A note whose signatures are known; the first are those of its maker.
  init(text: [UInt8], signatures: [Signature]) {
    self.text = text
    self.signatures = signatures
  }

  package init(parsing note: Span<UInt8>) throws(Malformed) {
    guard note.count > 0 else { throw .empty }
    guard note.count <= Self.byteCountMax else { throw .tooLong }
    let bytes = note.copied()
    guard String(validating: bytes, as: UTF8.self) != nil,
      bytes.allSatisfy({ $0 >= 0x20 || $0 == Self.newline })
    else { throw .notText }
    guard let blank = Self.lastEmptyLine(bytes), blank + 1 < bytes.count, bytes.last == Self.newline else {
      throw .noSignatures
    }
    text = Array(bytes[..<blank])
    let lines = bytes[(blank + 1)..<(bytes.count - 1)].split(separator: Self.newline, omittingEmptySubsequences: false)
    guard lines.count <= Self.signaturesMax else { throw .tooManySignatures }
    var signatures: [Signature] = []
    for line in lines { signatures.append(try Self.signature(Array(line))) }
    self.signatures = signatures
  }

  /// Where the newline stands that is a line of its own, behind a text that is not empty.
  private static func lastEmptyLine(_ bytes: [UInt8]) -> Int? {
    bytes.indices.dropFirst(1).last { bytes[$0] == newline && bytes[$0 - 1] == newline && $0 > 1 }
  }

  private static func signature(_ line: [UInt8]) throws(Malformed) -> Signature {
    guard line.starts(with: lineStart) else { throw .signatureLine }
    let parts = line.dropFirst(lineStart.count).split(separator: 0x20, omittingEmptySubsequences: false)
    guard parts.count == 2, NoteKey.isName(Array(parts[0])) else { throw .signatureLine }
    let encoded = Array(parts[1])
    guard let blob = Base64.decode(encoded.span), blob.count > 4 else { throw .signatureLine }
    return Signature(
      name: String(decoding: parts[0], as: UTF8.self), keyID: blob.prefix(4).reduce(0) { $0 << 8 | UInt32($1) },
      bytes: Array(blob.dropFirst(4)))
  }

  package var encoded: [UInt8] { text + [Self.newline] + signatures.flatMap(\.line) }

  /// Every signature that bears the key's name and id must be its own: one that is not spoils the note.
  package func verdict(of key: NoteKey) -> Verdict {
    let own = signatures.filter { $0.keyID == key.id && $0.name.utf8.elementsEqual(key.name.utf8) }
    guard !own.isEmpty else { return .otherKey }
    let text = self.text
    for signature in own {
      let bytes = signature.bytes
      guard Ed25519.isValid(signature: bytes.span, of: text.span, publicKey: key.publicKey.span) else {
        return .invalid
      }
    }
    return .valid
  }
}

extension SignedNote.Signature {
  /// With its newline.
  var line: [UInt8] {
    let blob = Base64.encode(VerifierKeyText.idBytes(keyID) + bytes)
    return SignedNote.lineStart + name.utf8 + Array(" \(blob)\n".utf8)
  }
}

extension SignedNote.Malformed {
  /// What is wrong, in words that follow the name of a file.
  package var words: String {
    switch self {
    case .empty: "it is empty"
    case .tooLong: "it is longer than any note"
    case .notText: "it is no text"
    case .noSignatures: "it ends before its signatures"
    case .signatureLine: "a signature's line is not well formed"
    case .tooManySignatures: "it has too many signatures"
    }
  }
}
