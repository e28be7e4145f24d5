internal import ChatelaineAuditTrail
internal import ChatelaineVocabulary

/// The page: no script, nothing loaded from anywhere, light and dark as the reader's system is.
struct ReportPage {
  enum Result {
    case valid
    case empty
    /// Where the interrupted write is.
    case torn(String)
    /// The first bad place.
    case tampered(String)
  }

  private static let namesShown = 25

  let origin: String
  let result: Result
  let summary: LogSummary
  let entries: UInt64
  let root: Digest
  let lastLeaf: Digest

  var html: String {
    """
    <!DOCTYPE html>
    <html lang="en"><head><meta charset="utf-8">
    <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Key-access log \(text(origin))</title>
    <style>\(Self.style)</style></head><body>
    <h1>Key-access log</h1>
    <p class="origin">\(text(origin))</p>
    \(verdict)
    \(facts)
    <h2>Uses of keys over time</h2>
    \(TimePlot(summary.time).svg)
    \(legend)
    <h2>Operations</h2>
    \(bars(summary.operations.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }, others: nil))
    <h2>Tenants</h2>
    \(bars(summary.tenants, "tenants"))
    <h2>Keys</h2>
    \(bars(summary.keys, "keys"))
    <h2>Principals</h2>
    \(bars(summary.principals, "principals"))
    \(list("Denials", summary.denials, none: "No call was denied."))
    \(list("Failed decryptions", summary.failedDecryptions, none: "Every ciphertext that was permitted opened."))
    \(list("Operators' acts and changes of keys", summary.adminActs, none: "No operator changed anything."))
    \(list("The record itself: starts, stops, recoveries, gaps", summary.service, none: "Nothing."))
    <h2>What was not verified</h2>
    \(Self.limits)
    </body></html>

    """
  }

  // MARK: Parts

  private var verdict: String {
    switch result {
    case .valid: verdict("good", "Valid", "Every entry is as it was written: each link, tree hash, trailer and seal was recomputed from the bytes.")
    case .empty: verdict("neutral", "Empty", "There is nothing to verify.")
    case .torn(let place):
      verdict("neutral", "Valid up to an interrupted write", "At the very end: \(place). A start of the service mends it, and says so in the log.")
    case .tampered(let place):
      verdict("bad", "Tampered", "First bad place: \(place). The figures below are those of the entries before it.")
    }
  }

  private func verdict(_ kind: String, _ word: String, _ sentence: String) -> String {
    "<div class=\"verdict \(kind)\"><strong>\(text(word))</strong><span>\(text(sentence))</span></div>"
  }

  private var facts: String {
    let span = [summary.first, summary.last].map { $0.map { Self.time($0) } ?? "–" }.joined(separator: " to ")
    let classes = summary.classes.filter { $0.count > 0 }.map { "\($0.word) \(Self.number($0.count))" }
    return """
      <table class="facts">
      <tr><th>Entries</th><td>\(Self.number(entries)) (\(text(classes.joined(separator: ", "))))</td></tr>
      <tr><th>Span</th><td>\(text(span)) UTC</td></tr>
      <tr><th>Tree root</th><td><code>\(root.hex)</code></td></tr>
      <tr><th>Last leaf hash</th><td><code>\(lastLeaf.hex)</code></td></tr>
      </table>
      """
  }

  private var legend: String {
    "<p class=\"legend\"><i class=\"ok\"></i> ok <i class=\"denied\"></i> denied <i class=\"failed\"></i> failed</p>"
  }

  private func bars(_ names: LogSummary.Names, _ what: String) -> String {
    let top = names.top(Self.namesShown)
    let note = names.count > top.count ? "The \(top.count) most used of \(Self.number(UInt64(names.count))) \(what)." : nil
    return bars(top, others: names.others.total > 0 ? names.others : nil) + (note.map { "<p>\(text($0))</p>" } ?? "")
  }

  private func bars(_ rows: [(name: String, counts: LogSummary.Counts)], others: LogSummary.Counts?) -> String {
    let rows = rows + (others.map { [("(further ones together)", $0)] } ?? [])
    guard let most = rows.map(\.counts.total).max(), most > 0 else { return "<p>None.</p>" }
    let lines = rows.map { name, counts in
      let parts = [("ok", counts.ok), ("denied", counts.denied), ("failed", counts.failed)].map { kind, count in
        count == 0 ? "" : "<i class=\"\(kind)\" style=\"width:\(Self.percent(count, of: most))\"></i>"
      }
      let cells = [counts.ok, counts.denied, counts.failed].map { "<td class=\"number\">\($0 == 0 ? "·" : Self.number($0))</td>" }
      return "<tr><td>\(text(name))</td>\(cells.joined())<td class=\"bar\">\(parts.joined())</td></tr>"
    }
    return """
      <table class="bars"><tr><th></th><th class="number">ok</th><th class="number">denied</th><th class="number">failed</th><th></th></tr>
      \(lines.joined(separator: "\n"))
      </table>
      """
  }

  private func list(_ title: String, _ kept: LogSummary.Kept, none: String) -> String {
    let head = "<h2>\(text(title))</h2>"
    guard kept.count > 0 else { return head + "<p>\(text(none))</p>" }
    let newest = kept.newest.reversed()
    let note = kept.count > UInt64(newest.count) ? "<p>The newest \(newest.count) of \(Self.number(kept.count)).</p>" : ""
    let rows = newest.map { entry in
      let place = entry.tenantText + (entry.keyName.map { "/" + $0.rawValue } ?? "")
      let cells = [
        "\(entry.sequence)", Self.time(entry.wall), entry.operation.word, entry.outcome.word,
        entry.reason == .none ? "" : entry.reason.word, place, EntryText.escaped(entry.principal),
        EntryText.escaped(entry.actor), entry.requestID == .zero ? "" : entry.requestID.hex,
      ]
      return "<tr>" + cells.map { "<td>\(text($0))</td>" }.joined() + "</tr>"
    }
    let names = ["entry", "time", "operation", "outcome", "reason", "tenant/key", "principal", "actor", "request"]
    return """
      \(head)\(note)<div class="wide"><table class="list"><tr>\(names.map { "<th>\($0)</th>" }.joined())</tr>
      \(rows.joined(separator: "\n"))
      </table></div>
      """
  }

  private static let limits = """
    <ul>
    <li>That the log is the whole one: who holds the disk can cut its end, or put back an older copy. A signed head that
    was kept elsewhere shows that: <code>chatelaine audit verify --head</code>.</li>
    <li>What a caller said of itself: actor and purpose are its own words.</li>
    <li>The clock of the machine that wrote the entries.</li>
    <li>Key material and data: the log holds neither, and this page was made without a key.</li>
    </ul>
    """

  // MARK: Text

  private static func number(_ number: UInt64) -> String {
    let digits = String(number)
    var grouped = ""
    for (index, digit) in digits.enumerated() {
      if index > 0, (digits.count - index).isMultiple(of: 3) { grouped.append(",") }
      grouped.append(digit)
    }
    return grouped
  }

  /// To the second.
  fileprivate static func time(_ time: WallTime) -> String {
    String(time.rfc3339.prefix(19)).replacing("T", with: " ")
  }

  private static func percent(_ count: UInt64, of most: UInt64) -> String {
    let hundredths = max(30, UInt64(Double(count) / Double(most) * 10_000))
    return "\(hundredths / 100).\(hundredths % 100 / 10)%"
  }

  private static let style = """
    :root{color-scheme:light dark;--ink:#1b1f24;--paper:#fff;--soft:#57606a;--line:#d0d7de;--ok:#2f6feb;--denied:#d97706;--failed:#c22f3d;--good:#1a7f37}
    @media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--paper:#0d1117;--soft:#9198a1;--line:#30363d;--ok:#5b9bff;--denied:#f0a63a;--failed:#ff6b72;--good:#3fb950}}
    body{font:15px/1.5 system-ui,"DejaVu Sans",sans-serif;color:var(--ink);background:var(--paper);max-width:1080px;margin:2.5rem auto;padding:0 1.25rem}
    h1{margin:0}h2{margin:2.2rem 0 .6rem;font-size:1.15rem}.origin{color:var(--soft);margin:.2rem 0 1.2rem;overflow-wrap:anywhere}
    .verdict{border:1px solid var(--line);border-left:6px solid var(--soft);border-radius:6px;padding:.8rem 1rem;display:flex;gap:1rem;align-items:baseline}
    .verdict strong{font-size:1.25rem;white-space:nowrap}.good{border-left-color:var(--good)}.good strong{color:var(--good)}
    .bad{border-left-color:var(--failed)}.bad strong{color:var(--failed)}
    table{border-collapse:collapse;width:100%}th{text-align:left;font-weight:600;color:var(--soft)}
    td,th{padding:.22rem .6rem .22rem 0;border-bottom:1px solid var(--line);vertical-align:top}
    .facts{margin-top:1.2rem}.facts th{width:9rem}code{font-size:.85em;overflow-wrap:anywhere}
    .number{text-align:right;font-variant-numeric:tabular-nums;width:5.5rem}.bars td:first-child{max-width:18rem;overflow-wrap:anywhere}
    .bar{width:40%;padding-left:1rem;white-space:nowrap;font-size:0}.bar i{display:inline-block;height:.9rem;vertical-align:middle}
    i.ok{background:var(--ok)}i.denied{background:var(--denied)}i.failed{background:var(--failed)}
    .legend i{display:inline-block;width:.8rem;height:.8rem;margin-left:.8rem}.wide{overflow-x:auto}
    .list{font-size:.85rem}.list td{white-space:nowrap}svg{width:100%;height:auto;display:block}
    svg .ok{fill:var(--ok)}svg .denied{fill:var(--denied)}svg .failed{fill:var(--failed)}svg text{fill:var(--soft);font-size:11px}svg line{stroke:var(--line)}
    """
}

/// Text of an entry comes from callers: printable ASCII by now, and nothing of it is markup.
private func text(_ plain: String) -> String {
  var escaped = ""
  for character in plain {
    switch character {
    case "&": escaped += "&amp;"
    case "<": escaped += "&lt;"
    case ">": escaped += "&gt;"
    case "\"": escaped += "&quot;"
    case "'": escaped += "&#39;"
    default: escaped.append(character)
    }
  }
  return escaped
}

/// Stacked columns: refused and failed uses stand on those that went well.
private struct TimePlot {
  private static let (width, height, left, bottom) = (1040, 220, 56, 24)
  private let columns: [(start: WallTime, counts: LogSummary.Counts)]
  private let seconds: UInt64

  init(_ time: TimeColumns) {
    columns = time.columns
    seconds = time.width / 1_000_000_000
  }

  var svg: String {
    guard let most = columns.map(\.counts.total).max(), most > 0 else { return "<p>No key was used.</p>" }
    let plotted = Double(Self.height - Self.bottom - 10)
    let step = Double(Self.width - Self.left) / Double(columns.count)
    let drawn = columns.enumerated().map { index, column in
      stack(column.counts, x: Double(Self.left) + Double(index) * step, width: max(0.5, step - 1), scale: plotted / Double(most))
    }
    let base = Self.height - Self.bottom
    let label = "Uses of keys, \(most) at most in \(seconds) seconds"
    return """
      <svg viewBox="0 0 \(Self.width) \(Self.height)" role="img" aria-label="\(label)">
      <line x1="\(Self.left)" y1="10" x2="\(Self.width)" y2="10"/><line x1="\(Self.left)" y1="\(base)" x2="\(Self.width)" y2="\(base)"/>
      <text x="\(Self.left - 6)" y="14" text-anchor="end">\(most)</text><text x="\(Self.left - 6)" y="\(base)" text-anchor="end">0</text>
      \(drawn.joined())
      <text x="\(Self.left)" y="\(Self.height - 6)">\(ReportPage.time(columns[0].start))</text>
      <text x="\(Self.width)" y="\(Self.height - 6)" text-anchor="end">\(ReportPage.time(columns[columns.count - 1].start)) · \(seconds) s a column</text>
      </svg>
      """
  }

  private func stack(_ counts: LogSummary.Counts, x: Double, width: Double, scale: Double) -> String {
    var y = Double(Self.height - Self.bottom)
    return [("ok", counts.ok), ("denied", counts.denied), ("failed", counts.failed)].map { kind, count in
      guard count > 0 else { return "" }
      let height = max(1, Double(count) * scale)
      y -= height
      return "<rect class=\"\(kind)\" x=\"\(rounded(x))\" y=\"\(rounded(y))\" width=\"\(rounded(width))\" height=\"\(rounded(height))\"/>"
    }.joined()
  }

  private func rounded(_ value: Double) -> String {
    let tenths = Int((value * 10).rounded())
    return "\(tenths / 10).\(tenths % 10)"
  }
}
