internal import Foundation

/// A picture of the loads: requests a second, latency and CPU of each server, as one SVG that needs nothing else.
package struct Plot: Sendable {
  /// One curve over the loads; a load that this server did not have is nil.
  struct Curve: Sendable {
    let name: String
    let color: String
    let isDashed: Bool
    let points: [Series?]
  }

  struct Panel: Sendable {
    let title: String
    let unit: String
    let curves: [Curve]
  }

  private static let colors = ["#0b6e99", "#c2410c", "#5b6470", "#7c3aed", "#15803d"]
  private let loads: [String]
  private let panels: [Panel]
  private let caption: String

  /// Draws the loads with these names, in this order, in every server's row.
  package init(_ report: Report, loads: [String]) {
    self.loads = loads
    caption = report.machine.text
    let rows = report.loads.filter { loads.contains($0.load) }
    var servers: [String] = []
    for row in rows where !servers.contains(row.server) { servers.append(row.server) }
    func curves(_ suffix: String = "", dashed: Bool = false, _ value: (LoadRow) -> Series) -> [Curve] {
      servers.enumerated().map { index, server in
        Curve(
          name: server + suffix, color: Self.colors[index % Self.colors.count], isDashed: dashed,
          points: loads.map { load in rows.first { $0.load == load && $0.server == server }.map(value) })
      }
    }
    panels = [
      Panel(title: "Requests a second", unit: "requests/s", curves: curves { $0.rate }),
      Panel(
        title: "Latency: p50 whole, p99 dashed", unit: "µs",
        curves: curves(" p50") { $0.p50 } + curves(" p99", dashed: true) { $0.p99 }),
      Panel(title: "CPU of the server for each request", unit: "µs", curves: curves { $0.serverCPU }),
    ]
  }

  package var svg: String {
    let height = Frame.height * panels.count + 60
    var parts = [
      """
      <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(Frame.width) \(height)" width="\(Frame.width)" \
      height="\(height)" font-family="system-ui, sans-serif" font-size="13" fill="#1f2933">
      <rect width="100%" height="100%" fill="#ffffff"/>
      """
    ]
    for (index, panel) in panels.enumerated() {
      parts.append("<g transform=\"translate(0 \(Frame.height * index + 10))\">")
      parts.append(Frame(panel: panel, loads: loads).svg)
      parts.append("</g>")
    }
    let caption = Self.wrapped(caption, to: 120)
    for (index, line) in caption.prefix(3).enumerated() {
      parts.append(label(line, x: 92, y: height - 36 + 15 * index, size: 11, color: "#52606d"))
    }
    return (parts + ["</svg>"]).joined(separator: "\n") + "\n"
  }

  private static func wrapped(_ text: String, to width: Int) -> [String] {
    text.split(separator: " ").reduce(into: [""]) { lines, word in
      if lines[lines.count - 1].count + word.count > width { lines.append("") }
      lines[lines.count - 1] += (lines[lines.count - 1].isEmpty ? "" : " ") + word
    }
  }
}

/// One panel: a logarithmic axis, a place a load, a point with its spread for each server.
private struct Frame {
  static let width = 900
  static let height = 330
  private static let (left, right, top, bottom) = (92, 190, 40, 50)

  let panel: Plot.Panel
  let loads: [String]

  private var plotWidth: Int { Self.width - Self.left - Self.right }
  private var plotHeight: Int { Self.height - Self.top - Self.bottom }

  /// Whole powers of ten around all that is drawn.
  private var decades: ClosedRange<Int> {
    let values = panel.curves.flatMap(\.points).compactMap(\.self).flatMap { [$0.low, $0.high] }.filter { $0 > 0 }
    let low = Int(log10(values.min() ?? 1).rounded(.down))
    return low...max(low + 1, Int(log10(values.max() ?? 10).rounded(.up)))
  }

  private func x(_ place: Int, _ curve: Int) -> Double {
    let step = Double(plotWidth) / Double(max(1, loads.count))
    // why: side by side, so that the spreads do not hide each other.
    let shift = (Double(curve) - Double(panel.curves.count - 1) / 2) * min(5, step / 12)
    return Double(Self.left) + step * (Double(place) + 0.5) + shift
  }

  private func y(_ value: Double) -> Double {
    let part = (log10(value) - Double(decades.lowerBound)) / Double(decades.upperBound - decades.lowerBound)
    return Double(Self.top) + Double(plotHeight) * (1 - part)
  }

  var svg: String { ([title] + axes + panel.curves.indices.flatMap { drawn($0) } + legend).joined(separator: "\n") }

  private var title: String { label(panel.title, x: Self.left, y: 22, size: 15, weight: "600") }

  private var axes: [String] {
    var parts: [String] = []
    let end = Self.left + plotWidth
    for decade in decades {
      let at = y(pow(10, Double(decade)))
      parts.append(
        "<line x1=\"\(Self.left)\" x2=\"\(end)\" y1=\"\(round(at))\" y2=\"\(round(at))\" stroke=\"#d9dfe5\"/>")
      parts.append(label(Self.power(decade), x: Self.left - 8, y: Int(at) + 4, anchor: "end"))
    }
    for (place, load) in loads.enumerated() {
      let middle = Int(x(place, 0) + x(place, panel.curves.count - 1)) / 2
      parts.append(label(Self.shortName(load), x: middle, y: Self.top + plotHeight + 22, anchor: "middle"))
    }
    parts.append(label("connections × requests under way on each", x: Self.left + plotWidth / 2,
      y: Self.height - 8, size: 11, anchor: "middle", color: "#52606d"))
    parts.append(label(panel.unit, x: Self.left - 8, y: Self.top - 14, size: 11, anchor: "end", color: "#52606d"))
    return parts
  }

  /// What stands behind what all loads share.
  private static func shortName(_ load: String) -> String {
    load.split(separator: ",").last.map { $0.trimmingPrefix(" ") }.map(String.init) ?? load
  }

  private static func power(_ decade: Int) -> String {
    let value = pow(10, Double(decade))
    return (0..<2).contains(decade) ? "\(Int(value))" : decade < 0 ? "\(value)" : short(value)
  }

  private func drawn(_ index: Int) -> [String] {
    let curve = panel.curves[index]
    let dash = curve.isDashed ? " stroke-dasharray=\"4 4\"" : ""
    var (path, parts) = ([String](), [String]())
    for (place, series) in curve.points.enumerated() {
      guard let series, series.low > 0 else { continue }
      let at = round(x(place, index))
      path.append("\(path.isEmpty ? "M" : "L")\(at) \(round(y(series.median)))")
      parts.append(
        "<line x1=\"\(at)\" x2=\"\(at)\" y1=\"\(round(y(series.low)))\" y2=\"\(round(y(series.high)))\" stroke=\"\(curve.color)\" stroke-opacity=\"0.5\" stroke-width=\"3\"/>")
      parts.append("<circle cx=\"\(at)\" cy=\"\(round(y(series.median)))\" r=\"3.5\" fill=\"\(curve.color)\"/>")
    }
    let line = "<path d=\"\(path.joined(separator: " "))\" fill=\"none\" stroke=\"\(curve.color)\" stroke-width=\"1.5\"\(dash)/>"
    return [line] + parts
  }

  private var legend: [String] {
    let left = Self.left + plotWidth + 16
    return panel.curves.enumerated().flatMap { index, curve in
      let middle = Self.top + 10 + 20 * index
      let dash = curve.isDashed ? " stroke-dasharray=\"4 4\"" : ""
      return [
        "<line x1=\"\(left)\" x2=\"\(left + 22)\" y1=\"\(middle)\" y2=\"\(middle)\" stroke=\"\(curve.color)\" stroke-width=\"2\"\(dash)/>",
        label(curve.name, x: left + 28, y: middle + 4, size: 12),
      ]
    }
  }

  private func round(_ value: Double) -> Double { (value * 10).rounded() / 10 }
}

private func label(
  _ text: String, x: Int, y: Int, size: Int = 13, weight: String = "400", anchor: String = "start",
  color: String = "#1f2933"
) -> String {
  "<text x=\"\(x)\" y=\"\(y)\" font-size=\"\(size)\" font-weight=\"\(weight)\" text-anchor=\"\(anchor)\" fill=\"\(color)\">\(escaped(text))</text>"
}

/// Names come from a machine's files: text of an SVG, and nothing more.
func escaped(_ text: String) -> String {
  text.reduce(into: "") { result, character in
    switch character {
    case "&": result += "&amp;"
    case "<": result += "&lt;"
    case ">": result += "&gt;"
    case "\"": result += "&quot;"
    case let other where other.unicodeScalars.contains { $0.value < 0x20 }: result += " "
    default: result.append(character)
    }
  }
}
