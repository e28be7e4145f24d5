import Foundation
import FoundationXML
import Testing

@testable import ChatelaineMeasures

@Suite("Report")
struct ReportTests {
  static func report(_ rates: [Double], cores: Int = 2) -> Report {
    var machine = Machine()
    machine.processor = "A <fast> & \"quoted\" one"
    machine.cores = cores
    machine.versions = ["openssl": "3.0"]
    var row = LoadRow(load: "encrypt 100 B, 1 × 1", server: "chatelaine")
    for rate in rates {
      row.rate.add(rate)
      row.p50.add(1e6 / rate)
      row.p99.add(3e6 / rate)
      row.p999.add(5e6 / rate)
      row.serverCPU.add(20)
      row.clientCPU.add(3)
    }
    var report = Report(machine: machine, run: ["quick": "true"])
    report.loads = [row]
    report.measurements = [
      Measured("seal", unit: "ns", .lower, Series(rates), floor: .init("cipher", Series(rates.map { $0 / 2 })))
    ]
    report.aims = [Aim("a", Series([1, 2, 3]), .atLeast, 2), Aim("b", Series([1, 2, 3]), .atMost, 1), Aim("c", Series([1]), .none)]
    report.skipped = ["the transit floor: no compiler"]
    return report
  }

  @Test("A report comes back from its JSON as it was")
  func roundTrip() throws {
    let report = Self.report([100, 110, 90])
    #expect(try Report(json: report.json()) == report)
  }

  @Test("The report of another version is refused")
  func otherVersion() throws {
    var report = Self.report([1])
    report.version = 2
    let bytes = try report.json()
    #expect(throws: Report.UnknownVersion(version: 2)) { try Report(json: bytes) }
    #expect(throws: (any Error).self) { try Report(json: Data("{}".utf8)) }
  }

  @Test("Medians, spread and ratios are those of the rounds")
  func series() {
    #expect(Series([3, 1, 2]).median == 2 && Series([4, 1, 2, 3]).median == 2.5 && Series().median == 0)
    #expect(Series([3, 1, 2]).low == 1 && Series([3, 1, 2]).high == 3)
    #expect(Series([10, 30]).over(Series([5, 10])).samples == [2, 3])
    #expect(Series([10]).over(Series([0])).samples == [0])
  }

  @Test("An aim is met, missed, or none at all")
  func aims() {
    #expect(Self.report([1]).aims.map(\.isMet) == [true, false, nil])
    #expect(Self.report([1]).text.contains("MISSED"))
  }

  @Test("The table has every row, and what was skipped and why")
  func table() {
    let text = Self.report([41_234, 40_000, 42_000]).text
    #expect(text.contains("encrypt 100 B, 1 × 1") && text.contains("41,234") && text.contains("40,000 to 42,000"))
    #expect(text.contains("skipped: the transit floor: no compiler"))
    #expect(!text.split(separator: "\n").contains { $0.last == " " })
  }

  @Test("Figures are short and keep their sign", arguments: [(0.0, "0"), (0.123, "0.12"), (12.34, "12.3"), (1234.5, "1,235"), (-1_234_567, "-1,234,567")])
  func figures(value: Double, text: String) { #expect(short(value) == text) }
}

@Suite("Comparison")
struct ComparisonTests {
  @Test("Beyond the spread is better or worse, by what the unit wants; within it is the same")
  func verdicts() {
    let old = Series([10, 11, 12])
    #expect(Comparison.verdict(old, Series([13, 14, 15]), .higher) == .better)
    #expect(Comparison.verdict(old, Series([13, 14, 15]), .lower) == .worse)
    #expect(Comparison.verdict(old, Series([7, 8, 9]), .higher) == .worse)
    #expect(Comparison.verdict(old, Series([7, 8, 9]), .lower) == .better)
    #expect(Comparison.verdict(old, Series([12, 14, 15]), .higher) == .same)
    #expect(Comparison.verdict(old, Series(), .higher) == .same)
  }

  @Test("Two reports are matched by name; what only one has is said, and so are two machines")
  func matching() {
    let before = ReportTests.report([100, 101, 102])
    var after = ReportTests.report([200, 201, 202], cores: 4)
    after.measurements.append(Measured("new", unit: "s", .lower, Series([1])))
    let comparison = Comparison(before: before, after: after)
    let rate = comparison.lines.first { $0.unit == "requests/s" }
    #expect(rate?.verdict == .better)
    #expect(comparison.lines.first { $0.name == "seal" }?.verdict == .worse)
    #expect(comparison.unmatched == ["new"])
    #expect(!comparison.isSameMachine && comparison.text.contains("different machines"))
    #expect(Comparison(before: before, after: before).lines.allSatisfy { $0.verdict == .same })
  }
}

@Suite("Plot")
struct PlotTests {
  @Test("The picture is well-formed XML, whatever the machine calls itself, and has every server and load")
  func wellFormed() {
    let report = ReportTests.report([90, 100, 110])
    let svg = Plot(report, loads: ["encrypt 100 B, 1 × 1", "encrypt 100 B, 8 × 1"]).svg
    #expect(Self.isXML(svg))
    #expect(svg.contains(">chatelaine<") && svg.contains(">1 × 1<") && svg.contains("&lt;fast&gt; &amp; &quot;"))
    #expect(!Self.isXML(svg.replacing("&lt;", with: "<")), "the control: an unescaped text is found")
  }

  @Test("Nothing measured, or zero, still draws")
  func empty() {
    #expect(Self.isXML(Plot(Report(machine: Machine(), run: [:]), loads: []).svg))
    #expect(Self.isXML(Plot(ReportTests.report([]), loads: ["encrypt 100 B, 1 × 1"]).svg))
  }

  private static func isXML(_ text: String) -> Bool {
    let parser = XMLParser(data: Data(text.utf8))
    return parser.parse() && parser.parserError == nil
  }
}
