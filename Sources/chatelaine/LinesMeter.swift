internal import Glibc

/// How far `--lines` is, while it works, and how quick it was, at the end. On a terminal, or where asked for.
final class LinesMeter {
  private let words: LinesWork.Words
  private let isShown: Bool
  private let bar: ProgressLine?
  private let start = ContinuousClock.now
  private var lines = 0
  private var bytes = 0

  init(_ words: LinesWork.Words, total: UInt64?, isWanted: Bool) {
    self.words = words
    isShown = isWanted || isatty(2) == 1
    // why: on the terminal that the results go to, a bar would run through them.
    bar = isShown && isatty(1) == 0 ? total.map { ProgressLine(total: $0, label: words.doing) } : nil
  }

  func advance(lines more: Int, bytes moreBytes: Int) {
    lines += more
    bytes += moreBytes
    bar?.advance(UInt64(moreBytes + more))
  }

  func finish() {
    guard isShown else { return }
    bar?.finish()
    let seconds = max((ContinuousClock.now - start) / .seconds(1), 0.000_001)
    let rate = Int((Double(lines) / seconds).rounded())
    let hundredths = (seconds * 100).rounded() / 100
    printError("\(words.done) \(lines) lines, \(bytes) bytes in \(hundredths) s: \(rate) lines/s")
  }
}
