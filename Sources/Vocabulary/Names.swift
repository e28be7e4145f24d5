/// Why bytes are not a name.
package enum InvalidName: Error, Equatable {
  /// Not 1 to 64 characters.
  case length
  /// A character outside `a-z 0-9 . _ -`, or a first one outside `a-z 0-9`.
  case character
}

/// Names a tenant: `[a-z0-9][a-z0-9._-]{0,63}`, compared byte by byte.
package struct TenantID: Hashable, Sendable {
  /// The ASCII bytes.
  package let bytes: [UInt8]

  package init(_ bytes: Span<UInt8>) throws(InvalidName) { self.bytes = try parseName(bytes) }

  package var rawValue: String { String(copying: bytes.span) }

  package init(_ text: String) throws(InvalidName) { try self.init(Array(text.utf8).span) }
}

/// Names a key within a tenant: `[a-z0-9][a-z0-9._-]{0,63}`.
package struct KeyName: Hashable, Sendable {
  /// The ASCII bytes.
  package let bytes: [UInt8]

  package init(_ bytes: Span<UInt8>) throws(InvalidName) { self.bytes = try parseName(bytes) }

  package var rawValue: String { String(copying: bytes.span) }

  package init(_ text: String) throws(InvalidName) { try self.init(Array(text.utf8).span) }
}

/// The whole grammar of names. Bytes are looked at before any `String` is made: Swift compares
/// strings by canonical equivalence, and one "character" can be 200,000 bytes long.
private func parseName(_ bytes: Span<UInt8>) throws(InvalidName) -> [UInt8] {
  guard bytes.count >= 1, bytes.count <= Limits.nameLengthMax else { throw .length }
  guard isName(bytes) else { throw .character }
  return bytes.copied()
}

/// Whether bytes are a tenant id or a key name.
package func isName(_ bytes: Span<UInt8>) -> Bool {
  guard bytes.count >= 1, bytes.count <= Limits.nameLengthMax else { return false }
  for index in bytes.indices {
    guard isNameByte(bytes[index], isFirst: index == 0) else { return false }
  }
  return true
}

private func isNameByte(_ byte: UInt8, isFirst: Bool) -> Bool {
  switch byte {
  case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
  case UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"): !isFirst
  default: false
  }
}

extension String {
  /// A string of bytes that are ASCII already, or have been checked to be.
  package init(copying bytes: Span<UInt8>) {
    var copy: [UInt8] = []
    copy.reserveCapacity(bytes.count)
    for index in bytes.indices { copy.append(bytes[index]) }
    self.init(decoding: copy, as: UTF8.self)
  }
}
