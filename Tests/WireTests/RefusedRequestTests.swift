internal import ChatelaineVocabulary
internal import ChatelaineWire
internal import Testing

/// What is no request, and what the caller is told.
@Suite("Requests that are refused before anything is looked up")
struct RefusedRequestTests {
  static let tenant = field(1, "acme")
  static let key = field(2, "k")

  static func field(_ number: UInt8, _ value: [UInt8]) -> [UInt8] { [number << 3 | 2, UInt8(value.count)] + value }
  static func field(_ number: UInt8, _ value: String) -> [UInt8] { field(number, Array(value.utf8)) }
  static func pair(_ key: String, _ value: String) -> [UInt8] { field(4, field(1, key) + field(2, value)) }

  static func fault(_ method: KeyMethod, _ bytes: [UInt8]) -> CallFault? {
    do throws(CallFault) {
      _ = try KeyCall(method, bytes.span, in: 0..<bytes.count)
      return nil
    } catch { return error }
  }

  @Test("The control: the same request without the fault is read")
  func control() {
    #expect(Self.fault(.encrypt, Self.tenant + Self.key + Self.field(3, "p") + Self.pair("a", "b")) == nil)
  }

  @Test("Row 12: trailing bytes after a valid message")
  func trailing() { #expect(Self.fault(.encrypt, Self.tenant + Self.key + [0]) == .malformed) }

  @Test("Row 13: a field twice, a context key twice")
  func duplicates() {
    #expect(Self.fault(.encrypt, Self.tenant + Self.tenant + Self.key) == .duplicateField(1))
    #expect(
      Self.fault(.encrypt, Self.tenant + Self.key + Self.pair("a", "1") + Self.pair("a", "2"))
        == .context(.duplicateKey))
  }

  @Test("Row 14: a context with too many pairs, too long a key, too long a value")
  func contextLimits() {
    let many = (0..<17).flatMap { Self.pair("k\($0)", "") }
    #expect(Self.fault(.encrypt, Self.tenant + Self.key + many) == .context(.tooManyPairs))
    let long = Self.pair(String(repeating: "k", count: 65), "")
    #expect(Self.fault(.encrypt, Self.tenant + Self.key + long) == .context(.keyLength))
    #expect(Self.fault(.encrypt, Self.tenant + Self.key + Self.pair("", "v")) == .context(.keyLength))
  }

  @Test(
    "Rows 15 to 17: tenants that are no tenants",
    arguments: ["", "a\0b", "../etc", "a\nb", "%00", "a'b", "😀", "a\u{202E}b", "café", "cafe\u{301}", "Acme", ".a", "-a"])
  func tenants(_ text: String) { #expect(Self.fault(.decrypt, Self.field(1, text)) == .tenant) }

  @Test("Row 18: invalid UTF-8 is never repaired")
  func utf8() {
    let bad = Self.field(4, Self.field(1, [0xC3]) + Self.field(2, "v"))
    #expect(Self.fault(.encrypt, Self.tenant + Self.key + bad) == .notUTF8)
    let actor = Self.field(8, Self.field(2, [0xFF]))
    #expect(Self.fault(.encrypt, Self.tenant + Self.key + actor) == .notUTF8)
  }

  @Test("A request id of 15 bytes, and one of zeros, which stand for none")
  func requestIDs() {
    func fault(_ id: [UInt8]) -> CallFault? {
      Self.fault(.encrypt, Self.tenant + Self.key + Self.field(8, Self.field(1, id)))
    }
    #expect(fault([UInt8](repeating: 0, count: 15) + [1]) == nil)
    #expect(fault([UInt8](repeating: 1, count: 15)) == .requestID)
    #expect(fault([UInt8](repeating: 0, count: 16)) == .requestID)
  }

  @Test("Row 20: plaintext at the limit is read, one byte more is not")
  func plaintextLimit() {
    func request(_ count: Int) -> [UInt8] {
      var length: [UInt8] = []
      var rest = count
      while rest >= 0x80 { length.append(UInt8(rest & 0x7F) | 0x80); rest >>= 7 }
      length.append(UInt8(rest))
      return Self.tenant + Self.key + [3 << 3 | 2] + length + [UInt8](repeating: 1, count: count)
    }
    #expect(Self.fault(.encrypt, request(1 << 20)) == nil)
    #expect(Self.fault(.encrypt, request(1 << 20 + 1)) == .plaintextTooLong)
  }

  @Test("Row 21: a caller's nonce or key bytes are not accepted")
  func nonce() { #expect(Self.fault(.encrypt, Self.tenant + Self.key + Self.field(9, "nonce")) == .unknownField(9)) }

  @Test("Row 57: a batch of no item and one of 1,025")
  func batch() {
    #expect(Self.fault(.encryptBatch, Self.tenant + Self.key) == .batchSize)
    let items = [[UInt8]](repeating: Self.field(3, [UInt8]()), count: 1025).flatMap { $0 }
    #expect(Self.fault(.encryptBatch, Self.tenant + Self.key + items) == .batchSize)
    #expect(Self.fault(.encryptBatch, Self.tenant + Self.key + items.dropLast(2)) == nil)
  }

  @Test("A rewrap of nothing, and of two things")
  func rewrap() {
    #expect(Self.fault(.rewrap, Self.tenant) == .notOneToRewrap)
    #expect(Self.fault(.rewrap, Self.tenant + Self.field(3, "e") + Self.field(5, "w")) == .notOneToRewrap)
  }

  @Test("Every cut of a valid request is refused or read, and none crashes")
  func cuts() {
    let whole = Self.tenant + Self.key + Self.field(3, "plaintext") + Self.pair("a", "b")
    var refused = 0
    for count in 0..<whole.count where Self.fault(.encrypt, Array(whole[..<count])) != nil { refused += 1 }
    #expect(refused > whole.count / 2)
  }

  @Test("Every fault has a code and a sentence")
  func sentences() {
    for fault in [CallFault.malformed, .tenant, .plaintextTooLong, .context(.valueLength), .notUTF8] {
      #expect(fault.sentence.hasSuffix("."))
      #expect([ErrorCode.invalidRequest, .limitExceeded].contains(fault.code))
    }
  }
}
