import ChatelainePrimitives
import ChatelaineSecretMemory
import ChatelaineTestSupport
import ChatelaineVocabulary
import Testing

@Suite("Hashes, comparison and randomness")
struct BytesTests {
  @Test("A hash fed in pieces is the hash of the whole, and a copy of a running hash goes its own way")
  func runningHash() {
    var random = SeededRandom(announcing: "running hash")
    let bytes = random.bytes(10_000)
    for _ in 0..<50 {
      var hash = SHA256()
      var at = 0
      while at < bytes.count {
        let end = min(bytes.count, at + Int.random(in: 0...300, using: &random))
        hash.update(Array(bytes[at..<end]))
        at = end
      }
      let copy = hash
      hash.update([1])
      let (whole, longer) = (copy.finish(), hash.finish())
      #expect(whole.hex == sha256(bytes))
      #expect(longer.hex == sha256(bytes + [1]))
    }
  }

  @Test("A prefix byte is hashed before the rest")
  func prefixByte() {
    let bytes: [UInt8] = [1, 2, 3]
    for prefix: UInt8 in [0, 1, 2, 255] {
      let digest = SHA256.hash(prefix: prefix, bytes.span)
      #expect(digest.hex == sha256([prefix] + bytes))
    }
    let plain = SHA256.hash(bytes.span)
    #expect(plain.hex == sha256(bytes))
  }

  // MUST: FMT-5
  @Test("The constant-time comparison tells every changed bit and every other length")
  func constantTime() {
    let bytes = [UInt8](0..<33)
    func equal(_ a: [UInt8], _ b: [UInt8]) -> Bool { constantTimeEqual(a.span, b.span) }
    #expect(equal(bytes, bytes) && equal([], []))
    for bit in 0..<bytes.count * 8 { #expect(!equal(bytes, bytes.flipping(bit: bit))) }
    #expect(!equal(bytes, Array(bytes.dropLast())) && !equal(bytes, bytes + [0]) && !equal([], [0]))
  }

  @Test(
    "Random bytes do not repeat, and come at every length",
    arguments: [0, 1, 16, 24, 32, 255, 256, 257, 100_000])
  func randomness(count: Int) {
    let (a, b) = (SecureRandom.bytes(count), SecureRandom.bytes(count))
    #expect(a.count == count && b.count == count)
    if count >= 16 { #expect(a != b) }
    if count >= 100_000 { #expect(Set(a).count == 256) }
  }

  @Test("Random secrets do not repeat, and zeros are zeros")
  func randomSecrets() {
    let a = SecretBytes.random(count: 32)
    let b = SecretBytes.random(count: 32, keeping: .sealed)
    let (first, second, zeros) = (a.copied(), b.copied(), SecretBytes.zeros(count: 500).copied())
    #expect(first != second)
    #expect(zeros == [UInt8](repeating: 0, count: 500))
  }

  @Test("Erasing leaves zeros")
  func erasing() {
    var secret = SecretBytes(copying: [UInt8](repeating: 9, count: 77))
    secret.withMutableBytes { erase(&$0) }
    let bytes = secret.copied()
    #expect(bytes == [UInt8](repeating: 0, count: 77))
  }
}
