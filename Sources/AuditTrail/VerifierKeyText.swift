internal import ChatelainePrimitives
internal import ChatelaineVocabulary

/// The text form of a key that notes are checked under, `name+hash+base64` (C2SP signed-note, "Verifier keys"), with
/// an Ed25519 public key of one signature type.
struct VerifierKeyText {
  let name: String
  let publicKey: [UInt8]

  /// Spaces and line ends around the text are left away: it is kept in files, and copied from mails.
  init(parsing text: String, type: UInt8) throws(NoteKey.Malformed) {
    let bytes = Array(text.utf8)
    guard bytes.count <= NoteKey.textBytesMax else { throw .text }
    let blanks: Set<UInt8> = [0x20, 0x09, 0x0a, 0x0d]
    guard let first = bytes.firstIndex(where: { !blanks.contains($0) }),
      let last = bytes.lastIndex(where: { !blanks.contains($0) })
    else { throw .text }
    let parts = bytes[first...last].split(separator: UInt8(ascii: "+"), maxSplits: 2, omittingEmptySubsequences: false)
    guard parts.count == 3, NoteKey.isName(Array(parts[0])), parts[1].count == 8,
      let hash = Hex.decode(String(decoding: parts[1], as: UTF8.self))
    else { throw .text }
    let encoded = Array(parts[2])
    guard let key = Base64.decode(encoded.span), let algorithm = key.first else { throw .text }
    guard algorithm == type else { throw .algorithm }
    guard key.count == 1 + Ed25519.publicKeyByteCount else { throw .text }
    name = String(decoding: parts[0], as: UTF8.self)
    publicKey = Array(key.dropFirst())
    guard Self.id(name, type, publicKey) == hash.reduce(0, { $0 << 8 | UInt32($1) }) else { throw .hash }
  }

  /// The first four bytes of SHA-256(name ‖ 0x0a ‖ type ‖ public key).
  static func id(_ name: String, _ type: UInt8, _ publicKey: [UInt8]) -> UInt32 {
    let hash = SHA256.hash(Array(name.utf8) + [0x0a, type] + publicKey)
    return UInt32(hash.words.0 >> 32)
  }

  static func text(_ name: String, _ type: UInt8, _ publicKey: [UInt8]) -> String {
    let id = idBytes(id(name, type, publicKey))
    return "\(name)+\(Hex.encode(id.span))+\(Base64.encode([type] + publicKey))"
  }

  static func idBytes(_ id: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: id >> UInt32(24 - 8 * $0)) } }
}
