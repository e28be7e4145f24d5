/// The bytes end before the field does, or go on after the last one.
package struct MalformedBytes: Error, Equatable {
  package init() {}
}

/// Reads big-endian fields one after the other; every read is checked against the end.
package struct ByteCursor: Sendable {
  package private(set) var offset: Int

  package init(at offset: Int = 0) { self.offset = offset }

  @inline(__always)
  private mutating func take(_ count: Int, of bytes: Span<UInt8>) throws(MalformedBytes) -> Int {
    let start = offset
    guard count >= 0, count <= bytes.count - start else { throw MalformedBytes() }
    offset = start + count
    return start
  }

  package mutating func u8(_ bytes: Span<UInt8>) throws(MalformedBytes) -> UInt8 {
    bytes[try take(1, of: bytes)]
  }

  package mutating func u16(_ bytes: Span<UInt8>) throws(MalformedBytes) -> UInt16 {
    let at = try take(2, of: bytes)
    return UInt16(bytes[at]) << 8 | UInt16(bytes[at + 1])
  }

  package mutating func u32(_ bytes: Span<UInt8>) throws(MalformedBytes) -> UInt32 {
    let at = try take(4, of: bytes)
    return UInt32(bytes[at]) << 24 | UInt32(bytes[at + 1]) << 16 | UInt32(bytes[at + 2]) << 8
      | UInt32(bytes[at + 3])
  }

  package mutating func u64(_ bytes: Span<UInt8>) throws(MalformedBytes) -> UInt64 {
    let high = try u32(bytes)
    return UInt64(high) << 32 | UInt64(try u32(bytes))
  }

  package mutating func identifier(_ bytes: Span<UInt8>) throws(MalformedBytes) -> Identifier {
    let high = try u64(bytes)
    return Identifier(high: high, low: try u64(bytes))
  }

  package mutating func digest(_ bytes: Span<UInt8>) throws(MalformedBytes) -> Digest {
    let a = try u64(bytes)
    let b = try u64(bytes)
    let c = try u64(bytes)
    return Digest(a, b, c, try u64(bytes))
  }

  /// The range of the next `count` bytes.
  package mutating func range(_ count: Int, _ bytes: Span<UInt8>) throws(MalformedBytes) -> Range<Int> {
    let start = try take(count, of: bytes)
    return start..<start + count
  }

  package mutating func u8Prefixed(_ bytes: Span<UInt8>) throws(MalformedBytes) -> Range<Int> {
    try range(Int(try u8(bytes)), bytes)
  }

  package mutating func u16Prefixed(_ bytes: Span<UInt8>) throws(MalformedBytes) -> Range<Int> {
    try range(Int(try u16(bytes)), bytes)
  }

  /// The end must have been reached: one encoding for each value, no trailing byte.
  package func finish(_ bytes: Span<UInt8>) throws(MalformedBytes) {
    guard offset == bytes.count else { throw MalformedBytes() }
  }
}

extension Span<UInt8> {
  /// Whether these bytes are exactly `other`. Not constant-time.
  package func equals(_ other: [UInt8]) -> Bool {
    guard count == other.count else { return false }
    for index in indices where self[index] != other[index] { return false }
    return true
  }

  package func copied() -> [UInt8] {
    [UInt8](capacity: count) { output in
      for index in indices { output.append(self[index]) }
    }
  }
}
