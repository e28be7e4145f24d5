import ChatelaineAuditTrail
import ChatelainePrimitives
import ChatelaineTestSupport
import ChatelaineVocabulary
import Testing

/// Segment header pages and epoch descriptors: one encoding, everything else refused.
struct HeaderTests {
  static let header = SegmentHeader(
    logID: Identifier(high: 1, low: 2), epoch: 1, alignment: 512, number: 3, firstSequence: 4,
    previousLeaf: Digest(5, 6, 7, 8), treeRoot: Digest(9, 10, 11, 12), fileSize: 1 << 20,
    frameBytesMax: 128 << 10,
    previousHeaderHash: Digest(13, 14, 15, 16))

  /// The page with bytes put in, under a hash that fits again.
  static func page(_ bytes: [UInt8], at offset: Int) -> [UInt8] {
    var page = Array(header.encoded()[0..<4064])
    page.replaceSubrange(offset..<offset + bytes.count, with: bytes)
    return page + SHA256.hash(page).bytes
  }

  static func be32(_ value: UInt32) -> [UInt8] { Array(ByteWriter.u64Bytes(UInt64(value))[4...]) }

  @Test func `A header page comes back as it was`() throws {
    let page = Self.header.encoded()
    #expect(page.count == SegmentHeader.byteCount)
    #expect(try SegmentHeader(parsing: page.span) == Self.header)
  }

  // MUST: SEG-2
  @Test func `Every changed byte of a header page is refused`() {
    var page = Self.header.encoded()
    for index in page.indices {
      page[index] ^= 1 << UInt8(index % 8)
      #expect(throws: SegmentHeader.Malformed.self) { try SegmentHeader(parsing: page.span) }
      page[index] ^= 1 << UInt8(index % 8)
    }
  }

  @Test func `A page of another length is refused`() {
    let page = Self.header.encoded()
    #expect(throws: SegmentHeader.Malformed.self) {
      try SegmentHeader(parsing: page.span.extracting(0..<4095))
    }
    #expect(throws: SegmentHeader.Malformed.self) { try SegmentHeader(parsing: (page + [0]).span) }
  }

  @Test(arguments: [
    ("CHSEG" + "\0\0\u{2}", 0), ("chseg" + "\0\0\u{1}", 0),
  ]) func `Another magic or version is refused under a hash that fits`(_ magic: String, _ offset: Int) {
    #expect(throws: SegmentHeader.Malformed.self) {
      try SegmentHeader(parsing: Self.page(Array(magic.utf8), at: offset).span)
    }
  }

  // MUST: SEG-6, SEG-7
  @Test func `Fields out of bounds are refused under a hash that fits`() {
    let wrong: [(String, [UInt8])] = [
      ("epoch 0", Self.page(Self.be32(0), at: 24)), ("align 0", Self.page(Self.be32(0), at: 28)),
      ("align 1024", Self.page(Self.be32(1024), at: 28)), ("align 8192", Self.page(Self.be32(8192), at: 28)),
      ("file size 4095", Self.page(ByteWriter.u64Bytes(4095), at: 112)),
      ("file size 2^63", Self.page(ByteWriter.u64Bytes(1 << 63), at: 112)),
      ("max frame 128 KiB - 512", Self.page(Self.be32((128 << 10) - 512), at: 120)),
      ("max frame 128 KiB + 1", Self.page(Self.be32((128 << 10) + 1), at: 120)),
      ("max frame 16 MiB + 512", Self.page(Self.be32((16 << 20) + 512), at: 120)),
      ("byte 124", Self.page([1], at: 124)), ("byte 127", Self.page([1], at: 127)),
      ("byte 160", Self.page([1], at: 160)), ("byte 4063", Self.page([1], at: 4063)),
    ]
    for (name, page) in wrong {
      #expect(throws: SegmentHeader.Malformed.self, "\(name)") { try SegmentHeader(parsing: page.span) }
    }
    #expect(throws: Never.self) { try SegmentHeader(parsing: Self.page(Self.be32(16 << 20), at: 120).span) }
    #expect(throws: Never.self) { try SegmentHeader(parsing: Self.page(Self.be32(4096), at: 28).span) }
  }

  // MARK: Epoch descriptor

  static func descriptor(_ name: String = "keys.example-1") throws -> EpochDescriptor {
    try EpochDescriptor(logID: Identifier(high: 1, low: 2), created: WallTime(nanoseconds: 3), name: name)
  }

  @Test(arguments: ["a", "keys.example-1", "A_Z", String(repeating: "x", count: 128)])
  func `A descriptor comes back as it was`(_ name: String) throws {
    let descriptor = try Self.descriptor(name)
    #expect(try EpochDescriptor(parsing: descriptor.encoded().span) == descriptor)
    #expect(descriptor.encoded().count == 70 + name.utf8.count)
  }

  @Test(arguments: ["", String(repeating: "x", count: 129), "a b", "caf\u{e9}", "a/b", "a\n"])
  func `A name outside the grammar is refused`(_ name: String) {
    #expect(throws: EpochDescriptor.Malformed.self) { try Self.descriptor(name) }
  }

  // MUST: EPOCH-1
  @Test func `A descriptor that breaks the table is refused`() throws {
    let bytes = try Self.descriptor().encoded()
    func changing(_ offset: Int, to values: [UInt8]) -> [UInt8] {
      var changed = bytes
      changed.replaceSubrange(offset..<offset + values.count, with: values)
      return changed
    }
    let name = Array("keys.example-1".utf8)
    var long = changing(68, to: [0, 129])
    long += [UInt8](repeating: 0x61, count: 129 - name.count)
    let wrong: [(String, [UInt8])] = [
      ("magic", changing(0, to: [0x63])), ("a zero of the magic", changing(5, to: [1])),
      ("version 2", changing(7, to: [2])), ("epoch 0", changing(24, to: [0, 0, 0, 0])),
      ("epoch 2 with nothing before it", changing(24, to: [0, 0, 0, 2])),
      ("epoch 1 with something before it", changing(36, to: [1])),
      ("no name", Array(changing(68, to: [0, 0]).prefix(70))), ("a name of 129 bytes", long),
      ("a space", changing(70, to: [0x20])), ("a slash", changing(70, to: [0x2f])),
      ("no ASCII", changing(70, to: [0xc3, 0xa9])), ("a zero", changing(70, to: [0])),
    ]
    for (name, bytes) in wrong {
      #expect(throws: EpochDescriptor.Malformed.self, "\(name)") { try EpochDescriptor(parsing: bytes.span) }
    }
    let second = changing(24, to: [0, 0, 0, 2] + bytes[28..<36] + [1])
    #expect(try EpochDescriptor(parsing: second.span).epoch == 2)
  }

  // MUST: EPOCH-1
  @Test func `A descriptor cut anywhere, or with a byte more, is refused`() throws {
    let bytes = try Self.descriptor().encoded()
    for count in 0..<bytes.count {
      #expect(throws: EpochDescriptor.Malformed.self) {
        try EpochDescriptor(parsing: bytes.span.extracting(0..<count))
      }
    }
    #expect(throws: EpochDescriptor.Malformed.self) { try EpochDescriptor(parsing: (bytes + [0]).span) }
  }

  @Test func `Every changed byte of a descriptor is refused or changes its hash`() throws {
    let descriptor = try Self.descriptor()
    var bytes = descriptor.encoded()
    for index in bytes.indices {
      for bit in 0..<8 {
        bytes[index] ^= 1 << UInt8(bit)
        if let other = try? EpochDescriptor(parsing: bytes.span) {
          #expect(other.hash != descriptor.hash)
          #expect(other.encoded() == bytes)
        }
        bytes[index] ^= 1 << UInt8(bit)
      }
    }
  }

  @Test func `Epoch 1 has no descriptor before it, and every later one has`() {
    #expect(throws: EpochDescriptor.Malformed.self) {
      try EpochDescriptor(
        logID: .zero, epoch: 1, created: WallTime(nanoseconds: 0), previous: Digest(1, 0, 0, 0), name: "a")
    }
    #expect(throws: EpochDescriptor.Malformed.self) {
      try EpochDescriptor(logID: .zero, epoch: 2, created: WallTime(nanoseconds: 0), name: "a")
    }
    #expect(throws: EpochDescriptor.Malformed.self) {
      try EpochDescriptor(logID: .zero, epoch: 0, created: WallTime(nanoseconds: 0), name: "a")
    }
  }
}
