internal import ChatelaineVocabulary

extension Base64 {
  /// The digest that a line stands for, or nil.
  static func digest(_ text: [UInt8]) -> Digest? {
    guard text.count == 44, let bytes = decode(text.span), bytes.count == Digest.byteCount else { return nil }
    return Digest(bytes.span)
  }
}
