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

  /// The text of RFC 7515 §2: the URL's alphabet of RFC 4648 §5, without padding.
  package static func encodeURL(_ bytes: Span<UInt8>) -> String {
    String(decoding: encode(bytes).utf8.filter { $0 != padding }.map(urlCharacter), as: UTF8.self)
  }

  /// What a text of `encodeURL` stands for; nil for everything else, and for bits that belong to no byte.
  package static func decodeURL(_ text: Span<UInt8>) -> [UInt8]? {
    guard text.count % 4 != 1 else { return nil }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.count * 3 / 4)
    var (bits, bitCount) = (UInt32(0), UInt32(0))
    for index in text.indices {
      guard let value = urlValue(text[index]) else { return nil }
      bits = bits << 6 | UInt32(value)
      bitCount += 6
      guard bitCount >= 8 else { continue }
      bitCount -= 8
      bytes.append(UInt8(truncatingIfNeeded: bits >> bitCount))
    }
    guard bits & (1 << bitCount - 1) == 0 else { return nil }
    return bytes
  }

  private static func urlCharacter(_ character: UInt8) -> UInt8 {
    switch character {
    case UInt8(ascii: "+"): UInt8(ascii: "-")
    case UInt8(ascii: "/"): UInt8(ascii: "_")
    default: character
    }
  }

  private static func urlValue(_ character: UInt8) -> UInt8? {
    switch character {
    case UInt8(ascii: "-"): return 62
    case UInt8(ascii: "_"): return 63
    case UInt8(ascii: "+"), UInt8(ascii: "/"): return nil
    default:
      let value = values[Int(character)]
      return value < 64 ? value : nil
    }
  }

  /// Characters for so many bytes.
  package static func characterCount(_ byteCount: Int) -> Int { (byteCount + 2) / 3 * 4 }

  /// Appends what `encode` gives, and makes no other copy of it.
  package static func append(_ bytes: Span<UInt8>, to output: inout OutputRawSpan) {
    let letters = alphabet.span
    var start = 0
    while start + 3 <= bytes.count {
      let bits = UInt32(bytes[start]) << 16 | UInt32(bytes[start + 1]) << 8 | UInt32(bytes[start + 2])
      let high = UInt32(letters[Int(bits >> 18)]) << 24 | UInt32(letters[Int(bits >> 12 & 63)]) << 16
      output.append(bigEndian: high | UInt32(letters[Int(bits >> 6 & 63)]) << 8 | UInt32(letters[Int(bits & 63)]))
      start += 3
    }
    let left = bytes.count - start
    guard left > 0 else { return }
    let (a, b) = (bytes[start], left > 1 ? bytes[start + 1] : 0)
    output.append(letters[Int(a >> 2)])
    output.append(letters[Int((a & 3) << 4 | b >> 4)])
    output.append(left > 1 ? letters[Int((b & 15) << 2)] : padding)
    output.append(padding)
  }

  /// Replaces a text by the bytes that it stands for, from its first place on; nil, and any bytes in the place, for what
  /// `decode` refuses.
  package static func decode(_ bytes: inout MutableSpan<UInt8>, in text: Range<Int>) -> Range<Int>? {
    guard text.count.isMultiple(of: 4) else { return nil }
    var end = text.upperBound
    while end > text.lowerBound, text.upperBound - end < 2, bytes[end - 1] == padding { end -= 1 }
    let values = values.span
    var (at, to) = (text.lowerBound, text.lowerBound)
    while at + 4 <= end {
      let (a, b) = (values[Int(bytes[at])], values[Int(bytes[at + 1])])
      let (c, d) = (values[Int(bytes[at + 2])], values[Int(bytes[at + 3])])
      guard (a | b | c | d) < 64 else { return nil }
      bytes[to] = a << 2 | b >> 4
      bytes[to + 1] = b << 4 | c >> 2
      bytes[to + 2] = c << 6 | d
      (at, to) = (at + 4, to + 3)
    }
    guard at < end else { return text.lowerBound..<to }
    // Two or three characters are left: one would have made the whole no multiple of four with its padding.
    let (a, b) = (values[Int(bytes[at])], values[Int(bytes[at + 1])])
    let c = end - at == 3 ? values[Int(bytes[at + 2])] : 0
    guard (a | b | c) < 64, end - at == 3 ? c & 3 == 0 : b & 15 == 0 else { return nil }
    bytes[to] = a << 2 | b >> 4
    if end - at == 3 { bytes[to + 1] = b << 4 | c >> 2 }
    return text.lowerBound..<to + (end - at) - 1
  }
}
