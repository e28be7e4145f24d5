internal import ChatelainePrimitives
package import ChatelaineVocabulary

/// The first 4,096 bytes of a segment file.
///
///       0  8 "CHSEG" 00 00 01    8 16 log id    24  4 epoch    28  4 align (512 or 4096)
///      32  8 segment no         40  8 first seq 48 32 prev leaf hash   80 32 tree root at first seq
///     112  8 file size         120  4 max frame 124 4 zero
///     128 32 SHA-256(previous header page)      160 zero      4064 32 SHA-256(bytes[0..4064))
package struct SegmentHeader: Equatable, Sendable {
  package static let byteCount = 4096
  private static let magic: [UInt8] = Array("CHSEG".utf8) + [0, 0, 1]

  package var logID: Identifier
  package var epoch: UInt32
  package var alignment: Int
  package var number: UInt64
  package var firstSequence: UInt64
  package var previousLeaf: Digest
  package var treeRoot: Digest
  /// Size that the file was made with; a sealed one may be cut after its last frame.
  package var fileSize: UInt64
  package var frameBytesMax: Int
  package var previousHeaderHash: Digest

  package init(
    logID: Identifier, epoch: UInt32, alignment: Int, number: UInt64, firstSequence: UInt64, previousLeaf: Digest,
    treeRoot: Digest, fileSize: UInt64, frameBytesMax: Int, previousHeaderHash: Digest
  ) {
    self.logID = logID
    self.epoch = epoch
    self.alignment = alignment
    self.number = number
    self.firstSequence = firstSequence
    self.previousLeaf = previousLeaf
    self.treeRoot = treeRoot
    self.fileSize = fileSize
    self.frameBytesMax = frameBytesMax
    self.previousHeaderHash = previousHeaderHash
  }

  package struct Malformed: Error, Equatable {}

  package init(parsing page: Span<UInt8>) throws(Malformed) {
    guard page.count == Self.byteCount, page.extracting(0..<8).equals(Self.magic),
      SHA256.hash(page.extracting(0..<4064)) == Digest(page.extracting(4064..<4096)),
      page.extracting(124..<128).isZero, page.extracting(160..<4064).isZero
    else { throw Malformed() }
    do {
      var cursor = ByteCursor(at: 8)
      logID = try cursor.identifier(page)
      epoch = try cursor.u32(page)
      alignment = Int(try cursor.u32(page))
      number = try cursor.u64(page)
      firstSequence = try cursor.u64(page)
      previousLeaf = try cursor.digest(page)
      treeRoot = try cursor.digest(page)
      fileSize = try cursor.u64(page)
      frameBytesMax = Int(try cursor.u32(page))
      previousHeaderHash = Digest(page.extracting(128..<160))
    } catch { throw Malformed() }
    guard epoch >= 1, alignment == 512 || alignment == 4096, Limits.frameBytesRange.contains(frameBytesMax),
      frameBytesMax.isMultiple(of: alignment), fileSize >= UInt64(Self.byteCount), fileSize < 1 << 62
    else { throw Malformed() }
  }

  package func encoded() -> [UInt8] {
    var writer = ByteWriter(capacity: Self.byteCount)
    writer.raw(Self.magic)
    writer.identifier(logID)
    writer.u32(epoch)
    writer.u32(UInt32(alignment))
    writer.u64(number)
    writer.u64(firstSequence)
    writer.digest(previousLeaf)
    writer.digest(treeRoot)
    writer.u64(fileSize)
    writer.u32(UInt32(frameBytesMax))
    writer.zeros(4)
    writer.digest(previousHeaderHash)
    writer.zeros(4064 - 160)
    writer.digest(SHA256.hash(writer.bytes))
    return writer.bytes
  }
}

extension Span<UInt8> {
  /// Whether every byte is zero.
  package var isZero: Bool {
    for index in indices where self[index] != 0 { return false }
    return true
  }
}
