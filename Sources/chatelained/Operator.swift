internal import ChatelaineAuditLog
internal import ChatelaineCustody
internal import ChatelaineVocabulary
internal import Glibc
internal import Synchronization

/// Tells the operator what the service does: one line each on standard error, `time event key=value …`.
///
/// Names of files, versions and counts, and the record that is at fault: never who calls, for whom, or with what. That
/// is the log's.
func tellOperator(_ event: String, _ fields: [(String, String)]) {
  var line = "\(LogClock.system.wall().rfc3339) \(event)"
  for (name, value) in fields { line += " \(name)=\(quoted(value))" }
  operatorLines.print(line)
}

private let operatorLines = OperatorLines()

/// Standard error, which may be a pipe that nobody reads: a line that would have to wait is left out, for neither a
/// stop nor a new policy may wait for it. The next one that goes out says how many are missing.
private final class OperatorLines: Sendable {
  /// A pipe that is ready takes so many bytes at once (POSIX PIPE_BUF).
  private static let byteCountMax = 4096

  private let missing = Mutex(0)

  func print(_ line: String) {
    missing.withLock { missing in
      guard isReady else { return missing += 1 }
      var text = line
      if missing > 0 { text += "\n\(LogClock.system.wall().rfc3339) lines-left-out count=\(missing)" }
      missing = 0
      let bytes = Array(text.utf8.prefix(Self.byteCountMax - 1)) + [UInt8(ascii: "\n")]
      _ = unsafe bytes.withUnsafeBytes { unsafe write(2, $0.baseAddress, $0.count) }
    }
  }

  private var isReady: Bool {
    var wanted = pollfd(fd: 2, events: Int16(POLLOUT), revents: 0)
    return unsafe poll(&wanted, 1, 0) == 1
  }
}

private func quoted(_ value: String) -> String {
  let plain = printable(value)
  guard plain.contains(" ") || plain.contains("\"") || plain.isEmpty else { return plain }
  return "\"" + plain.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\\\"") + "\""
}
