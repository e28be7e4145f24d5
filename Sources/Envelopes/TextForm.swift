internal import ChatelaineVocabulary

/// The text form of an envelope, for TEXT and JSON columns: `ch1.` and base64url without padding
/// (RFC 4648 §5). One text for each run of bytes; everything else is refused.
package enum TextForm {
  package static let prefix = "ch1."

  /// Why a text is not the text form of anything.
  package enum Malformed: Error, Equatable {
    case prefix
    case character
    case length
    /// The last character carries bits that belong to no byte.
    case trailingBits
  }

  package static func encode(_ bytes: Span<UInt8>) -> [UInt8] {
    var text: [UInt8] = []
    text.reserveCapacity(prefix.utf8.count + (bytes.count * 4 + 2) / 3)
    text.append(contentsOf: prefix.utf8)
    var index = 0
    while index < bytes.count {
      let left = bytes.count - index
      let a = bytes[index]
      let b = left > 1 ? bytes[index + 1] : 0
      let c = left > 2 ? bytes[index + 2] : 0
      text.append(alphabet[Int(a >> 2)])
      text.append(alphabet[Int((a & 3) << 4 | b >> 4)])
      if left > 1 { text.append(alphabet[Int((b & 15) << 2 | c >> 6)]) }
      if left > 2 { text.append(alphabet[Int(c & 63)]) }
      index += 3
    }
    return text
  }

  package static func decode(_ text: Span<UInt8>) throws(Malformed) -> [UInt8] {
    let prefixCount = prefix.utf8.count
    guard text.count >= prefixCount, text.extracting(0..<prefixCount).equals(Array(prefix.utf8)) else { throw .prefix }
    let count = text.count - prefixCount
    guard count > 0, count % 4 != 1 else { throw .length }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count * 3 / 4)
    var bits: UInt32 = 0
    var bitCount = 0
    for index in prefixCount..<text.count {
      let value = values[Int(text[index])]
      guard value < 64 else { throw .character }
      bits = bits << 6 | UInt32(value)
      bitCount += 6
      if bitCount >= 8 {
        bitCount -= 8
        bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(bitCount)))
      }
    }
    guard bits & (1 << UInt32(bitCount) - 1) == 0 else { throw .trailingBits }
    return bytes
  }

  private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
  private static let values: [UInt8] = {
    var table = [UInt8](repeating: 255, count: 256)
    for (value, character) in alphabet.enumerated() { table[Int(character)] = UInt8(value) }
    return table
  }()
}
