import ChatelaineAuditLog
import ChatelaineAuditTrail
import ChatelaineLogTestSupport
import ChatelaineTestSupport
import ChatelaineVocabulary
import Foundation
import Testing

/// `chatelaine audit show` as it was built, on entries whose text is not text and whose numbers nobody knows.
struct AuditShowTests {
  static let hostile: [UInt8] = [0x1b, 0x5b, 0x32, 0x4a, 0x5c, 0x0a, 0x22, 0x7f, 0x80, 0xff, 0x00, 0x41]
  static let escaped = #"\x1b[2J\x5c\x0a"\x7f\x80\xff\x00A"#
  static let quoted = #""\x1b[2J\x5c\x0a\"\x7f\x80\xff\x00A""#

  static func entry() throws -> AuditEntry {
    var entry = AuditEntry(.keyUse, Operation(rawValue: 77))
    entry.outcome = Outcome(rawValue: 9)
    entry.reason = Reason(rawValue: 99)
    entry.door = Door(rawValue: 6)
    entry.principalKind = PrincipalKind(rawValue: 250)
    entry.tenant = try TenantID("acme")
    entry.items = [.init(outcome: Outcome(rawValue: 10), reason: Reason(rawValue: 100))]
    entry.principal = hostile
    entry.role = hostile
    entry.rule = hostile
    entry.source = hostile
    entry.actor = hostile
    entry.purpose = hostile
    entry.details = [
      .init(.softwareVersion, hostile), .init(.note, hostile), .init(DetailTag(rawValue: 200), hostile),
    ]
    return entry
  }

  /// What the command prints for a log of that one entry.
  static func show(_ arguments: String..., entry: AuditEntry? = nil) throws -> [UInt8] {
    let folder = try AuditLogTests.Folder()
    do {
      let storage = try folder.storage()
      _ = try LogWriter.create(in: storage, name: "shown", options: .small())
      let (writer, _) = try LogWriter.open(in: storage, options: .small())
      try writer.commit([[EntryDraft(entry ?? Self.entry())]]) { _, _ in }
    }
    let products = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
    let process = Process()
    process.executableURL = products.appending(path: "chatelaine")
    process.arguments = ["audit", "show", "--log", folder.path] + arguments
    let pipe = Pipe()
    process.standardOutput = pipe
    try process.run()
    let output = [UInt8](pipe.fileHandleForReading.readDataToEndOfFile())
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    return output
  }

  // MUST: ENT-16, ENT-17
  @Test func `A line has no byte of a caller's that is not printable, and a number for what it does not know`() throws {
    let output = try Self.show()
    #expect(output.last == 0x0a)
    #expect(output.dropLast().allSatisfy { (0x20...0x7e).contains($0) })
    let line = String(decoding: output.dropLast(), as: UTF8.self)
    for part in [
      " operation-77 ", " outcome-9 ", " \(Self.escaped) ", " reason=reason-99 ", " rule=\(Self.escaped) ",
      " actor=\(Self.quoted) purpose=\(Self.quoted)", " software-version=\(Self.escaped) ",
      " note=\(Self.escaped) ", " detail-200=1b5b324a5c0a227f80ff0041",
    ] {
      #expect(line.contains(part), "\(part)")
    }
  }

  @Test func `No text of a caller's passes for another field, and all of the service's come before it`() throws {
    let forged = "batch-job rule=acme-app purpose=nightly items=1 request=" + String(repeating: "1", count: 32)
    var entry = AuditEntry(.keyUse, .decrypt)
    entry.rule = Array("app".utf8)
    entry.actor = Array(forged.utf8)
    entry.purpose = Array("say \"now\" actor=root".utf8)
    entry.requestID = try #require(Identifier(hex: String(repeating: "2", count: 32)))
    let line = try #require(String(bytes: Self.show(entry: entry), encoding: .utf8)).trimmingCharacters(in: .newlines)
    #expect(forged.contains(" request=1111"), "the control: as it was given it would be one")
    for name in ["request=1", "rule=acme", "items=", "actor=root", "purpose=nightly"] { #expect(!line.contains(name), "\(name)") }
    let escaped = forged.replacingOccurrences(of: "=", with: "\\x3d")
    let (id, said) = (String(repeating: "2", count: 32), #""say \"now\" actor\x3droot""#)
    #expect(line.hasSuffix(" rule=app request=\(id) actor=\"\(escaped)\" purpose=\(said)"))
    entry.actor = Array("nightly-job".utf8)
    entry.purpose = []
    let plain = try #require(String(bytes: Self.show(entry: entry), encoding: .utf8))
    #expect(plain.hasSuffix(" actor=nightly-job\n"), "plain text stays as it is")
  }

  // MUST: ENT-16, ENT-17
  @Test func `As JSON, every text and every unknown number is the same`() throws {
    struct Shown: Decodable {
      struct Item: Decodable { let outcome, reason: String }

      let operation, outcome, reason, door, principalKind: String
      let principal, role, rule, source, actor, purpose: String
      let items: [Item]
      let details: [String: String]
    }
    let output = try Self.show("--json")
    #expect(output.dropLast().allSatisfy { (0x20...0x7e).contains($0) })
    let shown = try JSONDecoder().decode(Shown.self, from: Data(output))
    #expect([shown.operation, shown.outcome, shown.reason] == ["operation-77", "outcome-9", "reason-99"])
    #expect([shown.door, shown.principalKind] == ["door-6", "principal-kind-250"])
    #expect(shown.items.map { [$0.outcome, $0.reason] } == [["outcome-10", "reason-100"]])
    let texts = [shown.principal, shown.role, shown.rule, shown.source, shown.actor, shown.purpose]
    #expect(texts == Array(repeating: Self.escaped, count: 6))
    #expect(
      shown.details == [
        "software-version": Self.escaped, "note": Self.escaped, "detail-200": "1b5b324a5c0a227f80ff0041",
      ])
  }
}
