/// Lines of cells, the first column to the left and the others to the right.
package struct TextTable: Sendable {
  private var lines: [[String]]

  package init(_ heads: String...) { lines = [heads] }

  package mutating func add(_ cells: String...) { lines.append(cells) }

  package var isEmpty: Bool { lines.count == 1 }

  package var text: String {
    let columns = lines.map(\.count).max() ?? 0
    let widths = (0..<columns).map { column in lines.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0 }
    return lines.map { line in
      let cells = line.enumerated().map { column, cell in
        let space = String(repeating: " ", count: widths[column] - cell.count)
        return column == 0 ? cell + space : space + cell
      }
      return trimmed(cells.joined(separator: "  "))
    }.joined(separator: "\n")
  }

  private func trimmed(_ line: String) -> String {
    var line = line[...]
    while line.last == " " { line.removeLast() }
    return String(line)
  }
}

extension Report {
  /// What a terminal shows.
  package var text: String {
    var parts = [machine.text]
    if !loads.isEmpty { parts.append(loadTable) }
    if !measurements.isEmpty { parts.append(measurementTable) }
    if !aims.isEmpty { parts.append(aimTable) }
    parts += skipped.map { "skipped: \($0)" }
    return parts.joined(separator: "\n\n")
  }

  private var loadTable: String {
    var table = TextTable(
      "load (medians; low to high)", "server", "requests/s", "low to high", "p50 µs", "p99 µs", "p99.9 µs",
      "CPU µs/request", "of the client")
    for row in loads {
      table.add(
        row.load, row.server, short(row.rate.median), "\(short(row.rate.low)) to \(short(row.rate.high))",
        short(row.p50.median), short(row.p99.median), short(row.p999.median), short(row.serverCPU.median),
        short(row.clientCPU.median))
    }
    return table.text
  }

  private var measurementTable: String {
    var table = TextTable("measured", "median", "unit", "low to high", "floor", "", "of floor")
    for row in measurements {
      table.add(
        row.name, short(row.samples.median), row.unit, "\(short(row.samples.low)) to \(short(row.samples.high))",
        row.floor?.name ?? "", row.floor.map { short($0.samples.median) } ?? "",
        row.floor.map { short(row.samples.over($0.samples).median) } ?? "")
    }
    return table.text
  }

  private var aimTable: String {
    var table = TextTable("aim (ratios of the same rounds)", "median", "low to high", "aim", "")
    for aim in aims {
      let limit = aim.bound == .none ? "" : (aim.bound == .atLeast ? "≥ " : "≤ ") + short(aim.limit)
      let verdict = aim.isMet.map { $0 ? "met" : "MISSED" } ?? ""
      table.add(
        aim.name, short(aim.samples.median), "\(short(aim.samples.low)) to \(short(aim.samples.high))", limit, verdict)
    }
    return table.text
  }
}
