import ChatelaineTestSupport
import ChatelaineVocabulary
import Testing

@Suite("Byte fields")
struct ByteFieldTests {
  static let id = Identifier(high: 0x0011_2233_4455_6677, low: 0x8899_aabb_ccdd_eeff)
  static let digest = Digest(1, 2, 3, .max)

  /// One field of each kind.
  static var written: [UInt8] {
    var writer = ByteWriter()
    writer.u8(0xab)
    writer.u16(0x0102)
    writer.u32(0x0304_0506)
    writer.u64(0x0708_090a_0b0c_0d0e)
    writer.identifier(id)
    writer.digest(digest)
    writer.u8Prefixed(Array("short".utf8))
    writer.u16Prefixed([UInt8](repeating: 7, count: 300))
    writer.zeros(3)
    writer.raw([9, 8])
    return writer.bytes
  }

  static func read(_ bytes: [UInt8]) throws(MalformedBytes) {
    var cursor = ByteCursor()
    let span = bytes.span
    let u8 = try cursor.u8(span)
    #expect(u8 == 0xab)
    let u16 = try cursor.u16(span)
    #expect(u16 == 0x0102)
    let u32 = try cursor.u32(span)
    #expect(u32 == 0x0304_0506)
    let u64 = try cursor.u64(span)
    #expect(u64 == 0x0708_090a_0b0c_0d0e)
    let identifier = try cursor.identifier(span)
    #expect(identifier == Self.id)
    let digest = try cursor.digest(span)
    #expect(digest == Self.digest)
    let short = try cursor.u8Prefixed(span)
    #expect(Array(bytes[short]) == Array("short".utf8))
    let long = try cursor.u16Prefixed(span)
    #expect(Array(bytes[long]) == [UInt8](repeating: 7, count: 300))
    _ = try cursor.range(5, span)
    try cursor.finish(span)
  }

  @Test("What is written is big-endian, and reads back")
  func roundTrip() throws {
    #expect(Array(Self.written.prefix(15)) == [0xab, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14])
    try Self.read(Self.written)
  }

  // MUST: FMT-1
  @Test("A byte too many is refused: consumption is exact")
  func trailingByte() throws {
    try Self.read(Self.written)
    #expect(throws: MalformedBytes.self) { try Self.read(Self.written + [0]) }
  }

  // MUST: FMT-3
  @Test("Bytes cut short anywhere are refused")
  func everyCut() {
    for count in 0..<Self.written.count {
      #expect(throws: MalformedBytes.self, "cut to \(count)") {
        var cursor = ByteCursor()
        let cut = Array(Self.written.prefix(count))
        let span = cut.span
        _ = try cursor.u8(span)
        _ = try cursor.u16(span)
        _ = try cursor.u32(span)
        _ = try cursor.u64(span)
        _ = try cursor.identifier(span)
        _ = try cursor.digest(span)
        _ = try cursor.u8Prefixed(span)
        _ = try cursor.u16Prefixed(span)
        _ = try cursor.range(5, span)
      }
    }
  }

  // MUST: FMT-3
  @Test("A length beyond the end is refused, and a refused read does not move the cursor")
  func lengthBeyondTheEnd() throws {
    let bytes: [UInt8] = [0xff, 0xff, 1, 2, 3]
    var cursor = ByteCursor()
    #expect(throws: MalformedBytes.self) { try cursor.u16Prefixed(bytes.span) }
    var second = ByteCursor(at: 2)
    #expect(throws: MalformedBytes.self) { try second.u32(bytes.span) }
    #expect(second.offset == 2)
    #expect(throws: MalformedBytes.self) { try second.range(-1, bytes.span) }
    #expect(throws: MalformedBytes.self) { try second.range(.max, bytes.span) }
    let rest = try second.range(3, bytes.span)
    let nothing = try second.range(0, bytes.span)
    #expect(rest == 2..<5)
    #expect(nothing == 5..<5)
    try second.finish(bytes.span)
  }

  @Test("A prefixed field has exactly its length, up to the most that the prefix can say")
  func prefixBounds() throws {
    for count in [0, 1, 254, 255] {
      var writer = ByteWriter()
      writer.u8Prefixed([UInt8](repeating: 1, count: count))
      var cursor = ByteCursor()
      let range = try cursor.u8Prefixed(writer.bytes.span)
      #expect(range == 1..<1 + count)
    }
    for count in [0, 255, 256, 65_535] {
      var writer = ByteWriter()
      writer.u16Prefixed([UInt8](repeating: 1, count: count))
      var cursor = ByteCursor()
      let range = try cursor.u16Prefixed(writer.bytes.span)
      #expect(range == 2..<2 + count)
    }
  }

  #if os(Linux)
    @Test("A field longer than its prefix can say traps: it would be cut off silently")
    func tooLongToPrefix() async {
      await #expect(processExitsWith: .failure) {
        var writer = ByteWriter()
        writer.u8Prefixed([UInt8](repeating: 1, count: 256))
      }
      await #expect(processExitsWith: .failure) {
        var writer = ByteWriter()
        writer.u16Prefixed([UInt8](repeating: 1, count: 65_536))
      }
      await #expect(processExitsWith: .success) {
        var writer = ByteWriter()
        writer.u8Prefixed([UInt8](repeating: 1, count: 255))
        writer.u16Prefixed([UInt8](repeating: 1, count: 65_535))
      }
    }
  #endif

  @Test("Two runs of bytes are equal only when every byte is")
  func spanEquality() {
    let bytes: [UInt8] = [1, 2, 3]
    let others: [[UInt8]] = [bytes, [1, 2, 4], [1, 2], [1, 2, 3, 0], []]
    let equal = others.map { bytes.span.equals($0) }
    let copy = bytes.span.copied()
    #expect(equal == [true, false, false, false, false])
    #expect(copy == bytes)
  }
}
