import ChatelaineClient
import ChatelaineTestSupport
import Testing

@Suite("What the client library says of envelopes") struct EnvelopeDescriptionTests {
  /// AES-256-GCM, key version 1, one byte inside; from docs/formats/envelope.md.
  private let text =
    "ch1.Q0gBAbuusx-_BwIB6UhWUz90uS8AAAAB9OK0xpb2PhWJVh1TX6ztCw2N1YwD64-HSbcfSv7fl3e_n0naUB2MGgELwXSo9oOlEUAF7CjtXhONBdQXYyLFKBsTaK6R83Shkg"

  @Test("An envelope names its suite, its key and its length, in either form")
  func describes() throws {
    let described = try EnvelopeDescription(text: text)
    #expect(described.suite == .aes256GCM)
    #expect(described.suite.description == "AES-256-GCM")
    #expect(described.keyID == "bbaeb31fbf070201e94856533f74b92f")
    #expect(described.keyVersion == 1)
    #expect(described.plaintextByteCount == 1)
    #expect(try EnvelopeDescription(EnvelopeText.decode(text)) == described)
    #expect(try EnvelopeText.encode(EnvelopeText.decode(text)) == text)
  }

  @Test("What is no envelope is refused with a stable code")
  func refuses() throws {
    let bytes = try EnvelopeText.decode(text)
    func code(_ bytes: [UInt8]) -> String? {
      do { _ = try EnvelopeDescription(bytes) } catch let error as EnvelopeDescription.Malformed { return error.code }
      catch { return "\(error)" }
      return nil
    }
    #expect(code(bytes) == nil)
    #expect(code(Array(bytes.prefix(95))) == "tooShort")
    for (index, expected) in [(0, "magic"), (2, "version")] {
      var changed = bytes
      changed[index] ^= 0xff
      #expect(code(changed) == expected)
    }
    for (value, expected) in [(0x03, "suite"), (0x31, "kind"), (0x21, "keyVersion")] {
      var changed = bytes
      changed[3] = UInt8(value)
      #expect(code(changed) == expected)
    }
    #expect(throws: EnvelopeDescription.Malformed(code: "text.prefix")) { try EnvelopeDescription(text: "ch2." + text) }
    #expect(throws: EnvelopeDescription.Malformed(code: "text.character")) { try EnvelopeText.decode("ch1.Q0g=") }
  }
}
