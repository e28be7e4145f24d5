package import ChatelaineVocabulary

/// One field of a protobuf message: its number, and where its value lies.
package struct ProtobufField: Equatable, Sendable {
  package enum Value: Equatable, Sendable {
    case varint(UInt64)
    case fixed32(UInt32)
    case fixed64(UInt64)
    /// Length-delimited: bytes, text, a message. The range is within the bytes that were read.
    case bytes(Range<Int>)
  }

  package let number: Int
  package let value: Value

  /// The range of a length-delimited value; anything else is another type than the message has here.
  package func bytes() throws(MalformedBytes) -> Range<Int> {
    guard case .bytes(let range) = value else { throw MalformedBytes() }
    return range
  }

  package func varint() throws(MalformedBytes) -> UInt64 {
    guard case .varint(let number) = value else { throw MalformedBytes() }
    return number
  }
}

/// Reads the fields of a protobuf message in place, without a copy.
///
/// Wire format of proto3: https://protobuf.dev/programming-guides/encoding/. Groups are refused.
package struct ProtobufReader: Sendable {
  private var cursor: ByteCursor
  private let end: Int

  /// Reads the message in `range` of the bytes that each call lends.
  package init(_ range: Range<Int>) {
    cursor = ByteCursor(at: range.lowerBound)
    end = range.upperBound
  }

  /// The next field, or nil at the end.
  package mutating func next(_ bytes: Span<UInt8>) throws(MalformedBytes) -> ProtobufField? {
    guard cursor.offset < end else { return nil }
    let key = try varint(bytes)
    let number = Int(truncatingIfNeeded: key >> 3)
    guard (1...536_870_911).contains(number) else { throw MalformedBytes() }
    let value: ProtobufField.Value
    switch key & 7 {
    case 0: value = .varint(try varint(bytes))
    case 1: value = .fixed64(try cursor.u64(bytes).byteSwapped)
    case 2: value = .bytes(try range(bytes))
    case 5: value = .fixed32(try cursor.u32(bytes).byteSwapped)
    default: throw MalformedBytes()
    }
    guard cursor.offset <= end else { throw MalformedBytes() }
    return ProtobufField(number: number, value: value)
  }

  private mutating func range(_ bytes: Span<UInt8>) throws(MalformedBytes) -> Range<Int> {
    let count = try varint(bytes)
    guard count <= UInt64(end - min(cursor.offset, end)) else { throw MalformedBytes() }
    return try cursor.range(Int(count), bytes)
  }

  private mutating func varint(_ bytes: Span<UInt8>) throws(MalformedBytes) -> UInt64 {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), through: 63, by: 7) {
      let byte = try cursor.u8(bytes)
      guard shift < 63 || byte <= 1 else { throw MalformedBytes() }
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return value }
    }
    throw MalformedBytes()
  }
}

/// Writes protobuf fields; sizes first, so that a buffer is made once and right.
package enum Protobuf {
  package static func varintByteCount(_ value: UInt64) -> Int { max(1, (70 - value.leadingZeroBitCount) / 7) }

  /// Bytes of a length-delimited field, key and length included.
  package static func fieldByteCount(_ number: Int, _ valueByteCount: Int) -> Int {
    varintByteCount(UInt64(number) << 3) + varintByteCount(UInt64(valueByteCount)) + valueByteCount
  }

  package static func append(varint value: UInt64, to output: inout OutputRawSpan) {
    var rest = value
    while rest >= 0x80 {
      output.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    output.append(UInt8(truncatingIfNeeded: rest))
  }

  /// Key and length of a length-delimited field: its bytes follow.
  package static func append(field number: Int, byteCount: Int, to output: inout OutputRawSpan) {
    append(varint: UInt64(number) << 3 | 2, to: &output)
    append(varint: UInt64(byteCount), to: &output)
  }

  package static func append(field number: Int, _ value: Span<UInt8>, to output: inout OutputRawSpan) {
    append(field: number, byteCount: value.count, to: &output)
    append(value, to: &output)
  }

  package static func append(field number: Int, varint value: UInt64, to output: inout OutputRawSpan) {
    append(varint: UInt64(number) << 3, to: &output)
    append(varint: value, to: &output)
  }

  package static func append(_ value: Span<UInt8>, to output: inout OutputRawSpan) {
    output.append(copying: value)
  }
}
