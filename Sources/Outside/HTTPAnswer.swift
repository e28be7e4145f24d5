/// An answer in HTTP/1.1 (RFC 9112), read strictly and within bounds.
package struct HTTPAnswer: Equatable, Sendable {
  package let status: Int
  /// Names in small letters, in the order in which they came.
  package let headers: [(name: String, value: String)]
  package let body: [UInt8]

  package static func == (a: HTTPAnswer, b: HTTPAnswer) -> Bool {
    a.status == b.status && a.body == b.body && a.headers.elementsEqual(b.headers, by: ==)
  }

  /// The value of a header; nil where there is none, or more than one.
  package subscript(_ name: String) -> String? {
    let values = headers.filter { $0.name == name }
    return values.count == 1 ? values[0].value : nil
  }

  /// `Content-Type` without its parameters.
  package var contentType: String {
    let value = self["content-type"] ?? ""
    return String(value.prefix { $0 != ";" && $0 != " " }).lowercased()
  }
}

/// Reads an answer from bytes as they come.
package struct HTTPAnswerReader {
  private static let headBytesMax = 16_384
  private static let interimMax = 8

  private let bodyBytesMax: Int
  private let more: () throws(OutsideError) -> [UInt8]
  private var buffer: [UInt8] = []
  private var at = 0

  /// `more` gives the next bytes, none at the end of the connection.
  package init(bodyBytesMax: Int, more: @escaping () throws(OutsideError) -> [UInt8]) {
    self.bodyBytesMax = bodyBytesMax
    self.more = more
  }

  /// `isHead`: the answer to a HEAD has no body, whatever its headers say.
  package mutating func read(isHead: Bool) throws(OutsideError) -> HTTPAnswer {
    for _ in 0...Self.interimMax {
      var headBytes = 0
      let status = try Self.status(try line(&headBytes))
      let headers = try headers(&headBytes)
      // why: 1xx tells of an answer to come.
      guard status >= 200 else { continue }
      let hasBody = !isHead && status != 204 && status != 304
      return HTTPAnswer(status: status, headers: headers, body: hasBody ? try body(headers) : [])
    }
    throw .malformed
  }

  // MARK: Head

  private static func status(_ line: ArraySlice<UInt8>) throws(OutsideError) -> Int {
    let parts = line.split(separator: 0x20, maxSplits: 2, omittingEmptySubsequences: false)
    guard parts.count >= 2, parts[0].elementsEqual("HTTP/1.1".utf8) || parts[0].elementsEqual("HTTP/1.0".utf8),
      parts[1].count == 3, let status = number(parts[1], radix: 10), (100...599).contains(status)
    else { throw .malformed }
    return status
  }

  private mutating func headers(_ headBytes: inout Int) throws(OutsideError) -> [(name: String, value: String)] {
    var headers: [(name: String, value: String)] = []
    while true {
      let line = try line(&headBytes)
      if line.isEmpty { return headers }
      guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { throw .malformed }
      let name = line[..<colon]
      guard !name.isEmpty, name.allSatisfy(Self.isToken) else { throw .malformed }
      var value = line[(colon + 1)...]
      while let first = value.first, first == 0x20 || first == 0x09 { value.removeFirst() }
      while let last = value.last, last == 0x20 || last == 0x09 { value.removeLast() }
      guard value.allSatisfy({ $0 >= 0x20 && $0 != 0x7f || $0 == 0x09 }) else { throw .malformed }
      headers.append((String(decoding: name, as: UTF8.self).lowercased(), String(decoding: value, as: UTF8.self)))
    }
  }

  private static func isToken(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
    default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
    }
  }

  // MARK: Body

  private mutating func body(_ headers: [(name: String, value: String)]) throws(OutsideError) -> [UInt8] {
    let lengths = headers.filter { $0.name == "content-length" }.map(\.value)
    let codings = headers.filter { $0.name == "transfer-encoding" }.map { $0.value.lowercased() }
    guard lengths.count <= 1, codings.isEmpty || lengths.isEmpty && codings == ["chunked"] else { throw .malformed }
    if !codings.isEmpty { return try chunks() }
    if let length = lengths.first {
      guard let count = Self.number(Array(length.utf8)[...], radix: 10) else { throw .malformed }
      guard count <= bodyBytesMax else { throw .tooLong }
      return try take(count)
    }
    while try fill() { guard buffer.count - at <= bodyBytesMax else { throw .tooLong } }
    return try take(buffer.count - at)
  }

  private mutating func chunks() throws(OutsideError) -> [UInt8] {
    var body: [UInt8] = []
    var lineBytes = 0
    while true {
      let size = try line(&lineBytes).prefix { $0 != UInt8(ascii: ";") }
      guard let count = Self.number(size, radix: 16) else { throw .malformed }
      if count == 0 { break }
      guard body.count + count <= bodyBytesMax else { throw .tooLong }
      body += try take(count)
      guard try take(2) == [0x0d, 0x0a] else { throw .malformed }
    }
    _ = try headers(&lineBytes)
    return body
  }

  // MARK: Bytes

  /// Digits only, nine at most.
  private static func number(_ digits: ArraySlice<UInt8>, radix: Int) -> Int? {
    guard (1...9).contains(digits.count), digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }) else { return nil }
    return Int(String(decoding: digits, as: UTF8.self), radix: radix)
  }

  /// A line without its CRLF. `total` counts what all lines took.
  private mutating func line(_ total: inout Int) throws(OutsideError) -> ArraySlice<UInt8> {
    var searched = at
    while true {
      if let end = buffer[searched...].firstIndex(of: 0x0a) {
        total += end + 1 - at
        guard total <= Self.headBytesMax else { throw .tooLong }
        guard end > at, buffer[end - 1] == 0x0d else { throw .malformed }
        defer { at = end + 1 }
        return buffer[at..<(end - 1)]
      }
      searched = buffer.count
      guard total + buffer.count - at <= Self.headBytesMax else { throw .tooLong }
      guard try fill() else { throw .closed }
    }
  }

  private mutating func take(_ count: Int) throws(OutsideError) -> [UInt8] {
    while buffer.count - at < count { guard try fill() else { throw .closed } }
    defer { at += count }
    return Array(buffer[at..<(at + count)])
  }

  private mutating func fill() throws(OutsideError) -> Bool {
    let bytes = try more()
    buffer += bytes
    return !bytes.isEmpty
  }
}
