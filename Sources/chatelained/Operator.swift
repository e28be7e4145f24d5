internal import ChatelaineAuditLog
internal import ChatelaineCustody
internal import ChatelaineVocabulary

/// Tells the operator what the service does: one line each on standard error, `time event key=value …`.
///
/// Names of files, versions and counts, and the record that is at fault: never who calls, for whom, or with what. That
/// is the log's.
func tellOperator(_ event: String, _ fields: [(String, String)]) {
  var line = "\(LogClock.system.wall().rfc3339) \(event)"
  for (name, value) in fields { line += " \(name)=\(quoted(value))" }
  printError(line)
}

private func quoted(_ value: String) -> String {
  let plain = printable(value)
  guard plain.contains(" ") || plain.contains("\"") || plain.isEmpty else { return plain }
  return "\"" + plain.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\\\"") + "\""
}
