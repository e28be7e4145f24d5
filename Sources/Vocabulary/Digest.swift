/// 32 public bytes: a SHA-256 digest, a commitment, a row's MAC. Never a key.
package struct Digest: Hashable, Sendable, Comparable {
  package static let byteCount = 32
  package static let zero = Digest(0, 0, 0, 0)

  /// The bytes, big-endian, eight a word.
  package var words: (UInt64, UInt64, UInt64, UInt64) { (a, b, c, d) }
  private let a: UInt64
  private let b: UInt64
  private let c: UInt64
  private let d: UInt64

  package init(_ a: UInt64, _ b: UInt64, _ c: UInt64, _ d: UInt64) {
    self.a = a
    self.b = b
    self.c = c
    self.d = d
  }

  /// Parses 64 hexadecimal digits, or nil.
  package init?(hex: String) {
    guard let bytes = Hex.decode(hex), bytes.count == Self.byteCount else { return nil }
    self.init(bytes.span)
  }

  /// Takes 32 bytes; any other count is a bug of the caller.
  package init(_ bytes: Span<UInt8>) {
    precondition(bytes.count == Self.byteCount, "a digest is 32 bytes")
    var cursor = ByteCursor()
    guard let digest = try? cursor.digest(bytes) else { preconditionFailure("counted above") }
    self = digest
  }

  package var hex: String { Hex.encode(bytes.span) }

  package var bytes: [UInt8] {
    var writer = ByteWriter(capacity: Self.byteCount)
    writer.digest(self)
    return writer.bytes
  }

  /// Bytewise order. Not constant-time: for public values only.
  package static func < (x: Digest, y: Digest) -> Bool {
    (x.a, x.b, x.c, x.d) < (y.a, y.b, y.c, y.d)
  }
}

extension Digest {
  /// The bytes on the stack.
  package var inlineBytes: InlineArray<32, UInt8> {
    var bytes = InlineArray<32, UInt8>(repeating: 0)
    var span = bytes.mutableSpan
    span.put(self, at: 0)
    return bytes
  }
}
