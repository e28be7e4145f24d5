import ChatelaineTestSupport
import ChatelaineVocabulary
import Testing

@Suite("Names")
struct NameTests {
  static let accepted = [
    "a", "0", "acme", "acme.eu-west_1", "9lives", "a.", "a-", "a_", "a..b", String(repeating: "z", count: 64),
  ]

  /// Text that is no name, and why.
  static let refused: [(text: [UInt8], reason: InvalidName)] = [
    ([], .length),
    (Array(String(repeating: "a", count: 65).utf8), .length),
    (Array("e".utf8) + Array(repeatElement([0xcc, 0x81], count: 100_000).joined()), .length),
    ([0], .character),
    (Array("acme\0".utf8), .character),
    (Array("acme\0evil".utf8), .character),
    (Array("../etc".utf8), .character),
    (Array("a/b".utf8), .character),
    (Array("a/../b".utf8), .character),
    (Array(".".utf8), .character),
    (Array("..".utf8), .character),
    (Array(".hidden".utf8), .character),
    (Array("-rf".utf8), .character),
    (Array("_service".utf8), .character),
    (Array("acme\n".utf8), .character),
    (Array("\nacme".utf8), .character),
    (Array("acme\r\n".utf8), .character),
    (Array("acme%00".utf8), .character),
    (Array("acme'".utf8), .character),
    (Array("acme\"".utf8), .character),
    (Array("acme' OR '1'='1".utf8), .character),
    (Array("acme\\".utf8), .character),
    (Array(" acme".utf8), .character),
    (Array("acme ".utf8), .character),
    (Array("acme\t".utf8), .character),
    (Array("acme\u{7f}".utf8), .character),
    (Array("a\u{1F511}".utf8), .character),
    (Array("\u{1F469}\u{200D}\u{1F4BB}".utf8), .character),
    (Array("acme\u{200F}".utf8), .character),
    (Array("\u{202E}emca".utf8), .character),
    (Array("\u{FEFF}acme".utf8), .character),
    (Array("Acme".utf8), .character),
    (Array("ACME".utf8), .character),
    (Array("caf\u{e9}".utf8), .character),
    (Array("cafe\u{301}".utf8), .character),
    (Array("\u{430}cme".utf8), .character),
    (Array("acme\u{ff0e}".utf8), .character),
    ([0x61, 0xff], .character),
    ([0x61, 0xc0, 0xae], .character),
    ([0xed, 0xa0, 0x80], .character),
  ]

  @Test("A well-formed name is a tenant id and a key name, with the same bytes", arguments: accepted)
  func accepts(text: String) throws {
    #expect(try Array(TenantID(text).rawValue.utf8) == Array(text.utf8))
    #expect(try Array(KeyName(text).rawValue.utf8) == Array(text.utf8))
  }

  @Test("Anything outside the grammar is refused, with its reason", arguments: refused)
  func refuses(text: [UInt8], reason: InvalidName) {
    #expect(throws: reason) { try TenantID(text.span) }
    #expect(throws: reason) { try KeyName(text.span) }
  }

  @Test("A character of 200,001 bytes is one character to Swift, and no name")
  func hugeCharacter() {
    let bytes = Array("e".utf8) + Array(repeatElement([0xcc, 0x81] as [UInt8], count: 100_000).joined())
    #expect(bytes.count == 200_001)
    // The control: a bound in characters would let it through.
    #expect(String(decoding: bytes, as: UTF8.self).count == 1)
    #expect(throws: InvalidName.length) { try TenantID(bytes.span) }
  }

  @Test("Composed and decomposed café are equal to Swift, and neither is a name")
  func canonicalEquivalence() {
    let (composed, decomposed) = ("caf\u{e9}", "cafe\u{301}")
    // The control: a check after `String` could not tell them apart.
    #expect(composed == decomposed)
    #expect(Array(composed.utf8) != Array(decomposed.utf8))
    #expect(throws: InvalidName.character) { try KeyName(composed) }
    #expect(throws: InvalidName.character) { try KeyName(decomposed) }
  }

  @Test("Every single byte is a name or not, as the grammar says, first and later")
  func everyByte() {
    let first = Set("abcdefghijklmnopqrstuvwxyz0123456789".utf8)
    let later = first.union("._-".utf8)
    for byte in UInt8.min ... .max {
      let (alone, second) = (try? TenantID([byte].span), try? TenantID([0x61, byte].span))
      #expect((alone != nil) == first.contains(byte), "byte \(byte) alone")
      #expect((second != nil) == later.contains(byte), "byte \(byte) second")
    }
  }

  @Test("64 bytes are a name and 65 are not")
  func bounds() throws {
    #expect(Limits.nameLengthMax == 64)
    for count in [1, 2, 63, 64] {
      let name = try KeyName([UInt8](repeating: 0x61, count: count).span)
      #expect(name.rawValue.utf8.count == count)
    }
    for count in [0, 65, 66, 255, 256, 320, 65_537] {
      #expect(throws: InvalidName.length) { try KeyName([UInt8](repeating: 0x61, count: count).span) }
    }
  }
}
