internal import Glibc
internal import Synchronization

/// Progress of long work on standard error: a bar on a terminal, a line every ten seconds elsewhere.
final class ProgressLine: Sendable {
  private struct State {
    var done: UInt64 = 0
    var lastShown: UInt64
    var hasShown = false
  }

  private let total: UInt64
  private let label: String
  private let isTerminal = isatty(2) == 1
  private let state: Mutex<State>

  init(total: UInt64, label: String) {
    self.total = max(total, 1)
    self.label = label
    state = Mutex(State(lastShown: milliseconds()))
  }

  func advance(_ amount: UInt64) {
    state.withLock { state in
      state.done += amount
      let now = milliseconds()
      guard now - state.lastShown >= (isTerminal ? 100 : 10_000) else { return }
      state.lastShown = now
      state.hasShown = true
      show(min(state.done, total))
    }
  }

  /// Takes the bar away.
  func finish() {
    guard isTerminal, state.withLock({ $0.hasShown }) else { return }
    writeError("\r\u{1b}[K")
  }

  private func show(_ done: UInt64) {
    let percent = Int(Double(done) / Double(total) * 100)
    guard isTerminal else { return writeError("\(label): \(percent) %\n") }
    let filled = percent * 40 / 100
    let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: 40 - filled)
    writeError("\r\(label) [\(bar)] \(percent) %")
  }

  private func writeError(_ text: String) {
    let bytes = Array(text.utf8)
    _ = unsafe bytes.withUnsafeBytes { unsafe write(2, $0.baseAddress, $0.count) }
  }
}

private func milliseconds() -> UInt64 {
  var time = timespec()
  unsafe clock_gettime(CLOCK_MONOTONIC, &time)
  return UInt64(time.tv_sec) * 1000 + UInt64(time.tv_nsec) / 1_000_000
}
