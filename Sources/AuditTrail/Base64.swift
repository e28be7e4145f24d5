internal import ChatelaineVocabulary

/// Base 64 of RFC 4648 §4, with padding: one text for each run of bytes, everything else is refused.
package enum Base64 {
  private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
  private static let padding = UInt8(ascii: "=")
  /// Of each character, its six bits; 64 for those that stand for none.
  private static let values: [UInt8] = {
    var values = [UInt8](repeating: 64, count: 256)
    for (value, character) in alphabet.enumerated() { values[Int(character)] = UInt8(value) }
    return values
  }()

  package static func encode(_ bytes: Span<UInt8>) -> String {
    var text: [UInt8] = []
    text.reserveCapacity((bytes.count + 2) / 3 * 4)
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let left = bytes.count - start
      let a = bytes[start]
      let b = left > 1 ? bytes[start + 1] : 0
      let c = left > 2 ? bytes[start + 2] : 0
      text.append(alphabet[Int(a >> 2)])
      text.append(alphabet[Int((a & 3) << 4 | b >> 4)])
      text.append(left > 1 ? alphabet[Int((b & 15) << 2 | c >> 6)] : padding)
      text.append(left > 2 ? alphabet[Int(c & 63)] : padding)
    }
    return String(decoding: text, as: UTF8.self)
  }

  package static func encode(_ bytes: [UInt8]) -> String { encode(bytes.span) }

  /// nil for what `encode` writes for no bytes at all, and for bits that belong to no byte.
  package static func decode(_ text: Span<UInt8>) -> [UInt8]? {
    guard text.count.isMultiple(of: 4) else { return nil }
    var end = text.count
    while end > 0, text.count - end < 2, text[end - 1] == padding { end -= 1 }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(end * 3 / 4)
    var (bits, bitCount) = (UInt32(0), UInt32(0))
    for index in 0..<end {
      let value = values[Int(text[index])]
      guard value < 64 else { return nil }
      bits = bits << 6 | UInt32(value)
      bitCount += 6
      guard bitCount >= 8 else { continue }
      bitCount -= 8
      bytes.append(UInt8(truncatingIfNeeded: bits >> bitCount))
    }
    guard bits & (1 << bitCount - 1) == 0 else { return nil }
    return bytes
  }

  /// The digest that a line stands for, or nil.
  static func digest(_ text: [UInt8]) -> Digest? {
    guard text.count == 44, let bytes = decode(text.span), bytes.count == Digest.byteCount else { return nil }
    return Digest(bytes.span)
  }
}
