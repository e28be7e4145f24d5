import ChatelainePrimitives
import ChatelaineSecretMemory
import ChatelaineTestSupport
import Testing

/// HMAC-SHA-256, by the vectors of others.
struct HMACSHA256Tests {
  private struct MAC: Decodable, Sendable {
    let tagSize: Int
    let tests: [Test]

    struct Test: Decodable, Sendable {
      let tcId: Int
      let key, msg, tag, result: String
    }
  }

  private func mac(key: [UInt8], _ message: [UInt8]) -> [UInt8] {
    key.span.withRawSpan { key in
      [UInt8](rawCapacity: HMACSHA256.macByteCount) { HMACSHA256.authenticate(message.span, key: key, into: &$0) }
    }
  }

  @Test func `RFC 4231, test cases 1, 2 and 6`() {
    let long = Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8)
    #expect(
      mac(key: [UInt8](repeating: 0x0b, count: 20), Array("Hi There".utf8)).hex
        == "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7")
    #expect(
      mac(key: Array("Jefe".utf8), Array("what do ya want for nothing?".utf8)).hex
        == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
    #expect(
      mac(key: [UInt8](repeating: 0xaa, count: 131), long).hex
        == "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54")
  }

  @Test(.enabled(if: ThirdPartyVectors.areFound, "third-party vectors not found"))
  func `Wycheproof: what is valid is made, what is not is not`() throws {
    let file = try ThirdPartyVectors.load("wycheproof/hmac_sha256_test.json", as: WycheproofFile<MAC>.self)
    var ran = 0
    for group in file.testGroups {
      for test in group.tests {
        let tag = mac(key: .init(hex: test.key), .init(hex: test.msg)).prefix(group.tagSize / 8)
        #expect((Array(tag).hex == test.tag) == (test.result == "valid"), "tcId \(test.tcId)")
        ran += 1
      }
    }
    #expect(ran == 174)
  }
}
