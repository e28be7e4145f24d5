/// What `--json` prints: one line, the fields in the order they were given.
enum JSON {
  case string(String)
  case number(UInt64)
  /// A measure; what is none (NaN, infinity) is null.
  case decimal(Double)
  case bool(Bool)
  case array([JSON])
  case object([(String, JSON)])

  var text: String {
    switch self {
    case .string(let value): Self.quoted(value)
    case .number(let value): String(value)
    case .decimal(let value): value.isFinite ? String(value) : "null"
    case .bool(let value): value ? "true" : "false"
    case .array(let values): "[" + values.map(\.text).joined(separator: ",") + "]"
    case .object(let fields):
      "{" + fields.map { Self.quoted($0) + ":" + $1.text }.joined(separator: ",") + "}"
    }
  }

  private static func quoted(_ value: String) -> String {
    var text = "\""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\"", "\\": text.unicodeScalars.append(contentsOf: ["\\", scalar])
      case "\u{0}"..<" ", "\u{7f}":
        let digits = String(scalar.value, radix: 16)
        text += "\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
      default: text.unicodeScalars.append(scalar)
      }
    }
    return text + "\""
  }
}
