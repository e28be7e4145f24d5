/// Why bytes are not the JSON that is asked for.
package enum JSONFault: Error, Equatable, Sendable {
  /// Not JSON (RFC 8259), or another type than belongs here.
  case malformed
  case tooDeep
  /// A text that is no UTF-8, or half of a surrogate pair.
  case notUnicode
}

/// Reads one JSON text from front to back, in place: what is secret stays where it is. Strict (RFC 8259, no byte order
/// mark). What is not known is passed over by `skip` alone.
///
/// `open`, then `nextMember` or `nextElement` until it gives nil, each followed by reading one value.
package struct JSONReader {
  package static let depthMax = 4

  package private(set) var at: Int
  private let end: Int
  private let depthMax: Int
  private var depth = 0
  /// Nothing stands yet in what was opened last.
  private var isFirst = false

  package init(in range: Range<Int>, depthMax: Int = Self.depthMax) {
    at = range.lowerBound
    end = range.upperBound
    self.depthMax = depthMax
  }

  /// Where a string's characters lie, without its quotes, as they are written.
  package struct Text: Equatable, Sendable {
    package let range: Range<Int>
    package let hasEscapes: Bool
  }

  package enum Kind { case string, number, object, array, literal }

  /// What the next value begins like.
  package mutating func kind(_ bytes: borrowing MutableSpan<UInt8>) throws(JSONFault) -> Kind {
    skipBlanks(bytes)
    guard at < end else { throw .malformed }
    switch bytes[at] {
    case UInt8(ascii: "\""): return .string
    case UInt8(ascii: "{"): return .object
    case UInt8(ascii: "["): return .array
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number
    default: return .literal
    }
  }

  package mutating func openObject(_ bytes: borrowing MutableSpan<UInt8>) throws(JSONFault) {
    try open(UInt8(ascii: "{"), bytes)
  }

  package mutating func openArray(_ bytes: borrowing MutableSpan<UInt8>) throws(JSONFault) {
    try open(UInt8(ascii: "["), bytes)
  }

  private mutating func open(_ bracket: UInt8, _ bytes: borrowing MutableSpan<UInt8>) throws(JSONFault) {
    skipBlanks(bytes)
    try take(bracket, bytes)
    depth += 1
    guard depth <= depthMax else { throw .tooDeep }
    isFirst = true
  }

  /// The name of the next member; nil at the object's end, which is taken.
  package mutating func nextMember(_ bytes: borrowing MutableSpan<UInt8>) throws(JSONFault) -> Text? {
    guard try isMore(before: UInt8(ascii: "}"), bytes) else { return nil }
    let name = try string(bytes)
    skipBlanks(bytes)
    try take(UInt8(ascii: ":"), bytes)
    return name
  }

  /// Whether another element follows; false at the array's end, which is taken.
  package mutating func nextElement(_ bytes: borrowing MutableSpan<UInt8>) throws(JSONFault) -> Bool {
    try isMore(before: UInt8(ascii: "]"), bytes)
  }

  private mutating func isMore(
    before close: UInt8, _ bytes: borrowing MutableSpan<UInt8>
  ) throws(JSONFault) -> Bool {
    skipBlanks(bytes)
    guard at < end else { throw .malformed }
    if bytes[at] == close {
      at += 1
      depth -= 1
      isFirst = false
      return false
    }
    if !isFirst { try take(UInt8(ascii: ","), bytes) }
    isFirst = false
    return true
  }

  /// Nothing but blanks is left.
  package mutating func finish(_ bytes: borrowing MutableSpan<UInt8>) throws(JSONFault) {
    skipBlanks(bytes)
    guard at == end, depth == 0 else { throw .malformed }
  }

  // MARK: Values

  /// A string as it is written; that its escapes are whole is checked, not that it is UTF-8.
  package mutating func string(_ bytes: borrowing MutableSpan<UInt8>) throws(JSONFault) -> Text {
    skipBlanks(bytes)
    try take(UInt8(ascii: "\""), bytes)
    let start = at
    var hasEscapes = false
    while at < end {
      let byte = bytes[at]
      switch byte {
      case UInt8(ascii: "\""):
        at += 1
        return Text(range: start..<at - 1, hasEscapes: hasEscapes)
      case UInt8(ascii: "\\"):
        hasEscapes = true
        try passEscape(bytes)
      case 0..<0x20: throw .malformed
      default: at += 1
      }
    }
    throw .malformed
  }

  private mutating func passEscape(_ bytes: borrowing MutableSpan<UInt8>) throws(JSONFault) {
    guard at + 1 < end else { throw .malformed }
    guard bytes[at + 1] == UInt8(ascii: "u") else {
      guard simpleEscape(bytes[at + 1]) != nil else { throw .malformed }
      return at += 2
    }
    guard end - at >= 6, hexadecimal(bytes, at: at + 2) != nil else { throw .malformed }
    at += 6
  }

  /// A string's own characters, put where they were written: never more than there were.
  package mutating func text(_ bytes: inout MutableSpan<UInt8>) throws(JSONFault) -> Range<Int> {
    let text = try string(bytes)
    return text.hasEscapes ? try unescape(text.range, &bytes) : text.range
  }

  /// A whole number without sign, fraction or exponent; or a string of its digits, as command lines send it.
  package mutating func number(_ bytes: borrowing MutableSpan<UInt8>) throws(JSONFault) -> UInt64 {
    let isQuoted = try kind(bytes) == .string
    if isQuoted { at += 1 }
    let start = at
    var value: UInt64 = 0
    while at < end, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[at]) {
      let (tenfold, isTooMuch) = value.multipliedReportingOverflow(by: 10)
      let (sum, isOver) = tenfold.addingReportingOverflow(UInt64(bytes[at] - UInt8(ascii: "0")))
      guard !isTooMuch, !isOver else { throw .malformed }
      value = sum
      at += 1
    }
    guard at > start, at - start == 1 || bytes[start] != UInt8(ascii: "0") else { throw .malformed }
    if isQuoted { try take(UInt8(ascii: "\""), bytes) }
    guard isAtEndOfValue(bytes) else { throw .malformed }
    return value
  }

  /// `true` or `false`, or a string of it.
  package mutating func flag(_ bytes: borrowing MutableSpan<UInt8>) throws(JSONFault) -> Bool {
    if try kind(bytes) == .string {
      let text = try string(bytes)
      if matches("true", bytes, text.range) { return true }
      if matches("false", bytes, text.range) { return false }
      throw .malformed
    }
    if takeWord("true", bytes) { return true }
    if takeWord("false", bytes) { return false }
    throw .malformed
  }

  /// Takes a `null`, which is like a member that is not there.
  package mutating func takeNull(_ bytes: borrowing MutableSpan<UInt8>) -> Bool {
    skipBlanks(bytes)
    return takeWord("null", bytes)
  }

  /// Reads an object of at most so many members: `take` reads the value of a name, or says false and has it passed over. A
  /// name that stands twice is refused, however it is written.
  package mutating func object(
    _ bytes: inout MutableSpan<UInt8>, membersMax: Int,
    _ take: (inout JSONReader, inout MutableSpan<UInt8>, Range<Int>) throws(JSONFault) -> Bool
  ) throws(JSONFault) {
    try openObject(bytes)
    var names: [Range<Int>] = []
    while let text = try nextMember(bytes) {
      let name = text.hasEscapes ? try unescape(text.range, &bytes) : text.range
      guard names.count < membersMax, !names.contains(where: { Self.isSame(bytes, $0, name) }) else { throw .malformed }
      names.append(name)
      if try !take(&self, &bytes, name) { try skip(bytes) }
    }
  }

  private static func isSame(_ bytes: borrowing MutableSpan<UInt8>, _ one: Range<Int>, _ other: Range<Int>) -> Bool {
    guard one.count == other.count else { return false }
    for place in 0..<one.count where bytes[one.lowerBound + place] != bytes[other.lowerBound + place] { return false }
    return true
  }

  /// A copy of a string's own characters.
  package mutating func copiedText(_ bytes: inout MutableSpan<UInt8>, countMax: Int) throws(JSONFault) -> [UInt8] {
    let range = try text(&bytes)
    guard range.count <= countMax else { throw .malformed }
    return bytes.span.extracting(range).copied()
  }

  /// A string, or a list of at most so many.
  package mutating func copiedTexts(
    _ bytes: inout MutableSpan<UInt8>, max: Int, countMax: Int
  ) throws(JSONFault) -> [[UInt8]] {
    guard try kind(bytes) == .array else { return [try copiedText(&bytes, countMax: countMax)] }
    var texts: [[UInt8]] = []
    try openArray(bytes)
    while try nextElement(bytes) {
      guard texts.count < max else { throw .malformed }
      texts.append(try copiedText(&bytes, countMax: countMax))
    }
    return texts
  }

  /// Passes over one value of any kind, which must be JSON.
  package mutating func skip(_ bytes: borrowing MutableSpan<UInt8>) throws(JSONFault) {
    switch try kind(bytes) {
    case .string: _ = try string(bytes)
    case .number: try skipNumber(bytes)
    case .literal:
      guard takeWord("true", bytes) || takeWord("false", bytes) || takeWord("null", bytes) else { throw .malformed }
      guard isAtEndOfValue(bytes) else { throw .malformed }
    case .object:
      try openObject(bytes)
      while try nextMember(bytes) != nil { try skip(bytes) }
    case .array:
      try openArray(bytes)
      while try nextElement(bytes) { try skip(bytes) }
    }
  }

  /// RFC 8259 §6.
  private mutating func skipNumber(_ bytes: borrowing MutableSpan<UInt8>) throws(JSONFault) {
    if at < end, bytes[at] == UInt8(ascii: "-") { at += 1 }
    let start = at
    guard skipDigits(bytes), at - start == 1 || bytes[start] != UInt8(ascii: "0") else { throw .malformed }
    if at < end, bytes[at] == UInt8(ascii: ".") {
      at += 1
      guard skipDigits(bytes) else { throw .malformed }
    }
    if at < end, bytes[at] | 0x20 == UInt8(ascii: "e") {
      at += 1
      if at < end, bytes[at] == UInt8(ascii: "+") || bytes[at] == UInt8(ascii: "-") { at += 1 }
      guard skipDigits(bytes) else { throw .malformed }
    }
    guard isAtEndOfValue(bytes) else { throw .malformed }
  }

  /// False where there is none.
  private mutating func skipDigits(_ bytes: borrowing MutableSpan<UInt8>) -> Bool {
    let start = at
    while at < end, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[at]) { at += 1 }
    return at > start
  }

  /// A NumericDate (RFC 7519 §2): seconds since 1970, at most of the year 9999, and whether there is more than a whole
  /// number of them. No sign and no exponent, which nobody writes there.
  package mutating func numericDate(
    _ bytes: borrowing MutableSpan<UInt8>
  ) throws(JSONFault) -> (seconds: UInt64, hasFraction: Bool) {
    guard try kind(bytes) == .number else { throw .malformed }
    let start = at
    guard skipDigits(bytes), at - start <= 12, at - start == 1 || bytes[start] != UInt8(ascii: "0") else {
      throw .malformed
    }
    var seconds: UInt64 = 0
    for place in start..<at { seconds = seconds * 10 + UInt64(bytes[place] - UInt8(ascii: "0")) }
    guard seconds <= 253_402_300_799 else { throw .malformed }
    var hasFraction = false
    if at < end, bytes[at] == UInt8(ascii: ".") {
      at += 1
      let first = at
      guard skipDigits(bytes) else { throw .malformed }
      for place in first..<at where bytes[place] != UInt8(ascii: "0") { hasFraction = true }
    }
    guard isAtEndOfValue(bytes) else { throw .malformed }
    return (seconds, hasFraction)
  }

  package func matches(_ word: String, _ bytes: borrowing MutableSpan<UInt8>, _ range: Range<Int>) -> Bool {
    guard word.utf8.count == range.count else { return false }
    var place = range.lowerBound
    for byte in word.utf8 {
      guard bytes[place] == byte else { return false }
      place += 1
    }
    return true
  }

  private mutating func takeWord(_ word: String, _ bytes: borrowing MutableSpan<UInt8>) -> Bool {
    let after = at + word.utf8.count
    guard after <= end, matches(word, bytes, at..<after) else { return false }
    at = after
    return true
  }

  private func isAtEndOfValue(_ bytes: borrowing MutableSpan<UInt8>) -> Bool {
    guard at < end else { return true }
    switch bytes[at] {
    case UInt8(ascii: ","), UInt8(ascii: "}"), UInt8(ascii: "]"), 0x20, 0x09, 0x0a, 0x0d: return true
    default: return false
    }
  }

  private mutating func take(_ byte: UInt8, _ bytes: borrowing MutableSpan<UInt8>) throws(JSONFault) {
    guard at < end, bytes[at] == byte else { throw .malformed }
    at += 1
  }

  private mutating func skipBlanks(_ bytes: borrowing MutableSpan<UInt8>) {
    while at < end {
      switch bytes[at] {
      case 0x20, 0x09, 0x0a, 0x0d: at += 1
      default: return
      }
    }
  }
}

/// What a character behind a backslash stands for.
private func simpleEscape(_ byte: UInt8) -> UInt8? {
  switch byte {
  case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): byte
  case UInt8(ascii: "b"): 8
  case UInt8(ascii: "f"): 12
  case UInt8(ascii: "n"): 10
  case UInt8(ascii: "r"): 13
  case UInt8(ascii: "t"): 9
  default: nil
  }
}

private func hexadecimal(_ bytes: borrowing MutableSpan<UInt8>, at start: Int) -> UInt32? {
  var value: UInt32 = 0
  for place in start..<start + 4 {
    switch bytes[place] {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | UInt32(bytes[place] - UInt8(ascii: "0"))
    case UInt8(ascii: "a")...UInt8(ascii: "f"): value = value << 4 | UInt32(bytes[place] - UInt8(ascii: "a") + 10)
    case UInt8(ascii: "A")...UInt8(ascii: "F"): value = value << 4 | UInt32(bytes[place] - UInt8(ascii: "A") + 10)
    default: return nil
    }
  }
  return value
}

/// Writes a string's characters over its escapes; `string` has checked that these are whole.
private func unescape(
  _ range: Range<Int>, _ bytes: inout MutableSpan<UInt8>
) throws(JSONFault) -> Range<Int> {
  var (from, to) = (range.lowerBound, range.lowerBound)
  while from < range.upperBound {
    guard bytes[from] == UInt8(ascii: "\\") else {
      bytes[to] = bytes[from]
      (from, to) = (from + 1, to + 1)
      continue
    }
    if let byte = simpleEscape(bytes[from + 1]) {
      bytes[to] = byte
      (from, to) = (from + 2, to + 1)
      continue
    }
    var scalar = hexadecimal(bytes, at: from + 2) ?? 0
    from += 6
    if (0xD800..<0xDC00).contains(scalar) {
      guard range.upperBound - from >= 6, bytes[from] == UInt8(ascii: "\\"), bytes[from + 1] == UInt8(ascii: "u"),
        let low = hexadecimal(bytes, at: from + 2), (0xDC00..<0xE000).contains(low)
      else { throw .notUnicode }
      scalar = 0x10000 + (scalar - 0xD800) << 10 + (low - 0xDC00)
      from += 6
    }
    guard let character = Unicode.Scalar(scalar) else { throw .notUnicode }
    for byte in Unicode.UTF8.encode(character) ?? Unicode.UTF8.encodedReplacementCharacter {
      bytes[to] = byte
      to += 1
    }
  }
  return range.lowerBound..<to
}
