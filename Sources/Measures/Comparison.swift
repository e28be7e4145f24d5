/// Two runs, measurement by measurement: better or worse only where the rounds of one lie wholly beside the other's.
package struct Comparison: Sendable {
  package enum Verdict: String, Sendable { case better, worse, same }

  package struct Line: Equatable, Sendable {
    package let name: String
    package let unit: String
    package let before: Series
    package let after: Series
    package let verdict: Verdict
  }

  package let lines: [Line]
  /// Measured in one of the two only.
  package let unmatched: [String]
  /// Figures of two machines say nothing together.
  package let isSameMachine: Bool

  package init(before: Report, after: Report) {
    let old = Dictionary(before.all.map { ($0.name, $0) }) { first, _ in first }
    let new = after.all
    lines = new.compactMap { now in
      guard let then = old[now.name], then.unit == now.unit else { return nil }
      return Line(
        name: now.name, unit: now.unit, before: then.samples, after: now.samples,
        verdict: Self.verdict(then.samples, now.samples, now.better))
    }
    let common = Set(lines.map(\.name))
    unmatched = Set(old.keys).union(new.map(\.name)).subtracting(common).sorted()
    isSameMachine =
      before.machine.processor == after.machine.processor && before.machine.cores == after.machine.cores
      && before.machine.disk == after.machine.disk
  }

  /// With five rounds each, chance alone sets them apart once in more than a hundred times.
  package static func verdict(_ before: Series, _ after: Series, _ better: Better) -> Verdict {
    guard !before.samples.isEmpty, !after.samples.isEmpty else { return .same }
    if after.low > before.high { return better == .higher ? .better : .worse }
    if after.high < before.low { return better == .higher ? .worse : .better }
    return .same
  }

  package var text: String {
    var table = TextTable("measured", "unit", "before", "low to high", "now", "low to high", "now/before", "")
    for line in lines {
      table.add(
        line.name, line.unit, short(line.before.median), "\(short(line.before.low)) to \(short(line.before.high))",
        short(line.after.median), "\(short(line.after.low)) to \(short(line.after.high))",
        line.before.median == 0 ? "" : short(line.after.median / line.before.median),
        line.verdict == .same ? "" : line.verdict.rawValue)
    }
    func count(_ verdict: Verdict) -> Int { lines.count { $0.verdict == verdict } }
    var parts = [
      table.text, "\(count(.better)) better, \(count(.worse)) worse, \(count(.same)) the same within the spread",
    ]
    if !unmatched.isEmpty { parts.append("in one of the two only: " + unmatched.joined(separator: "; ")) }
    if !isSameMachine { parts.append("The two ran on different machines: nothing here compares the builds.") }
    return parts.joined(separator: "\n")
  }
}

extension Report {
  fileprivate var all: [Measured] { measurements + loads.flatMap(\.measurements) }
}
