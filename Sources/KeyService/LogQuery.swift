internal import ChatelaineAuditLog
package import ChatelaineAuditTrail
internal import ChatelainePrimitives
package import ChatelaineVocabulary

/// Which entries of the log a reviewer asks for.
package struct LogQuery: Sendable {
  /// Its tenant is the one below.
  package var filter = EntryFilter()
  package var scope = LogScope.everything
  /// nil: all, one after the other.
  package var epoch: UInt32?
  package var isNewestFirst = false
  package var limit = Limits.logPageEntriesMax
  /// Of the page before; empty for the first.
  package var pageToken: [UInt8] = []

  package init() {}

  /// What is asked for besides tenant and key, as the read's own entry says it. No two questions are written the same.
  var words: String {
    var words: [String] = isNewestFirst ? ["newest-first"] : []
    func add(_ name: String, _ value: String?) { if let value { words.append("\(name)=\(value)") } }
    add("epoch", epoch.map(String.init))
    add("principal", filter.principal.map(EntryText.fieldValue))
    add("operation", filter.operation?.word)
    add("outcome", filter.outcome?.word)
    add("request", filter.requestID?.hex)
    add("subject", filter.subject?.hex)
    add("since", filter.since?.rfc3339)
    add("until", filter.until?.rfc3339)
    add("after", filter.after.map(String.init))
    add("before", filter.before.map(String.init))
    add("actor", filter.actor.map { EntryText.fieldValue(Array($0.utf8)) })
    return words.joined(separator: " ")
  }
}

/// Whose entries.
package enum LogScope: Equatable, Sendable {
  /// All that the caller may see.
  case everything
  /// Acts on the whole service.
  case service
  case tenant(TenantID)

  package var tenant: TenantID? { if case .tenant(let tenant) = self { tenant } else { nil } }

  /// As entries have it; nil for everything.
  package var name: String? {
    switch self {
    case .everything: nil
    case .service: AuditEntry.serviceTenant
    case .tenant(let tenant): tenant.rawValue
    }
  }
}

/// Where a page begins, and of which question: 1 form, 16 log, 4 epoch, 8 entry, 8 size, 16 question. Not secret, and
/// permits nothing: what it names is looked up as if somebody had asked for it.
struct LogPageToken: Equatable {
  enum Form: UInt8 {
    case entries = 1
    /// Of a history that has not begun yet, and that has.
    case history = 2
    case begunHistory = 3
  }

  static let byteCount = 53

  var form: Form
  let logID: Identifier
  var epoch: UInt32
  /// The first entry that is not looked at yet; newest first, the one behind it.
  var sequence: UInt64
  /// Of a history: entries that it covers.
  var size: UInt64 = 0
  let question: Identifier

  init(
    _ form: Form, of logID: Identifier, epoch: UInt32, _ sequence: UInt64, size: UInt64 = 0, question: Identifier
  ) {
    (self.form, self.logID, self.epoch, self.sequence) = (form, logID, epoch, sequence)
    (self.size, self.question) = (size, question)
  }

  init?(parsing bytes: [UInt8]) {
    guard bytes.count == Self.byteCount, let form = Form(rawValue: bytes[0]) else { return nil }
    var cursor = ByteCursor(at: 1)
    guard let logID = try? cursor.identifier(bytes.span), let epoch = try? cursor.u32(bytes.span),
      let sequence = try? cursor.u64(bytes.span), let size = try? cursor.u64(bytes.span),
      let question = try? cursor.identifier(bytes.span)
    else { return nil }
    self.init(form, of: logID, epoch: epoch, sequence, size: size, question: question)
  }

  var encoded: [UInt8] {
    var writer = ByteWriter(capacity: Self.byteCount)
    writer.u8(form.rawValue)
    writer.identifier(logID)
    writer.u32(epoch)
    writer.u64(sequence)
    writer.u64(size)
    writer.identifier(question)
    return writer.bytes
  }

  /// The beginning of a hash over what was asked.
  static func question(_ parts: String...) -> Identifier {
    let hash = SHA256.hash(Array(parts.joined(separator: "\n").utf8))
    return Identifier(high: hash.words.0, low: hash.words.1)
  }
}
