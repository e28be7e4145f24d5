internal import Glibc

/// How far `--lines` is, while it works, and how quick it was, at the end. On a terminal, or where asked for.
final class LinesMeter {
  private let words: LinesWork.Words
  private let isShown: Bool
  private let bar: ProgressLine?
  /// Where the end is not known, lines are counted in its place.
  private let counts: Bool
  private var shownAt = ContinuousClock.now
  private let start = ContinuousClock.now
  private var lines = 0
  private var bytes = 0

  init(_ words: LinesWork.Words, total: UInt64?, isWanted: Bool) {
    self.words = words
    isShown = isWanted || isatty(2) == 1
    // why: on the terminal that the results go to, a bar would run through them.
    let mayMove = isShown && isatty(1) == 0
    bar = mayMove ? total.map { ProgressLine(total: $0, label: words.doing) } : nil
    counts = mayMove && bar == nil && isatty(2) == 1
  }

  func advance(lines more: Int, bytes moreBytes: Int) {
    lines += more
    bytes += moreBytes
    bar?.advance(UInt64(moreBytes + more))
    guard counts, ContinuousClock.now - shownAt > .milliseconds(200) else { return }
    shownAt = .now
    writeError("\r\(words.doing): \(lines) lines")
  }

  func finish() {
    guard isShown else { return }
    bar?.finish()
    if counts { writeError("\r\u{1b}[K") }
    let seconds = max((ContinuousClock.now - start) / .seconds(1), 0.000_001)
    let rate = Int((Double(lines) / seconds).rounded())
    let hundredths = (seconds * 100).rounded() / 100
    printError("\(words.done) \(lines) lines, \(bytes) bytes in \(hundredths) s: \(rate) lines/s")
  }

  private func writeError(_ text: String) {
    let bytes = Array(text.utf8)
    _ = unsafe bytes.withUnsafeBytes { unsafe write(2, $0.baseAddress, $0.count) }
  }
}
