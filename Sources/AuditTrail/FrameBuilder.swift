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

  /// Whether entries of these lengths together still fit the frame, given `room` bytes to the segment's end.
  package func fits(_ drafts: ArraySlice<EntryDraft>, room: Int) -> Bool {
    fittingCount(drafts, room: room) == drafts.count
  }

  /// How many entries at the front of these still fit the frame.
  package func fittingCount(_ drafts: ArraySlice<EntryDraft>, room: Int) -> Int {
    var whole = buffer.count + Frame.trailerByteCount
    var count = 0
    for draft in drafts.prefix(Limits.frameEntriesMax - header.count) {
      whole += 4 + draft.bytes.count
      guard (whole + alignment - 1) / alignment * alignment <= min(frameBytesMax, room) else { break }
      count += 1
    }
    return count
  }

  /// Adds an entry and returns its leaf hash.
  package mutating func append(_ draft: EntryDraft, blind: Identifier) -> Digest {
    let start = buffer.count + 4
    let count = draft.bytes.count
    let (sequence, previous, incarnation) = (header.firstSequence + UInt64(header.count), previousLeaf, incarnation)
    buffer.append(contentsOf: repeatElement(0, count: 4))
    buffer.append(contentsOf: draft.bytes)
    var bytes = buffer.mutableSpan
    bytes.put(UInt32(count), at: start - 4)
    bytes.put(sequence, at: start + 8)
    bytes.put(previous, at: start + 16)
    bytes.put(blind.high, at: start + 48)
    bytes.put(blind.low, at: start + 56)
    bytes.put(incarnation, at: start + 80)
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
}
