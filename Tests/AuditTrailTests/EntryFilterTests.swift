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
    #expect(matches { _ in })

    func matches(_ set: (inout EntryFilter) throws -> Void) rethrows -> Bool {
      var filter = EntryFilter()
      try set(&filter)
      return filter.takes(entry)
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
    let isFound = filter.takes(entry)
    filter.outcome = .denied
    let isFoundByAnother = filter.takes(entry)
    #expect(isFound && !isFoundByAnother)
  }

  @Test("A batch over several keys is found by the name of each, once an entry has told the key's id")
  func filterBatchKeys() throws {
    let ids = [Identifier(high: 1, low: 1), Identifier(high: 1, low: 2), Identifier(high: 1, low: 3)]
    func made(_ name: String, _ id: Identifier, tenant: String) throws -> AuditEntry {
      var entry = AuditEntry(.intent, .keyCreate)
      entry.tenant = try TenantID(tenant)
      entry.keyName = try KeyName(name)
      entry.keyID = id
      return entry
    }
    var batch = AuditEntry(.keyUse, .decrypt)
    batch.tenant = try TenantID("acme")
    batch.items = [.init(outcome: .ok), .init(outcome: .ok), .init(outcome: .failed, reason: .header)]
    var keys = ByteWriter()
    keys.u16(2)
    for id in ids[0..<2] {
      keys.identifier(id)
      keys.u32(1)
    }
    for index: UInt16 in [0, 1, 0xffff] { keys.u16(index) }
    batch.details = [.init(.itemKeys, keys.bytes)]

    func finds(_ name: String, _ tenant: String? = nil) throws -> Bool {
      var filter = EntryFilter()
      filter.keyName = try KeyName(name)
      filter.tenant = tenant
      let isFoundTooEarly = filter.takes(batch)
      #expect(!isFoundTooEarly, "the control: no entry has told which key that is")
      _ = filter.takes(try made("a", ids[0], tenant: "acme"))
      _ = filter.takes(try made("b", ids[1], tenant: "acme"))
      _ = filter.takes(try made("c", ids[2], tenant: "acme"))
      _ = filter.takes(try made("d", ids[0], tenant: "other"))
      return filter.takes(batch)
    }
    #expect(try finds("a") && finds("b") && finds("a", "acme"))
    #expect(try !finds("c") && !finds("a", "other") && !finds("d", "acme"))
  }
}
