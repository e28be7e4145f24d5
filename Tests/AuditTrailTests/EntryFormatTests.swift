import ChatelaineAuditTrail
import ChatelaineVocabulary
import Foundation
import Testing

/// Entries for other programs: what a caller wrote stays inside of its field, whatever it wrote.
struct EntryFormatTests {
  /// Every byte twice, and what each format gives a meaning, at both ends.
  private static let hostile: [[UInt8]] =
    [#"" ]|\="#, "=1+1", "+1", "-1", "@SUM(A1)", "] x", "a=b c=d", "a|b|10|", "\"", "\\", "\\\"", "\n<1>1 -", "\r\nCEF:0|"]
    .map { Array($0.utf8) } + [Array(0...255), Array((0...255).reversed())]

  private func entry(_ text: [UInt8]) -> AuditEntry {
    var entry = AuditEntry(.keyUse, .decrypt)
    (entry.outcome, entry.reason, entry.sequence) = (.denied, .policy, 41)
    entry.wall = WallTime(nanoseconds: 1_790_000_000_123_456_789)
    entry.tenant = try? TenantID("acme")
    entry.keyName = try? KeyName("pay")
    (entry.actor, entry.purpose, entry.principal, entry.rule) = (text, text, text, text)
    entry.details = [.init(.note, text)]
    return entry
  }

  @Test(arguments: EntryFormat.allCases, hostile) func `A line is printable ASCII, and one line`(
    _ format: EntryFormat, _ text: [UInt8]
  ) {
    let line = format.line(entry(text), leafHash: .zero, host: "vault-1")
    #expect(line.utf8.allSatisfy { (0x20...0x7e).contains($0) })
  }

  @Test(arguments: hostile) func `CSV has as many fields as its heading, and the text in its own`(_ text: [UInt8]) throws {
    let names = try #require(EntryFormat.csv.heading).split(separator: ",").map(String.init)
    let values = try #require(csvFields(EntryFormat.csv.line(entry(text), leafHash: .zero, host: "h")))
    #expect(values.count == names.count)
    for name in ["actor", "purpose", "principal", "rule"] {
      let value = try #require(zip(names, values).first { $0.0 == name }?.1)
      #expect(!"=+-@".contains(value.first ?? "x"), "a spreadsheet takes \(value) for a formula")
      #expect(unescaped(value) == text)
    }
    #expect(zip(names, values).first { $0.0 == "key" }?.1 == "pay")
  }

  @Test(arguments: hostile) func `syslog has one element, and the text as the value of its own parameter`(
    _ text: [UInt8]
  ) throws {
    let line = EntryFormat.syslog.line(entry(text), leafHash: .zero, host: "vault-1")
    let head = "<108>1 2026-09-21T14:13:20.123456Z vault-1 chatelaine - decrypt [chatelaine@32473"
    try #require(line.hasPrefix(head))
    let (parameters, rest) = try #require(syslogParameters(line.dropFirst(head.count)))
    #expect(rest == " decrypt denied acme/pay")
    for name in ["actor", "purpose", "principal", "rule"] {
      #expect(parameters.filter { $0.0 == name }.map { unescaped($0.1) } == [text])
    }
    #expect(parameters.first { $0.0 == "sequence" }?.1 == "41")
  }

  @Test(arguments: hostile) func `CEF has seven parts before its fields, and the text as the value of its own`(
    _ text: [UInt8]
  ) throws {
    let line = EntryFormat.cef.line(entry(text), leafHash: .zero, host: "vault-1")
    let head = "CEF:0|Chatelaine|chatelaine|1|decrypt|decrypt denied acme/pay|6|"
    try #require(line.hasPrefix(head))
    let fields = cefFields(line.dropFirst(head.count))
    for name in ["cs4", "cs5", "msg", "suser"] {
      #expect(fields.filter { $0.0 == name }.map { unescaped($0.1) } == [text])
    }
    #expect(fields.first { $0.0 == "rt" }?.1 == "1790000000123")
    #expect(fields.first { $0.0 == "externalId" }?.1 == "41")
  }

  @Test func `Control: the same text, put in as it is, leaves its field`() throws {
    let plain = entry(Array("X".utf8))
    func forged(_ format: EntryFormat, _ field: String, _ text: String) -> String {
      format.line(plain, leafHash: .zero, host: "h").replacing("\(field)X", with: field + text)
    }
    let syslog = forged(.syslog, "actor=\"", "\" key=\"other")
    let start = try #require(syslog.range(of: "@32473")?.upperBound)
    let parameters = try #require(syslogParameters(syslog[start...])).0
    #expect(parameters.filter { $0.0 == "key" }.map(\.1) == ["pay", "other"])
    #expect(cefFields(forged(.cef, "msg=", "x cs2=other")[...]).filter { $0.0 == "cs2" }.count == 2)
    #expect(csvFields(forged(.csv, "\"", "\",\"other"))?.count != AuditEntry.columnNames.count)
  }

  @Test func `Outcomes have their severities`() {
    var entry = entry([])
    let expected: [(Outcome, String, String)] = [(.ok, "<110>", "|2|"), (.denied, "<108>", "|6|"), (.failed, "<107>", "|5|")]
    for (outcome, syslog, cef) in expected {
      entry.outcome = outcome
      #expect(EntryFormat.syslog.line(entry, leafHash: .zero, host: "h").hasPrefix(syslog))
      #expect(EntryFormat.cef.line(entry, leafHash: .zero, host: "h").contains(cef))
    }
  }

  // MARK: Readers of the formats, from their standards

  /// RFC 4180 §2.
  private func csvFields(_ line: String) -> [String]? {
    var (fields, rest) = ([String](), line[...])
    while true {
      guard rest.popFirst() == "\"" else { return nil }
      var field = ""
      while let character = rest.popFirst() {
        if character != "\"" { field.append(character) }
        else if rest.first == "\"" { field.append(rest.removeFirst()) }
        else { break }
      }
      fields.append(field)
      guard let next = rest.popFirst() else { return fields }
      guard next == "," else { return nil }
    }
  }

  /// RFC 5424 §6.3.3, behind the element's name.
  private func syslogParameters(_ text: Substring) -> ([(String, String)], String)? {
    var (parameters, rest) = ([(String, String)](), text)
    while rest.popFirst() == " " {
      guard let equals = rest.firstIndex(of: "=") else { return nil }
      let name = String(rest[..<equals])
      rest = rest[rest.index(after: equals)...]
      guard rest.popFirst() == "\"" else { return nil }
      var value = ""
      while let character = rest.popFirst(), character != "\"" {
        guard character != "]" else { return nil }
        if character == "\\", let next = rest.first, "\"\\]".contains(next) { value.append(rest.removeFirst()) }
        else { value.append(character) }
      }
      parameters.append((name, value))
    }
    return text[..<rest.startIndex].last == "]" ? (parameters, String(rest)) : nil
  }

  /// A field's name stands before an `=` that is not escaped, its value up to the space before the next name.
  private func cefFields(_ text: Substring) -> [(String, String)] {
    var (fields, name, value, escaped) = ([(String, String)](), "", "", false)
    for character in text {
      if escaped { value.append(character); escaped = false; continue }
      switch character {
      case "\\": escaped = true
      case "=":
        let words = value.split(separator: " ", omittingEmptySubsequences: false)
        if !name.isEmpty { fields.append((name, words.dropLast().joined(separator: " "))) }
        (name, value) = (String(words.last ?? ""), "")
      default: value.append(character)
      }
    }
    return fields + [(name, value)]
  }

  /// What `EntryText.escaped` wrote.
  private func unescaped(_ text: String) -> [UInt8] {
    var (bytes, rest) = ([UInt8](), Array(text.utf8)[...])
    while let byte = rest.popFirst() {
      guard byte == 0x5c, rest.popFirst() == UInt8(ascii: "x") else { bytes.append(byte); continue }
      bytes.append(UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) ?? 0)
      rest = rest.dropFirst(2)
    }
    return bytes
  }
}
