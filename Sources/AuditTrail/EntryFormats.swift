package import ChatelaineVocabulary

/// Entries for other programs: one line each, printable ASCII alone, with every character that a format gives a meaning
/// escaped as it demands. Text in an entry comes from callers.
package enum EntryFormat: String, CaseIterable, Sendable {
  /// RFC 4180, with a line of names first.
  case csv
  /// RFC 5424, one message a line.
  case syslog
  /// ArcSight's Common Event Format, version 0.
  case cef

  /// What stands before the first entry; nil where nothing does.
  package var heading: String? {
    self == .csv ? AuditEntry.columnNames.joined(separator: ",") : nil
  }

  /// One entry, without the end of the line. `host` is the machine that the log is of; in an epoch behind the first each
  /// entry says which.
  package func line(_ entry: AuditEntry, leafHash: Digest, host: String, epoch: UInt32 = 1) -> String {
    switch self {
    case .csv: entry.columns(leafHash, epoch).map { Self.quoted($0.value) }.joined(separator: ",")
    case .syslog: Self.syslog(entry, leafHash, host, epoch)
    case .cef: Self.cef(entry, leafHash, host, epoch)
    }
  }

  // MARK: CSV

  /// In quotes, with quotes doubled (RFC 4180 §2). A first character that makes a spreadsheet take the rest for a formula
  /// is written as `\xNN`, as every backslash is already.
  private static func quoted(_ value: String) -> String {
    var value = value
    if let first = value.utf8.first, "=+-@".utf8.contains(first) {
      value = "\\x" + Hex.encode([first].span) + value.dropFirst()
    }
    return "\"" + escaping(value, "\"", by: "\"") + "\""
  }

  // MARK: syslog

  /// Facility 13, "log audit" (RFC 5424 §6.2.1).
  private static let facility = 13
  /// Names of elements belong to whoever has an enterprise number; this one is for examples (RFC 5612).
  private static let element = "chatelaine@32473"

  private static func syslog(_ entry: AuditEntry, _ leafHash: Digest, _ host: String, _ epoch: UInt32) -> String {
    let priority = facility * 8 + entry.syslogSeverity
    // why: at most six digits of a second (RFC 5424 §6.2.3).
    let time = entry.wall.rfc3339.dropLast(4) + "Z"
    let parameters = entry.columns(leafHash, epoch).filter { !$0.value.isEmpty && $0.name != "time" }
      .map { " \($0.name)=\"\(escaping($0.value, "\"\\]", by: "\\"))\"" }
    let data = "[\(element)\(parameters.joined())]"
    return "<\(priority)>1 \(time) \(host) chatelaine - \(entry.operation.word.prefix(32)) \(data) \(entry.summary)"
  }

  // MARK: CEF

  private static func cef(_ entry: AuditEntry, _ leafHash: Digest, _ host: String, _ epoch: UInt32) -> String {
    let word = escaping(entry.operation.word, "|\\", by: "\\")
    let head = "CEF:0|Chatelaine|chatelaine|1|\(word)|\(escaping(entry.summary, "|\\", by: "\\"))|\(entry.cefSeverity)|"
    let milliseconds = entry.wall.nanoseconds / 1_000_000
    let fields: [(String, String)] = [
      ("rt", "\(milliseconds)"), ("dvchost", host), ("externalId", entry.placeText(epoch)), ("act", entry.operation.word),
      ("cat", entry.entryClass.word), ("outcome", entry.outcome.word),
      ("reason", entry.reason == .none ? "" : entry.reason.word), ("suser", EntryText.escaped(entry.principal)),
      ("msg", EntryText.escaped(entry.purpose)),
    ]
    let named = [
      ("cs1", "tenant", entry.tenantText), ("cs2", "key", entry.keyName?.rawValue ?? ""),
      ("cs3", "requestId", entry.requestID == .zero ? "" : entry.requestID.hex),
      ("cs4", "rule", EntryText.escaped(entry.rule)), ("cs5", "actor", EntryText.escaped(entry.actor)),
      ("cs6", "leafHash", leafHash.hex), ("cn1", "keyVersion", entry.keyVersion == 0 ? "" : "\(entry.keyVersion)"),
      ("cn2", "items", entry.items.isEmpty ? "" : "\(entry.items.count)"),
    ].filter { !$0.2.isEmpty }.flatMap { [("\($0.0)Label", $0.1), ($0.0, $0.2)] }
    let all = fields.filter { !$0.1.isEmpty } + named
    return head + all.map { "\($0.0)=\(escaping($0.1, "=\\", by: "\\"))" }.joined(separator: " ")
  }

  private static func escaping(_ text: String, _ special: String, by mark: Character) -> String {
    guard text.contains(where: special.contains) else { return text }
    var escaped = ""
    for character in text {
      if special.contains(character) { escaped.append(mark) }
      escaped.append(character)
    }
    return escaped
  }
}

extension AuditEntry {
  /// The tenant's id, or `_service`.
  package var tenantText: String { tenant?.rawValue ?? Self.serviceTenant }

  package static var columnNames: [String] { AuditEntry(.service, .readStatus).columns(.zero, 1).map(\.name) }

  /// The sequence, behind the epoch where that is not the first.
  package func placeText(_ epoch: UInt32) -> String { epoch == 1 ? "\(sequence)" : "\(epoch)/\(sequence)" }

  /// Everything that an entry says, as text without a byte outside of printable ASCII; empty where it says nothing.
  package func columns(_ leafHash: Digest, _ epoch: UInt32) -> [(name: String, value: String)] {
    func text(_ bytes: [UInt8]) -> String { EntryText.escaped(bytes) }
    func number(_ number: some BinaryInteger) -> String { number == 0 ? "" : "\(number)" }
    func hex(_ id: Identifier) -> String { id == .zero ? "" : id.hex }
    return [
      ("sequence", "\(sequence)"), ("time", wall.rfc3339), ("class", entryClass.word), ("operation", operation.word),
      ("outcome", outcome.word), ("reason", reason == .none ? "" : reason.word), ("tenant", tenantText),
      ("key", keyName?.rawValue ?? ""), ("keyId", hex(keyID)), ("keyVersion", number(keyVersion)),
      ("masterVersion", number(masterVersion)), ("storeGeneration", number(storeGeneration)), ("door", door.word),
      ("principalKind", principalKind.word), ("principal", text(principal)), ("role", text(role)), ("rule", text(rule)),
      ("source", text(source)), ("peerPid", number(peerPID)), ("requestId", hex(requestID)),
      ("subjectDigest", subjectDigest?.hex ?? ""), ("items", number(items.count)),
      ("itemsNotOk", number(items.count { $0.outcome != .ok })),
      ("details", details.map { "\($0.tag.word)=\($0.valueText)" }.joined(separator: " ")), ("actor", text(actor)),
      ("purpose", text(purpose)), ("leafHash", leafHash.hex), ("epoch", epoch == 1 ? "" : "\(epoch)"),
    ]
  }

  /// What happened, without a word of a caller's.
  fileprivate var summary: String {
    "\(operation.word) \(outcome.word) \(tenantText)" + (keyName.map { "/" + $0.rawValue } ?? "")
  }

  /// RFC 5424 §6.2.1: 3 error, 4 warning, 6 informational.
  fileprivate var syslogSeverity: Int {
    switch outcome {
    case .failed, .unknown: 3
    case .denied: 4
    default: 6
    }
  }

  /// 0 to 10, higher is graver.
  fileprivate var cefSeverity: Int {
    switch outcome {
    case .failed, .unknown: 5
    case .denied: 6
    default: 2
    }
  }
}
