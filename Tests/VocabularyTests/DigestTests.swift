import ChatelaineTestSupport
import ChatelaineVocabulary
import Testing

@Suite("Digests, identifiers and hexadecimal")
struct DigestTests {
  static let digestHex = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
  static let identifierHex = "00112233445566778899aabbccddeeff"

  @Test("A digest reads and writes the same 32 bytes and 64 digits")
  func digestRoundTrip() throws {
    let digest = try #require(Digest(hex: Self.digestHex))
    #expect(digest.bytes == Array(0..<32))
    #expect(digest.hex == Self.digestHex)
    let again = Digest(digest.bytes.span)
    #expect(again == digest)
    #expect(Digest.zero.bytes == [UInt8](repeating: 0, count: 32))
  }

  @Test("An identifier reads and writes the same 16 bytes and 32 digits")
  func identifierRoundTrip() throws {
    let id = try #require(Identifier(hex: Self.identifierHex))
    #expect(id.hex == Self.identifierHex)
    #expect(id == Identifier(high: 0x0011_2233_4455_6677, low: 0x8899_aabb_ccdd_eeff))
    #expect(Identifier.zero.bytes == [UInt8](repeating: 0, count: 16))
  }

  static let wrongDigits: [String] = [
    "", "0", "00", String(digestHex.dropLast()), String(digestHex.dropLast(2)), digestHex + "00",
    digestHex.uppercased(), digestHex.replacing("00", with: "0x"), digestHex.replacing("0a", with: "0g"),
    digestHex.replacing("00", with: " 0"), digestHex.replacing("1f", with: "1\n"),
    String(identifierHex.dropLast(2)),
    identifierHex.uppercased(),
  ]

  @Test("Digits that are not exactly right are no digest and no identifier", arguments: wrongDigits)
  func refusesOtherDigits(text: String) {
    #expect(Digest(hex: text) == nil)
    #expect(Identifier(hex: text) == nil)
  }

  @Test("Order is the order of the bytes, the first byte first and without sign")
  func order() throws {
    var random = SeededRandom(announcing: "digest order")
    let digests = (0..<500).map { _ in Digest(random.bytes(32).span) } + [.zero]
    for (a, b) in zip(digests, digests.dropFirst()) {
      #expect((a < b) == a.bytes.lexicographicallyPrecedes(b.bytes), "\(a.hex) \(b.hex)")
      #expect(!(a < a))
    }
    #expect(Identifier(high: 1, low: 0) > Identifier(high: 0, low: .max))
    #expect(Identifier(high: .max, low: 0) > Identifier(high: 1, low: 0))
  }

  @Test("Digests that differ in one bit are not equal")
  func everyBit() throws {
    let bytes = [UInt8](hex: Self.digestHex)
    let digest = Digest(bytes.span)
    for bit in 0..<256 {
      let other = Digest(bytes.flipping(bit: bit).span)
      #expect(other != digest)
    }
  }

  @Test("Hexadecimal has one spelling for each byte, and refuses every other")
  func hexDigits() {
    let all = Array(UInt8.min ... .max)
    let text = Hex.encode(all.span)
    #expect(Hex.decode(text) == all)
    #expect(Hex.decode("") == [])
    for text in ["0", "0g", "AB", "aB", "\u{ff11}\u{ff11}", "+1", "-1", " 1", "1 ", "0x", "é"] {
      #expect(Hex.decode(text) == nil, "\(text)")
    }
  }

  #if os(Linux)
    @Test("31 or 33 bytes are no digest: that is a bug, and traps")
    func wrongCount() async {
      await #expect(processExitsWith: .failure) { _ = Digest([UInt8](repeating: 0, count: 31).span) }
      await #expect(processExitsWith: .failure) { _ = Digest([UInt8](repeating: 0, count: 33).span) }
      await #expect(processExitsWith: .success) { _ = Digest([UInt8](repeating: 0, count: 32).span) }
    }
  #endif
}
