internal import ChatelaineCustody
internal import ChatelaineVocabulary
internal import Glibc

/// Tells the operator what the service does: one line each on standard error, `time event key=value …`.
///
/// Names of files, versions and counts only: never who calls, for whom, or with what. That is the log's.
func tellOperator(_ event: String, _ fields: [(String, String)]) {
  var line = "\(Instant.now()) \(event)"
  for (name, value) in fields { line += " \(name)=\(quoted(value))" }
  printError(line)
}

private func quoted(_ value: String) -> String {
  let plain = printable(value)
  guard plain.contains(" ") || plain.contains("\"") || plain.isEmpty else { return plain }
  return "\"" + plain.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\\\"") + "\""
}

/// The time of day as RFC 3339 has it.
enum Instant {
  static func now() -> String {
    var now = timespec()
    var parts = unsafe tm()
    unsafe clock_gettime(CLOCK_REALTIME, &now)
    unsafe gmtime_r(&now.tv_sec, &parts)
    func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
    return unsafe "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
      + "T\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))Z"
  }
}
