import ChatelaineTestSupport
import ChatelaineVocabulary
import Testing

@Suite("Encryption contexts")
struct EncryptionContextTests {
  static func pair(_ key: String, _ value: String = "") -> EncryptionContext.Pair {
    .init(key: Array(key.utf8), value: Array(value.utf8))
  }

  // MUST: CTX-1, CTX-4
  @Test("Pairs are held sorted by the bytes of their keys, whatever order they came in")
  func sorting() throws {
    let sorted = ["Z", "a", "aa", "ab", "b", "\u{e9}", "\u{ffff}", "\u{10000}"].map {
      Self.pair($0, "v" + $0)
    }
    var random = SeededRandom(announcing: "context order")
    for _ in 0..<100 {
      #expect(try EncryptionContext(sorted.shuffled(using: &random)).pairs == sorted)
    }
    // The control: UTF-16 order would put U+10000 before U+FFFF.
    #expect(Array("\u{10000}".utf16).lexicographicallyPrecedes(Array("\u{ffff}".utf16)))
  }

  // MUST: CTX-2
  @Test("A key that occurs twice is refused, with the same value or another")
  func duplicates() {
    for second in ["v", "w"] {
      #expect(throws: EncryptionContext.Invalid.duplicateKey) {
        try EncryptionContext([Self.pair("k", "v"), Self.pair("a"), Self.pair("k", second)])
      }
    }
  }

  // MUST: CTX-3
  @Test("Keys equal to Swift but different in bytes are two keys")
  func canonicalEquivalence() throws {
    #expect("caf\u{e9}" == "cafe\u{301}")
    let context = try EncryptionContext([Self.pair("caf\u{e9}"), Self.pair("cafe\u{301}"), Self.pair("Cafe")])
    #expect(context.pairs.count == 3)
  }

  @Test("16 pairs are let in and 17 are not")
  func pairCount() throws {
    let pairs = (0..<17).map { Self.pair("k\($0)") }
    #expect(try EncryptionContext(Array(pairs.prefix(16))).pairs.count == 16)
    #expect(throws: EncryptionContext.Invalid.tooManyPairs) { try EncryptionContext(pairs) }
  }

  @Test("Keys have 1 to 64 bytes, values 0 to 1,024")
  func lengths() throws {
    let key = { (count: Int) in [EncryptionContext.Pair(key: .init(repeating: 0, count: count), value: [])] }
    let value = { (count: Int) in [EncryptionContext.Pair(key: [1], value: .init(repeating: 0, count: count))]
    }
    for count in [1, 64] { #expect(try EncryptionContext(key(count)).pairs.count == 1) }
    for count in [0, 65] {
      #expect(throws: EncryptionContext.Invalid.keyLength) { try EncryptionContext(key(count)) }
    }
    for count in [0, 1, 1024] { #expect(try EncryptionContext(value(count)).pairs.count == 1) }
    #expect(throws: EncryptionContext.Invalid.valueLength) { try EncryptionContext(value(1025)) }
  }

  // MUST: CTX-5
  @Test("No pair and a pair with an empty value are different contexts")
  func emptyIsNotAbsent() throws {
    #expect(try EncryptionContext([]) == .empty)
    #expect(try EncryptionContext([Self.pair("k")]) != .empty)
  }
}
