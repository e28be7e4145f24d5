/// The bytes end before the field does, or go on after the last one.
@usableFromInline package struct MalformedBytes: Error, Equatable {
  @usableFromInline package init() {}
}

/// Reads big-endian fields one after the other; every read is checked against the end.
@usableFromInline package struct ByteCursor: Sendable {
  @usableFromInline package var offset: Int

  @inlinable package init(at offset: Int = 0) { self.offset = offset }

  @inlinable @inline(__always)
  package mutating func take(_ count: Int, of bytes: Span<UInt8>) throws(MalformedBytes) -> Int {
    let start = offset
    guard count >= 0, count <= bytes.count - start else { throw MalformedBytes() }
    offset = start + count
    return start
  }

  @inlinable package mutating func u8(_ bytes: Span<UInt8>) throws(MalformedBytes) -> UInt8 {
    bytes[try take(1, of: bytes)]
  }

  @inlinable package mutating func u16(_ bytes: Span<UInt8>) throws(MalformedBytes) -> UInt16 {
    bytes.bigEndian(at: try take(2, of: bytes), as: UInt16.self)
  }

  @inlinable package mutating func u32(_ bytes: Span<UInt8>) throws(MalformedBytes) -> UInt32 {
    bytes.bigEndian(at: try take(4, of: bytes), as: UInt32.self)
  }

  @inlinable package mutating func u64(_ bytes: Span<UInt8>) throws(MalformedBytes) -> UInt64 {
    bytes.bigEndian(at: try take(8, of: bytes), as: UInt64.self)
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
  @inlinable package mutating func range(_ count: Int, _ bytes: Span<UInt8>) throws(MalformedBytes) -> Range<Int> {
    let start = try take(count, of: bytes)
    return start..<start + count
  }

  @inlinable package mutating func u8Prefixed(_ bytes: Span<UInt8>) throws(MalformedBytes) -> Range<Int> {
    try range(Int(try u8(bytes)), bytes)
  }

  @inlinable package mutating func u16Prefixed(_ bytes: Span<UInt8>) throws(MalformedBytes) -> Range<Int> {
    try range(Int(try u16(bytes)), bytes)
  }

  /// The end must have been reached: one encoding for each value, no trailing byte.
  package func finish(_ bytes: Span<UInt8>) throws(MalformedBytes) {
    guard offset == bytes.count else { throw MalformedBytes() }
  }
}
