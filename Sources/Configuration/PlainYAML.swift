/// Refuses, before the parser sees it, what of YAML is not used here.
///
/// why: an alias makes a value out of another, and a short file can stand for billions of values, which the
/// parser compares one by one where they are keys. What passes here has no alias, tag, directive or block text, and
/// each quoted value ends on its line.
enum PlainYAML {
  static func check(_ bytes: [UInt8]) throws(Fault) {
    var number = 0
    for line in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
      number += 1
      try check(Array(line), number)
    }
  }

  private static func check(_ line: [UInt8], _ number: Int) throws(Fault) {
    if line.first == UInt8(ascii: "%") { throw Fault(number, .special("%")) }
    var before: UInt8?
    var index = 0
    while index < line.count {
      let byte = line[index]
      let isApart = index == 0 || line[index - 1] == UInt8(ascii: " ")
      switch byte {
      case UInt8(ascii: " "): index += 1
      case UInt8(ascii: "#") where isApart: return
      case UInt8(ascii: "\""), UInt8(ascii: "'"):
        guard isStart(after: before, isApart), let end = endOfQuoted(line, from: index) else {
          throw Fault(number, .quote)
        }
        before = byte
        index = end
      default:
        if isSpecial(line, index), isStart(after: before, isApart) {
          throw Fault(number, .special(Character(Unicode.Scalar(byte))))
        }
        before = byte
        index += 1
      }
    }
  }

  /// Whether a value may begin here.
  private static func isStart(after before: UInt8?, _ isApart: Bool) -> Bool {
    switch before {
    case nil, UInt8(ascii: "["), UInt8(ascii: "{"), UInt8(ascii: ","): true
    case UInt8(ascii: "-"), UInt8(ascii: ":"): isApart
    default: false
    }
  }

  private static func isSpecial(_ line: [UInt8], _ index: Int) -> Bool {
    switch line[index] {
    case UInt8(ascii: "&"), UInt8(ascii: "*"), UInt8(ascii: "!"), UInt8(ascii: "|"), UInt8(ascii: ">"): true
    case UInt8(ascii: "?"): index + 1 == line.count || line[index + 1] == UInt8(ascii: " ")
    default: false
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
