import ChatelaineAuditTrail
import ChatelaineVocabulary
import Testing

@Suite("Filters and escapes") struct EntryFilterTests {
  @Test("Nothing outside printable ASCII leaves unescaped, and the backslash cannot pretend")
  func escaping() {
    #expect(EntryText.escaped(Array("plain text, 100 %".utf8)) == "plain text, 100 %")
    #expect(EntryText.escaped(Array("a\nb\u{1b}[2Jc".utf8)) == "a\\x0ab\\x1b[2Jc")
    #expect(EntryText.escaped(Array("\\x0a".utf8)) == "\\x5cx0a")
    #expect(EntryText.escaped([0, 0x7f, 0x80, 0xff]) == "\\x00\\x7f\\x80\\xff")
    #expect(EntryText.escaped(Array("\u{202e}gnp.exe".utf8)) == "\\xe2\\x80\\xaegnp.exe")
    for byte in UInt8.min...UInt8.max {
      #expect(EntryText.escaped([byte]).utf8.allSatisfy { (0x20...0x7e).contains($0) })
    }
  }

  @Test("Two different texts are never shown alike")
  func injective() {
    let texts: [[UInt8]] = [[0x0a], Array("\\x0a".utf8), Array("\\n".utf8), [0x5c, 0x0a], [0x5c]]
    #expect(Set(texts.map(EntryText.escaped)).count == texts.count)
  }

  @Test("A filter shows what it names and nothing else")
  func filter() throws {
    var entry = AuditEntry(.keyUse, .decrypt)
    entry.tenant = try TenantID("acme")
    entry.keyName = try KeyName("payments")
    entry.principal = Array("uid:1000".utf8)
    entry.outcome = .failed
    entry.requestID = Identifier(high: 1, low: 2)
    entry.wall = WallTime(nanoseconds: 1000)
    #expect(EntryFilter().matches(entry))

    func matches(_ set: (inout EntryFilter) throws -> Void) rethrows -> Bool {
      var filter = EntryFilter()
      try set(&filter)
      return filter.matches(entry)
    }
    #expect(matches { $0.tenant = "acme" } && !matches { $0.tenant = "acm" } && !matches { $0.tenant = "_service" })
    #expect(try matches { $0.keyName = try KeyName("payments") } && !matches { $0.keyName = try KeyName("other") })
    #expect(matches { $0.principal = Array("uid:1000".utf8) } && !matches { $0.principal = Array("uid:100".utf8) })
    #expect(matches { $0.operation = .decrypt } && !matches { $0.operation = .encrypt })
    #expect(matches { $0.outcome = .failed } && !matches { $0.outcome = .ok })
    #expect(matches { $0.requestID = Identifier(high: 1, low: 2) } && !matches { $0.requestID = .zero })
    #expect(matches { $0.since = WallTime(nanoseconds: 1000) } && !matches { $0.since = WallTime(nanoseconds: 1001) })
    #expect(matches { $0.until = WallTime(nanoseconds: 1001) } && !matches { $0.until = WallTime(nanoseconds: 1000) })
  }

  @Test("A batch's entry is found by the outcome of any of its items")
  func filterItems() {
    var entry = AuditEntry(.keyUse, .decrypt)
    entry.outcome = .ok
    entry.items = [.init(outcome: .ok), .init(outcome: .failed, reason: .body)]
    var filter = EntryFilter()
    filter.outcome = .failed
    #expect(filter.matches(entry))
    filter.outcome = .denied
    #expect(!filter.matches(entry))
  }
}
