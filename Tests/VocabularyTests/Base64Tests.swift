import ChatelainePrimitives
import ChatelaineVocabulary
import Testing

@Suite("Base 64")
struct Base64Tests {
  /// RFC 4648 §10
  static let vectors = [
    ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy"),
  ]

  static func appended(_ bytes: [UInt8]) -> [UInt8] {
    [UInt8](rawCapacity: Base64.characterCount(bytes.count)) { Base64.append(bytes.span, to: &$0) }
  }

  /// Decoded where it lies, between two other bytes, which stay.
  static func inPlace(_ text: [UInt8]) -> [UInt8]? {
    var all = [1] + text + [2]
    let count = text.count
    var span = all.mutableSpan
    guard let range = Base64.decode(&span, in: 1..<1 + count) else { return nil }
    let bytes = range.map { span[$0] }
    return range.lowerBound == 1 && all.first == 1 && all.last == 2 ? bytes : nil
  }

  @Test("The vectors of RFC 4648 §10, both ways, in place too")
  func standard() {
    for (plain, text) in Self.vectors {
      #expect(Base64.encode(Array(plain.utf8)) == text && Self.appended(Array(plain.utf8)) == Array(text.utf8))
      let text = Array(text.utf8)
      #expect(Base64.decode(text.span) == Array(plain.utf8) && Self.inPlace(text) == Array(plain.utf8))
    }
  }

  @Test("All bytes at all lengths, both ways")
  func everyLength() {
    for count in 0...300 {
      let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 151 &+ count) }
      let text = Self.appended(bytes)
      #expect(text == Array(Base64.encode(bytes).utf8) && Self.inPlace(text) == bytes)
    }
  }

  @Test("Every other text of the same bytes is refused, alike in both ways")
  func strict() {
    for text in ["Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Zm8", "=", "==", "====", "A===", "Zm9v\n", "Zm 9v", "Zm-_", "Zg==Zm9v", "Zm9vZ", "Z===", "\u{e9}A=="] {
      let bytes = Array(text.utf8)
      #expect(Base64.decode(bytes.span) == nil && Self.inPlace(bytes) == nil, "\(text)")
    }
    let all = (0...255).map { UInt8($0) }
    for byte in all {
      let text = Array("Zm9".utf8) + [byte]
      #expect((Base64.decode(text.span) == nil) == (Self.inPlace(text) == nil), "\(byte)")
    }
  }
}
