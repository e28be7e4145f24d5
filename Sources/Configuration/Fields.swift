/// The keys of one mapping, each read once by its name and type.
struct Fields {
  /// What stands before its keys in a sentence: `log.` for the keys of `log`.
  private let prefix: String
  private let line: Int
  private let pairs: [(key: String, line: Int, value: Value)]

  /// Refuses a key that is not among `known`.
  init(_ value: Value, of name: String = "", known: [String]) throws(Fault) {
    prefix = name.isEmpty ? "" : name + "."
    line = value.line
    guard case .mapping(let pairs) = value.content else {
      throw Fault(value.line, .type(key: name.isEmpty ? "the file" : name, wanted: .mapping))
    }
    self.pairs = pairs
    for pair in pairs where !known.contains(pair.key) {
      throw Fault(
        pair.line, .unknownKey(prefix + pair.key, nearest: nearest(to: pair.key, of: known), valid: known))
    }
  }

  /// Refuses every version but 1, before any key is looked at: another version may have others.
  static func checkVersion(_ value: Value) throws(Fault) {
    guard case .mapping(let pairs) = value.content else {
      throw Fault(value.line, .type(key: "the file", wanted: .mapping))
    }
    guard let version = pairs.first(where: { $0.key == "version" }) else {
      throw Fault(value.line, .missingKey("version"))
    }
    guard case .text(let text, true) = version.value.content, let number = UInt64(text) else {
      throw Fault(version.line, .type(key: "version", wanted: .number))
    }
    guard number == 1 else { throw Fault(version.line, .version(found: text)) }
  }

  func name(_ key: String) -> String { prefix + key }

  func optional(_ key: String) -> Value? { pairs.first { $0.key == key }?.value }

  func required(_ key: String) throws(Fault) -> Value {
    guard let value = optional(key) else { throw Fault(line, .missingKey(name(key))) }
    return value
  }

  func text(_ key: String) throws(Fault) -> String { try Self.text(try required(key), name(key)) }

  func optionalText(_ key: String) throws(Fault) -> String? {
    guard let value = optional(key) else { return nil }
    return try Self.text(value, name(key))
  }

  /// A text that is not empty. What other readers of YAML take for a truth value or for nothing needs quotes.
  static func text(_ value: Value, _ name: String) throws(Fault) -> String {
    guard case .text(let text, let isPlain) = value.content, !text.isEmpty,
      !(isPlain && notTexts.contains(text.lowercased()))
    else { throw Fault(value.line, .type(key: name, wanted: .text)) }
    return text
  }

  private static let notTexts: Set<String> = ["~", "null", "true", "false", "yes", "no", "on", "off"]

  func number(_ key: String, in range: ClosedRange<UInt64>, default standard: UInt64) throws(Fault) -> UInt64
  {
    guard let value = optional(key) else { return standard }
    guard case .text(let text, true) = value.content, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
      !text.isEmpty
    else { throw Fault(value.line, .type(key: name(key), wanted: .number)) }
    guard let number = UInt64(text), range.contains(number) else {
      throw Fault(value.line, .range(key: name(key), range))
    }
    return number
  }

  func flag(_ key: String) throws(Fault) -> Bool {
    guard let value = optional(key) else { return false }
    switch value.content {
    case .text("true", true): return true
    case .text("false", true): return false
    default: throw Fault(value.line, .type(key: name(key), wanted: .flag))
    }
  }

  /// The texts of a list; one text stands for a list of one. nil where the key is not there.
  func texts(_ key: String) throws(Fault) -> [(text: String, line: Int)]? {
    guard let value = optional(key) else { return nil }
    switch value.content {
    case .text: return [(try Self.text(value, name(key)), value.line)]
    case .mapping: throw Fault(value.line, .type(key: name(key), wanted: .list))
    case .list(let values):
      var texts: [(text: String, line: Int)] = []
      for value in values { texts.append((try Self.text(value, name(key)), value.line)) }
      return texts
    }
  }

  /// Words of a closed list.
  static func word<Word: RawRepresentable & CaseIterable>(
    _ text: String, _ line: Int, _ name: String
  ) throws(Fault) -> Word where Word.RawValue == String {
    if let word = Word(rawValue: text) { return word }
    let valid = Word.allCases.map(\.rawValue)
    throw Fault(line, .word(key: name, found: text, nearest: nearest(to: text, of: valid), valid: valid))
  }
}
