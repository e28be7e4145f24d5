internal import ChatelaineAuditTrail
internal import ChatelaineVocabulary

/// Where in a segment frames begin, one in every quarter of a mebibyte: found from the frames' headers, as far as somebody
/// wanted to know, and gone on with as the segment grows.
struct SegmentMap {
  /// Where the frame of an entry begins.
  struct Place: Equatable, Sendable {
    let sequence: UInt64
    let offset: UInt64
  }

  static let chunkBytes: UInt64 = 1 << 18

  let header: SegmentHeader
  /// Ascending; the first is the segment's first frame.
  private(set) var places: [Place]
  /// Behind the last frame that was passed.
  private(set) var end: Place

  init(_ header: SegmentHeader) {
    self.header = header
    end = Place(sequence: header.firstSequence, offset: UInt64(SegmentHeader.byteCount))
    places = [end]
  }

  /// Passes frames until entry `sequence` is passed, which must be on the disk; false where `isLate` says so first. Throws
  /// the place of what is no frame with the next entries.
  mutating func walk(
    beyond sequence: UInt64, in file: inout WindowedFile, isLate: () -> Bool
  ) throws(LogSearch.Fault) -> Bool {
    while end.sequence <= sequence {
      if end.offset >= places[places.count - 1].offset + Self.chunkBytes {
        guard !isLate() else { return false }
        places.append(end)
      }
      try pass(&file)
    }
    return true
  }

  private mutating func pass(_ file: inout WindowedFile) throws(LogSearch.Fault) {
    guard let frame = try Self.frame(at: end.offset, &file), frame.kind == .entries, frame.firstSequence == end.sequence,
      frame.count > 0, frame.paddedByteCount(alignment: header.alignment) <= header.frameBytesMax
    else { throw .damaged(segment: header.number, offset: end.offset) }
    end = Place(
      sequence: end.sequence + UInt64(frame.count),
      offset: end.offset + UInt64(frame.paddedByteCount(alignment: header.alignment)))
  }

  private static func frame(at offset: UInt64, _ file: inout WindowedFile) throws(LogSearch.Fault) -> Frame.Header? {
    do throws(WindowError<Never>) {
      return try file.withBytes(at: offset, count: Frame.headerByteCount) { Frame.parseHeader($0) }
    } catch {
      switch error {
      case .storage(let failure): throw .storage(failure)
      }
    }
  }

  /// The frames from the last place that is not behind an entry up to the next place; the entry was passed.
  func chunk(of sequence: UInt64) -> (start: Place, end: Place) {
    var (low, high) = (0, places.count)
    while high - low > 1 {
      let middle = (low + high) / 2
      if places[middle].sequence <= sequence { low = middle } else { high = middle }
    }
    return (places[low], low + 1 < places.count ? places[low + 1] : end)
  }
}

/// The entries of some frames of a segment, whole and linked.
struct EntryChunk {
  private(set) var entries: [(sequence: UInt64, range: Range<Int>)] = []
  let bytes: [UInt8]
  /// In the segment.
  let offset: UInt64
  /// Which the first entry names.
  private(set) var previous: Digest
  /// Of the last entry.
  private(set) var lastLeaf: Digest

  /// Throws where a frame is not whole in itself, or an entry does not name the one before it.
  init(
    _ bytes: [UInt8], from start: SegmentMap.Place, _ segment: SegmentHeader
  ) throws(LogSearch.Fault) {
    (self.bytes, self.offset, previous, lastLeaf) = (bytes, start.offset, .zero, .zero)
    var (offset, sequence) = (0, start.sequence)
    while offset < bytes.count {
      let place = start.offset + UInt64(offset)
      let rest = bytes.span.extracting(offset...)
      guard
        let frame = Frame.selfContained(rest, alignment: segment.alignment, frameBytesMax: segment.frameBytesMax),
        frame.kind == .entries, frame.firstSequence == sequence
      else { throw .damaged(segment: segment.number, offset: place) }
      try take(frame, from: offset + Frame.headerByteCount, at: place, segment.number)
      sequence += UInt64(frame.count)
      offset += frame.paddedByteCount(alignment: segment.alignment)
    }
  }

  private mutating func take(
    _ frame: Frame.Header, from start: Int, at place: UInt64, _ segment: UInt64
  ) throws(LogSearch.Fault) {
    var cursor = ByteCursor(at: start)
    for index in 0..<UInt64(frame.count) {
      guard let count = try? cursor.u32(bytes.span), let range = try? cursor.range(Int(count), bytes.span) else {
        throw .damaged(segment: segment, offset: place)
      }
      if index == 0 {
        let named = AuditEntry.previous(in: bytes.span.extracting(range))
        if entries.isEmpty { previous = named } else if named != lastLeaf { throw .damaged(segment: segment, offset: place) }
      }
      entries.append((frame.firstSequence + index, range))
      // why: within a frame the links were followed already.
      if index + 1 == UInt64(frame.count) { lastLeaf = AuditEntry.leafHash(bytes.span.extracting(range)) }
    }
  }
}
