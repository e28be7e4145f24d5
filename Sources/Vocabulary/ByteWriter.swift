/// Writes big-endian fields one after the other.
package struct ByteWriter: Sendable {
  package private(set) var bytes: [UInt8] = []

  package init(capacity: Int = 0) { bytes.reserveCapacity(capacity) }

  package mutating func u8(_ value: UInt8) { bytes.append(value) }

  package mutating func u16(_ value: UInt16) { fixed(value) }

  package mutating func u32(_ value: UInt32) { fixed(value) }

  package mutating func u64(_ value: UInt64) { fixed(value) }

  package mutating func identifier(_ value: Identifier) {
    u64(value.high)
    u64(value.low)
  }

  package mutating func digest(_ value: Digest) {
    u64(value.words.0)
    u64(value.words.1)
    u64(value.words.2)
    u64(value.words.3)
  }

  package mutating func raw(_ value: [UInt8]) { bytes.append(contentsOf: value) }

  package mutating func raw(_ ascii: StaticString) {
    bytes.append(contentsOf: Array("\(ascii)".utf8))
  }

  package mutating func raw(_ value: Span<UInt8>) {
    unsafe value.withUnsafeBufferPointer { unsafe bytes.append(contentsOf: $0) }
  }

  package mutating func zeros(_ count: Int) { bytes.append(contentsOf: repeatElement(0, count: count)) }

  /// One length byte, then the value; longer than 255 is a bug of the caller.
  package mutating func u8Prefixed(_ value: [UInt8]) {
    u8(UInt8(value.count))
    raw(value)
  }

  /// Two length bytes, then the value; longer than 65,535 is a bug of the caller.
  package mutating func u16Prefixed(_ value: [UInt8]) {
    u16(UInt16(value.count))
    raw(value)
  }

  @inline(__always)
  private mutating func fixed<Value: FixedWidthInteger>(_ value: Value) {
    unsafe withUnsafeBytes(of: value.bigEndian) { unsafe bytes.append(contentsOf: $0) }
  }
}

extension ByteWriter {
  /// The eight bytes of a number.
  package static func u64Bytes(_ value: UInt64) -> [UInt8] {
    var writer = ByteWriter(capacity: 8)
    writer.u64(value)
    return writer.bytes
  }
}
