/// Samples of one thing measured, one a round.
struct Series {
  private(set) var samples: [Double] = []

  mutating func add(_ sample: Double) { samples.append(sample) }

  var median: Double { samples.sorted()[samples.count / 2] }
  var low: Double { samples.min() ?? 0 }
  var high: Double { samples.max() ?? 0 }
}

/// What is printed: a row a measurement, with its floor where it has one.
struct Table {
  private struct Row {
    let name: String
    let unit: String
    let series: Series
    let floor: (name: String, series: Series)?
  }

  private var rows: [Row] = []

  mutating func add(_ name: String, unit: String, _ series: Series, floor: (name: String, series: Series)? = nil) {
    rows.append(Row(name: name, unit: unit, series: series, floor: floor))
  }

  var text: String {
    var lines = [columns("measured", "median", "low to high", "floor", "of floor")]
    for row in rows {
      let floor = row.floor.map { "\($0.name) \(short($0.series.median))" } ?? ""
      let ratio = row.floor.map { short(row.series.median / $0.series.median) + " x" } ?? ""
      lines.append(
        columns(
          row.name, "\(short(row.series.median)) \(row.unit)", "\(short(row.series.low)) to \(short(row.series.high))",
          floor, ratio))
    }
    return lines.joined(separator: "\n")
  }

  var json: String {
    let objects = rows.map { row in
      var fields = [
        "\"name\":\"\(row.name)\"", "\"unit\":\"\(row.unit)\"", "\"median\":\(row.series.median)",
        "\"low\":\(row.series.low)", "\"high\":\(row.series.high)",
      ]
      if let floor = row.floor {
        fields += [
          "\"floor\":\"\(floor.name)\"", "\"floorMedian\":\(floor.series.median)",
          "\"ratio\":\(row.series.median / floor.series.median)",
        ]
      }
      return "{" + fields.joined(separator: ",") + "}"
    }
    return "[" + objects.joined(separator: ",\n ") + "]"
  }

  private func columns(_ cells: String...) -> String {
    zip(cells, [44, 18, 22, 42, 8]).map { cell, width in
      cell + String(repeating: " ", count: max(1, width - cell.utf8.count))
    }.joined()
  }

  private func short(_ value: Double) -> String {
    if value >= 1000 { return String(Int(value.rounded())) }
    let scaled = (value * 100).rounded() / 100
    return "\(scaled)"
  }
}
