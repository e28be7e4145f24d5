internal import ChatelainePrimitives
package import ChatelaineVocabulary

/// Builds frames of entries: gives each its sequence, link, blind and incarnation, and hashes it once.
package struct FrameBuilder: Sendable {
  package let alignment: Int
  package let frameBytesMax: Int
  private var buffer: [UInt8] = []
  private var header: Frame.Header
  private var previousLeaf: Digest = .zero
  private let incarnation: UInt32

  package init(alignment: Int, frameBytesMax: Int, processNonce: Identifier, incarnation: UInt32) {
    self.incarnation = incarnation
    self.alignment = alignment
    self.frameBytesMax = frameBytesMax
    header = Frame.Header(
      kind: .entries, number: 0, firstSequence: 0, count: 0, bodyByteCount: 0, processNonce: processNonce)
    buffer.reserveCapacity(frameBytesMax)
  }

  /// Starts a frame; `previousLeaf` is the link of its first entry.
  package mutating func begin(number: UInt64, firstSequence: UInt64, previousLeaf: Digest) {
    header.number = number
    header.firstSequence = firstSequence
    header.count = 0
    self.previousLeaf = previousLeaf
    buffer.removeAll(keepingCapacity: true)
    buffer.append(contentsOf: repeatElement(0, count: Frame.headerByteCount))
  }

  package var count: Int { header.count }

  /// Whether an entry of this length still fits the frame, given `room` bytes to the segment's end.
  package func fits(_ entryByteCount: Int, room: Int) -> Bool {
    let whole = buffer.count + 4 + entryByteCount + Frame.trailerByteCount
    let padded = (whole + alignment - 1) / alignment * alignment
    return header.count < Limits.frameEntriesMax && padded <= min(frameBytesMax, room)
  }

  /// Adds an entry and returns its leaf hash.
  package mutating func append(_ draft: EntryDraft, blind: Identifier) -> Digest {
    let start = buffer.count + 4
    let count = draft.bytes.count
    for shift in [24, 16, 8, 0] { buffer.append(UInt8(truncatingIfNeeded: count >> shift)) }
    buffer.append(contentsOf: draft.bytes)
    put(header.firstSequence + UInt64(header.count), at: start + 8)
    put(previousLeaf, at: start + 16)
    put(blind.high, at: start + 48)
    put(blind.low, at: start + 56)
    for index in 0..<4 { buffer[start + 80 + index] = UInt8(truncatingIfNeeded: incarnation >> UInt32(24 - 8 * index)) }
    header.count += 1
    previousLeaf = AuditEntry.leafHash(buffer.span.extracting(start..<start + count))
    return previousLeaf
  }

  /// Closes the frame and lends its padded bytes.
  package mutating func finish<Result, Failure: Error>(
    _ body: (Span<UInt8>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    precondition(header.count > 0, "a frame of entries has at least one")
    header.bodyByteCount = buffer.count - Frame.headerByteCount
    var writer = ByteWriter(capacity: Frame.headerByteCount)
    Frame.encode(header, into: &writer)
    for index in 0..<Frame.headerByteCount { buffer[index] = writer.bytes[index] }
    let trailer = Frame.trailer(writer.bytes.span, previousLeaf.bytes.span)
    buffer.append(contentsOf: trailer.bytes)
    let padding = header.paddedByteCount(alignment: alignment) - buffer.count
    buffer.append(contentsOf: repeatElement(0, count: padding))
    return try body(buffer.span)
  }

  private mutating func put(_ value: UInt64, at offset: Int) {
    var bytes = buffer.mutableSpan
    for index in 0..<8 { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(56 - 8 * index)) }
  }

  private mutating func put(_ digest: Digest, at offset: Int) {
    put(digest.words.0, at: offset)
    put(digest.words.1, at: offset + 8)
    put(digest.words.2, at: offset + 16)
    put(digest.words.3, at: offset + 24)
  }
}
