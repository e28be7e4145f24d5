import ChatelaineAuditTrail
import ChatelaineVocabulary
import Testing

/// Text of an entry comes from callers: what a printer makes of it.
struct EntryTextTests {
  // MUST: ENT-16
  @Test func `Printable ASCII is written as it is, the backslash and every other byte as a number`() {
    for byte in UInt8.min...UInt8.max {
      let text = EntryText.escaped([0x61, byte, 0x62])
      if (0x20...0x7e).contains(byte), byte != 0x5c {
        #expect(Array(text.utf8) == [0x61, byte, 0x62])
      } else {
        let digits = Array("0123456789abcdef")
        #expect(text == "a\\x\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])b")
      }
    }
    #expect(EntryText.escaped([]) == "")
  }

  // MUST: ENT-16
  @Test(arguments: [DetailTag.softwareVersion, .note]) func `Text details are escaped too`(_ tag: DetailTag) {
    #expect(AuditEntry.Detail(tag, [0x1b, 0x5b, 0x5c, 0x0a, 0xff]).valueText == #"\x1b[\x5c\x0a\xff"#)
  }

  // MUST: ENT-17
  @Test func `An unknown open number is its field's name and the number`() {
    #expect(Operation(rawValue: 77).word == "operation-77")
    #expect(Outcome(rawValue: 65535).word == "outcome-65535")
    #expect(Reason(rawValue: 99).word == "reason-99")
    #expect(Door(rawValue: 6).word == "door-6")
    #expect(PrincipalKind(rawValue: 255).word == "principal-kind-255")
    #expect(DetailTag(rawValue: 200).word == "detail-200")
  }

  // MUST: ENT-17
  @Test func `An unknown detail is hexadecimal, a known one what its tag says`() {
    #expect(AuditEntry.Detail(DetailTag(rawValue: 200), [0xde, 0x41]).valueText == "de41")
    #expect(AuditEntry.Detail(DetailTag(rawValue: 0), []).valueText == "")
    #expect(AuditEntry.Detail(.segment, [0, 0, 0, 0, 0, 0, 1, 2]).valueText == "258")
    let key = [UInt8](repeating: 0xab, count: 16)
    let name = String(repeating: "ab", count: 16)
    #expect(
      AuditEntry.Detail(.itemKeys, [0, 1] + key + [0, 0, 0, 3, 0, 0, 0xff, 0xff, 0, 0]).valueText
        == "\(name)/3 - \(name)/3")
    for odd: [UInt8] in [[], [0], [0, 1], [0, 0, 0, 0], [0, 0, 0xff], [0, 1] + key + [0, 0, 0, 3, 0, 1]] {
      #expect(AuditEntry.Detail(.itemKeys, odd).valueText == Hex.encode(odd.span))
    }
    #expect(AuditEntry.Detail(.storeRoot, [0xab] + .init(repeating: 0, count: 31)).valueText.hasPrefix("ab00"))
  }
}
