internal import ChatelaineVocabulary
internal import Yams

/// A value of a file, with its line.
struct Value {
  enum Content {
    /// `isPlain`: without quotes.
    case text(String, isPlain: Bool)
    case list([Value])
    case mapping([(key: String, line: Int, value: Value)])
  }

  let line: Int
  let content: Content
}

/// The door to the YAML parser: bytes in, values with lines out. No type is guessed, no value stands for another.
enum YAMLFile {
  static func parse(_ bytes: [UInt8]) throws(Fault) -> Value {
    guard bytes.count <= Limits.configurationBytesMax else {
      throw Fault(nil, .tooLarge(limitBytes: Limits.configurationBytesMax))
    }
    let text = try checkedText(bytes)
    try PlainYAML.check(bytes)
    do {
      let parser = try Parser(yaml: text, resolver: .basic, encoding: .utf8)
      guard let root = try parser.singleRoot() else { throw Fault(nil, .empty) }
      var room = Limits.configurationValuesMax
      let value = try convert(root, &room)
      // why: nodes refer to their anchors weakly, and the parser holds them.
      withExtendedLifetime(parser) {}
      return value
    } catch let error as YamlError {
      throw fault(error, in: text)
    } catch let fault as Fault {
      throw fault
    } catch {
      throw Fault(nil, .syntax("the parser failed"))
    }
  }

  private static func checkedText(_ bytes: [UInt8]) throws(Fault) -> String {
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw Fault(lineThatIsNoText(bytes), .notText)
    }
    var line = 1
    for scalar in text.unicodeScalars {
      if scalar == "\n" { line += 1 }
      guard isText(scalar) else { throw Fault(line, problem(scalar)) }
    }
    return text
  }

  /// By the bytes between the ends of lines, for no character has one within it.
  private static func lineThatIsNoText(_ bytes: [UInt8]) -> Int? {
    let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    return lines.firstIndex { String(validating: $0, as: UTF8.self) == nil }.map { $0 + 1 }
  }

  private static func problem(_ scalar: Unicode.Scalar) -> ConfigurationError.Problem {
    switch scalar {
    case "\r": .carriageReturn
    case "\u{feff}": .byteOrderMark
    default: .controlCharacter(scalar.value)
    }
  }

  /// No control character, and nothing else that only YAML takes for the end of a line or for nothing at all.
  private static func isText(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x09, 0x0a: true
    case 0..<0x20, 0x7f..<0xa0, 0x2028, 0x2029, 0xfeff: false
    default: true
    }
  }

  private static func convert(_ node: Node, _ room: inout Int) throws(Fault) -> Value {
    let line = node.mark?.line ?? 1
    room -= 1
    guard room >= 0 else { throw Fault(line, .tooManyValues(limit: Limits.configurationValuesMax)) }
    // Behind `PlainYAML`: neither of these comes here.
    guard node.anchor == nil else { throw Fault(line, .syntax("found an anchor")) }
    switch node {
    case .alias: throw Fault(line, .syntax("found an alias"))
    case .scalar(let scalar):
      // why: an escape in quotes can name any character.
      guard !scalar.string.utf8.contains(where: { $0 < 0x20 || $0 == 0x7f }) else {
        throw Fault(line, .notText)
      }
      return Value(line: line, content: .text(scalar.string, isPlain: scalar.style == .plain))
    case .sequence(let sequence):
      var values: [Value] = []
      for node in sequence { values.append(try convert(node, &room)) }
      return Value(line: line, content: .list(values))
    case .mapping(let mapping):
      var pairs: [(key: String, line: Int, value: Value)] = []
      for (key, value) in mapping {
        let key = try convert(key, &room)
        guard case .text(let text, _) = key.content else {
          throw Fault(key.line, .type(key: "a key", wanted: .text))
        }
        pairs.append((text, key.line, try convert(value, &room)))
      }
      return Value(line: line, content: .mapping(pairs))
    }
  }

  // MARK: The parser's errors

  private static func fault(_ error: YamlError, in text: String) -> Fault {
    switch error {
    case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
      .composer(_, let problem, let mark, _):
      return Fault(mark.line, .syntax(problem))
    case .reader(let problem, _, _, _): return Fault(nil, .syntax(problem))
    case .duplicatedKeysInMapping(let keys, let context):
      let key = keys.first ?? ""
      let second = secondLine(of: key, at: context.mark, in: text)
      return Fault(second ?? context.mark.line, .duplicateKey(key, first: context.mark.line))
    default: return Fault(nil, .syntax("the parser failed"))
    }
  }

  /// Where the key that stands at `first` stands again: below it in the same column, or to its right. The parser only
  /// tells where the first one is.
  private static func secondLine(of key: String, at first: Mark, in text: String) -> Int? {
    let spellings = ["\(key):", "\"\(key)\":", "'\(key)':"].map { Array($0.utf8) }
    let lines = text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    for (index, line) in lines.enumerated().dropFirst(first.line) {
      let rest = line.dropFirst(first.column - 1)
      if spellings.contains(where: { rest.starts(with: $0) }) { return index + 1 }
    }
    return nil
  }
}
