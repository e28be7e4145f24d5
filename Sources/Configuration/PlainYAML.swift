/// Refuses, before the parser sees it, what of YAML is not used here.
///
/// why: an alias makes a value out of another, and a short file can stand for billions of values, which the
/// parser compares one by one where they are keys. What passes here has no alias, tag, directive, block text or complex
/// key, and each quoted value ends on its line. In doubt it refuses: what it takes for the beginning of a value may
/// be within one, and not the other way round.
struct PlainYAML {
  /// Brackets that are open: within them a value goes on over the end of a line.
  private var depth = 0
  /// Whether a value may begin here.
  private var isStart = true
  /// Whether the line has only dashes so far.
  private var hasOnlyDashes = true

  static func check(_ bytes: [UInt8]) throws(Fault) {
    var scan = PlainYAML()
    var number = 0
    for line in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
      number += 1
      try scan.check(Array(line), number)
    }
  }

  private mutating func check(_ line: [UInt8], _ number: Int) throws(Fault) {
    if line.first == UInt8(ascii: "%") { throw Fault(number, .special("%")) }
    hasOnlyDashes = depth == 0
    if depth == 0 { isStart = true }
    var index = 0
    while index < line.count {
      let byte = line[index]
      if Self.isBlank(byte) {
        index += 1
      } else if byte == UInt8(ascii: "#"), index == 0 || Self.isBlank(line[index - 1]) {
        return
      } else if byte == UInt8(ascii: "#"), Self.endsValue(line[index - 1]) {
        // A comment to the parser, though nothing sets it apart.
        throw Fault(number, .special("#"))
      } else if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") {
        guard isStart, Self.isApart(line, index), let end = Self.endOfQuoted(line, from: index) else {
          throw Fault(number, .quote)
        }
        (isStart, hasOnlyDashes) = (false, false)
        index = end
      } else {
        if isStart, Self.isSpecial(byte) { throw Fault(number, .special(Character(Unicode.Scalar(byte)))) }
        pass(byte)
        index += 1
      }
    }
  }

  /// What comes after a byte outside quotes.
  private mutating func pass(_ byte: UInt8) {
    switch byte {
    // Within a text outside brackets, brackets and commas are text.
    case UInt8(ascii: "["), UInt8(ascii: "{"):
      isStart = isStart || depth > 0
      if isStart { depth += 1 }
    case UInt8(ascii: "]"), UInt8(ascii: "}"):
      depth = max(0, depth - 1)
      isStart = false
    case UInt8(ascii: ","): isStart = depth > 0
    case UInt8(ascii: ":"): isStart = true
    case UInt8(ascii: "-") where hasOnlyDashes: return
    default: isStart = false
    }
    hasOnlyDashes = false
  }

  private static func endsValue(_ byte: UInt8) -> Bool { "[]{},:\"'".utf8.contains(byte) }

  private static func isBlank(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t")
  }

  private static func isSpecial(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "&"), UInt8(ascii: "*"), UInt8(ascii: "!"), UInt8(ascii: "|"), UInt8(ascii: ">"),
      UInt8(ascii: "?"):
      true
    default: false
    }
  }

  /// Whether a quote here is the first of its value for the parser too: right behind a dash or a colon it is text.
  private static func isApart(_ line: [UInt8], _ index: Int) -> Bool {
    guard index > 0 else { return true }
    switch line[index - 1] {
    case UInt8(ascii: "["), UInt8(ascii: "{"), UInt8(ascii: ","): return true
    default: return isBlank(line[index - 1])
    }
  }

  /// The index after the quote that closes the one at `start`, or nil.
  private static func endOfQuoted(_ line: [UInt8], from start: Int) -> Int? {
    let quote = line[start]
    var index = start + 1
    while index < line.count {
      if quote == UInt8(ascii: "\""), line[index] == UInt8(ascii: "\\") {
        index += 2
      } else if line[index] != quote {
        index += 1
      } else if quote == UInt8(ascii: "'"), index + 1 < line.count, line[index + 1] == quote {
        index += 2
      } else {
        return index + 1
      }
    }
    return nil
  }
}
