internal import ChatelaineAuditTrail
internal import ChatelaineVocabulary

/// Reads the entries of an epoch from a place on, and checks that each names the hash of the one before: where the last
/// hash is one that is known, all of them are as they were written.
struct EntryRun: Sendable {
  /// What stands there is no such entry.
  struct Broken: Error, Equatable {}

  private let storage: any LogStorage
  private let epoch: UInt32
  private(set) var place: LogFollower.Place
  private(set) var nextSequence: UInt64
  /// The hash that the next entry names.
  private(set) var previousLeaf: Digest
  private var alignment = 0
  private var file: WindowedFile?

  /// `place` is where the frame of entry `sequence` begins.
  init(
    _ storage: any LogStorage, epoch: UInt32, from place: LogFollower.Place, _ sequence: UInt64, after leaf: Digest
  ) {
    (self.storage, self.epoch, self.place) = (storage, epoch, place)
    (nextSequence, previousLeaf) = (sequence, leaf)
  }

  /// From the first entry on.
  init(_ storage: any LogStorage, _ epoch: EpochDescriptor) {
    self.init(storage, epoch: epoch.epoch, from: .first, 0, after: epoch.hash)
  }

  /// Reads up to the end of the frame with entry `size - 1`, which must be on the disk.
  mutating func read(to size: UInt64, visit: (Span<UInt8>) -> Void) throws(Broken) {
    // why: what was read ahead may have been written since.
    file = nil
    while nextSequence < size { try frame(visit) }
  }

  /// Reads one frame, or passes a seal.
  mutating func next(visit: (Span<UInt8>) -> Void) throws(Broken) { try frame(visit) }

  private mutating func frame(_ visit: (Span<UInt8>) -> Void) throws(Broken) {
    var file = if let file { file } else { try opened() }
    guard let header = try Self.read(&file, at: place.offset, Frame.headerByteCount, { Frame.parseHeader($0) }) else {
      throw Broken()
    }
    switch header.kind {
    case .seal:
      (self.file, place) = (nil, .beginning(of: place.segment + 1))
    case .entries:
      guard header.firstSequence == nextSequence else { throw Broken() }
      var (sequence, leaf) = (nextSequence, previousLeaf)
      let start = place.offset + UInt64(Frame.headerByteCount)
      let isWhole = try Self.read(&file, at: start, header.bodyByteCount) { body in
        body.count == header.bodyByteCount && Self.take(header.count, body, &sequence, &leaf, visit)
      }
      guard isWhole else { throw Broken() }
      (nextSequence, previousLeaf) = (sequence, leaf)
      place.offset += UInt64(header.paddedByteCount(alignment: alignment))
      self.file = file
    case .signedNote, .purged: throw Broken()
    }
  }

  private mutating func opened() throws(Broken) -> WindowedFile {
    let name = LogNames.segment(epoch: epoch, place.segment)
    guard let file = try? storage.open(name, forWriting: false),
      let page = try? file.read(at: 0, count: SegmentHeader.byteCount),
      let header = try? SegmentHeader(parsing: page.span), let window = try? WindowedFile(file, windowBytes: 1 << 18)
    else { throw Broken() }
    alignment = header.alignment
    return window
  }

  private static func read<Result>(
    _ file: inout WindowedFile, at offset: UInt64, _ count: Int, _ body: (Span<UInt8>) -> Result
  ) throws(Broken) -> Result {
    do { return try file.withBytes(at: offset, count: count) { (bytes) throws(Broken) in body(bytes) } } catch {
      throw Broken()
    }
  }

  /// Takes the entries of a frame; false where one is none, or does not follow.
  private static func take(
    _ count: Int, _ body: Span<UInt8>, _ sequence: inout UInt64, _ leaf: inout Digest, _ visit: (Span<UInt8>) -> Void
  ) -> Bool {
    var cursor = ByteCursor()
    for _ in 0..<count {
      guard let length = try? cursor.u32(body), let range = try? cursor.range(Int(length), body) else { return false }
      let entry = body.extracting(range)
      guard (try? AuditEntry.validate(entry)) != nil, Self.isNext(entry, sequence, leaf) else { return false }
      visit(entry)
      leaf = AuditEntry.leafHash(entry)
      sequence += 1
    }
    return true
  }

  private static func isNext(_ entry: Span<UInt8>, _ sequence: UInt64, _ leaf: Digest) -> Bool {
    var cursor = ByteCursor(at: 8)
    return (try? cursor.u64(entry)) == sequence && (try? cursor.digest(entry)) == leaf
  }
}
