import ChatelaineTestSupport
import Foundation
import Testing

/// Every numbered MUST of docs/formats is cited by a test: `// MUST: ENV-1, ENV-2` above it (`#` in a script), or in
/// its name.
@Suite("Rules of the formats")
struct FormatRulesTests {
  /// Rules that no test can show, and why: none so far.
  static let untestable: [String: String] = [:]

  @Test("Every rule of docs/formats is cited by a test")
  func everyRuleIsCited() throws {
    let rules = try Self.rules(in: Source.all(below: "docs/formats", ending: ["md"]))
    #expect(rules.count > 50)
    let cited = try Self.citations(in: Self.tests())
    let missing = rules.filter { !cited.contains($0) && Self.untestable[$0] == nil }
    #expect(
      missing.isEmpty,
      "\(missing.count) of \(rules.count) cited by no test: \(missing.joined(separator: " "))")
  }

  @Test("Every rule that a test cites is on a page")
  func everyCitationIsARule() throws {
    let rules = try Set(Self.rules(in: Source.all(below: "docs/formats", ending: ["md"])))
    let unknown = try Self.citations(in: Self.tests()).subtracting(rules).sorted()
    #expect(unknown.isEmpty, "\(unknown)")
  }

  @Test("No number of a rule is given twice")
  func numbersAreUnique() throws {
    let rules = try Self.rules(in: Source.all(below: "docs/formats", ending: ["md"]))
    #expect(Set(rules).count == rules.count)
  }

  @Test("The control: only a citation counts, not any mention")
  func control() {
    let page = Source(
      path: "docs/formats/a.md", text: "- **AB-1** One MUST.\n- **AB-2** Two MUST, see AB-7.\n")
    #expect(Self.rules(in: [page]) == ["AB-1", "AB-2"])
    let test = """
      // MUST: AB-1, AB-3
      @Test("Two, by AB-2") func two() {}
      // AB-4 is a mention, "AB-5" a text
      let text = "AB-6"
      """
    #expect(Self.citations(in: [Source(path: "A.swift", text: test)]) == ["AB-1", "AB-2", "AB-3"])
  }

  /// Tests that show something: not these.
  private static func tests() throws -> [Source] {
    try Source.all(below: "Tests", ending: ["swift", "py"]).filter { $0.folder != "TidyTests" }
  }

  static func rules(in pages: [Source]) -> [String] {
    pages.flatMap { $0.text.matches(of: /\*\*([A-Z]+-\d+)\*\*/).map { String($0.1) } }
  }

  static func citations(in tests: [Source]) -> Set<String> {
    var cited = Set<String>()
    for line in tests.flatMap({ $0.text.split(separator: "\n") })
    where line.contains("// MUST:") || line.contains("# MUST:") || line.contains("@Test(") {
      cited.formUnion(line.matches(of: /\b[A-Z]+-\d+\b/).map { String($0.0) }.filter { !isAlgorithm($0) })
    }
    return cited
  }

  /// `SHA-512` in a test's name is no rule.
  private static func isAlgorithm(_ text: String) -> Bool { text.contains(/^(AES|SHA|UTF|HMAC)-/) }
}
