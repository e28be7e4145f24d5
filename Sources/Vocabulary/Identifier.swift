/// 16 bytes that name one thing (a key, a log, a keyring, a request) and say nothing about it.
package struct Identifier: Hashable, Sendable, Comparable {
  package static let byteCount = 16
  package static let zero = Identifier(high: 0, low: 0)

  package let high: UInt64
  package let low: UInt64

  package init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// Parses 32 hexadecimal digits, or nil.
  package init?(hex: String) {
    guard let bytes = Hex.decode(hex), bytes.count == Self.byteCount else { return nil }
    var cursor = ByteCursor()
    guard let parsed = try? cursor.identifier(bytes.span) else { return nil }
    self = parsed
  }

  package var hex: String { Hex.encode(bytes.span) }

  package var bytes: [UInt8] {
    var writer = ByteWriter(capacity: Self.byteCount)
    writer.identifier(self)
    return writer.bytes
  }

  package static func < (a: Identifier, b: Identifier) -> Bool {
    (a.high, a.low) < (b.high, b.low)
  }
}
