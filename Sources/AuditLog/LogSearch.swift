package import ChatelaineAuditTrail
package import ChatelaineVocabulary

/// One entry as the log has it.
package struct FoundEntry: Equatable, Sendable {
  package let sequence: UInt64
  package let leafHash: Digest
  package let bytes: [UInt8]

  package init(sequence: UInt64, leafHash: Digest, bytes: [UInt8]) {
    (self.sequence, self.leafHash, self.bytes) = (sequence, leafHash, bytes)
  }
}

/// Looks through the entries of a log that is being written, in either direction, a bounded while at a time.
///
/// Reads whole frames, and each entry must name the hash of the one before it, as far as both are read; the first of a
/// segment names the one in its header. That the log is the one whose heads were signed, proofs show. Blocks: for a thread
/// that may, one at a time.
package struct LogSearch: Sendable {
  package enum Fault: Error, Equatable, Sendable {
    case storage(StorageFailure)
    /// What stands there is not what a service wrote, or is of a later version.
    case damaged(segment: UInt64, offset: UInt64)
    /// The epochs' own files are not as they were written.
    case epochs
  }

  /// What is looked through.
  package struct Stretch: Sendable {
    package var epoch: UInt32
    /// Entries of that epoch that are on the disk for good.
    package var size: UInt64
    /// The first that is looked at, and the one behind the last.
    package var range: Range<UInt64>
    package var isNewestFirst = false
    package var entriesMax: Int
    /// Of the entries together, but for the first.
    package var bytesMax: Int

    package init(epoch: UInt32, size: UInt64, range: Range<UInt64>, entriesMax: Int, bytesMax: Int) {
      (self.epoch, self.size, self.range) = (epoch, size, range)
      (self.entriesMax, self.bytesMax) = (entriesMax, bytesMax)
    }
  }

  /// What was found, and what is left to look at; that is empty at the end.
  package struct Found: Sendable {
    package fileprivate(set) var entries: [FoundEntry] = []
    package fileprivate(set) var rest: Range<UInt64>
    /// Of the entries together.
    package fileprivate(set) var byteCount = 0

    fileprivate init(rest: Range<UInt64>) { self.rest = rest }
  }

  private struct Number: Hashable {
    let epoch: UInt32
    let segment: UInt64
  }

  private static let mapsMax = 16

  private let storage: any LogStorage
  private var headers: [Number: SegmentHeader] = [:]
  private var maps: [Number: SegmentMap] = [:]
  /// The least recently used first.
  private var uses: [Number] = []

  package init(_ storage: any LogStorage) { self.storage = storage }

  /// The epochs of the log, oldest first.
  package func epochs() throws(Fault) -> [EpochDescriptor] {
    try epochsRead { () throws(LogError) in try LogEpochs(storage).all }
  }

  /// Gives the entries of a stretch that `takes` wants, as many as there may be, until `isLate`: then fewer, or none, and
  /// something is left.
  package mutating func look(
    through stretch: Stretch, isLate: () -> Bool, takes: (Span<UInt8>) -> Bool
  ) throws(Fault) -> Found {
    let directory = try epochsRead { () throws(LogError) in try LogDirectory(storage, epoch: stretch.epoch) }
    var found = Found(rest: stretch.range.clamped(to: 0..<stretch.size))
    var neighbour: Neighbour?
    while !found.rest.isEmpty {
      let next = stretch.isNewestFirst ? found.rest.upperBound - 1 : found.rest.lowerBound
      let header = try header(of: next, directory)
      guard let chunk = try chunk(of: next, header, isLate) else { break }
      try Self.check(chunk, neighbour, header, stretch.isNewestFirst)
      neighbour = Neighbour(chunk, isNewestFirst: stretch.isNewestFirst)
      guard Self.take(chunk, stretch, &found, takes), !isLate() else { break }
    }
    return found
  }

  // MARK: Where

  /// The header of the segment that has an entry.
  private mutating func header(of sequence: UInt64, _ directory: LogDirectory) throws(Fault) -> SegmentHeader {
    var (low, high) = (UInt64(0), UInt64(directory.segmentCount))
    while high > low + 1 {
      let middle = (low + high) / 2
      if try header(middle, directory).firstSequence <= sequence { low = middle } else { high = middle }
    }
    return try header(low, directory)
  }

  private mutating func header(_ segment: UInt64, _ directory: LogDirectory) throws(Fault) -> SegmentHeader {
    let number = Number(epoch: directory.epoch.epoch, segment: segment)
    if let known = headers[number] { return known }
    guard let header = directory.readHeader(segment), header.number == segment, header.epoch == number.epoch,
      header.logID == directory.epoch.logID
    else { throw .damaged(segment: segment, offset: 0) }
    headers[number] = header
    return header
  }

  /// The entries around one; nil where it is late.
  private mutating func chunk(
    of sequence: UInt64, _ header: SegmentHeader, _ isLate: () -> Bool
  ) throws(Fault) -> EntryChunk? {
    let number = Number(epoch: header.epoch, segment: header.number)
    let file = try stored { () throws(StorageFailure) in
      try storage.open(LogNames.segment(epoch: header.epoch, header.number), forWriting: false)
    }
    var map = maps[number] ?? SegmentMap(header)
    if map.end.sequence <= sequence {
      var window = try stored { () throws(StorageFailure) in
        try WindowedFile(file, windowBytes: Int(SegmentMap.chunkBytes))
      }
      let isThere = try map.walk(beyond: sequence, in: &window, isLate: isLate)
      keep(map, number)
      guard isThere else { return nil }
    } else {
      keep(map, number)
    }
    let (start, end) = map.chunk(of: sequence)
    let count = Int(end.offset - start.offset)
    let bytes = try stored { () throws(StorageFailure) in try file.read(at: start.offset, count: count) }
    guard bytes.count == count else { throw .damaged(segment: header.number, offset: start.offset) }
    return try EntryChunk(bytes, from: start, header)
  }

  private mutating func keep(_ map: SegmentMap, _ number: Number) {
    maps[number] = map
    uses.removeAll { $0 == number }
    uses.append(number)
    if uses.count > Self.mapsMax { maps[uses.removeFirst()] = nil }
  }

  // MARK: What

  /// What the chunk before left to be held against.
  private struct Neighbour {
    /// Where the next chunk must begin, or end.
    let sequence: UInt64
    /// Which its first entry must name, or its last one have.
    let leaf: Digest

    init?(_ chunk: EntryChunk, isNewestFirst: Bool) {
      guard let first = chunk.entries.first, let last = chunk.entries.last else { return nil }
      (sequence, leaf) = isNewestFirst ? (first.sequence, chunk.previous) : (last.sequence + 1, chunk.lastLeaf)
    }
  }

  private static func check(
    _ chunk: EntryChunk, _ neighbour: Neighbour?, _ header: SegmentHeader, _ isNewestFirst: Bool
  ) throws(Fault) {
    guard let first = chunk.entries.first, let last = chunk.entries.last else {
      throw .damaged(segment: header.number, offset: UInt64(SegmentHeader.byteCount))
    }
    var isLinked = first.sequence != header.firstSequence || chunk.previous == header.previousLeaf
    if let neighbour, isNewestFirst, last.sequence + 1 == neighbour.sequence { isLinked = isLinked && chunk.lastLeaf == neighbour.leaf }
    if let neighbour, !isNewestFirst, first.sequence == neighbour.sequence { isLinked = isLinked && chunk.previous == neighbour.leaf }
    guard isLinked else { throw .damaged(segment: header.number, offset: chunk.offset) }
  }

  /// Whether there may be more.
  private static func take(
    _ chunk: EntryChunk, _ stretch: Stretch, _ found: inout Found, _ takes: (Span<UInt8>) -> Bool
  ) -> Bool {
    let count = chunk.entries.count
    for step in 0..<count {
      let (sequence, range) = chunk.entries[stretch.isNewestFirst ? count - 1 - step : step]
      guard found.rest.contains(sequence) else { continue }
      let bytes = chunk.bytes.span.extracting(range)
      if takes(bytes) {
        guard found.entries.isEmpty || found.byteCount + range.count <= stretch.bytesMax else { return false }
        found.byteCount += range.count
        found.entries.append(
          FoundEntry(sequence: sequence, leafHash: AuditEntry.leafHash(bytes), bytes: bytes.copied()))
      }
      found.rest = stretch.isNewestFirst
        ? found.rest.lowerBound..<sequence : sequence + 1..<max(sequence + 1, found.rest.upperBound)
      if found.entries.count >= stretch.entriesMax { return false }
    }
    return true
  }
}

private func stored<Value>(_ body: () throws(StorageFailure) -> Value) throws(LogSearch.Fault) -> Value {
  do throws(StorageFailure) { return try body() } catch { throw .storage(error) }
}

private func epochsRead<Value>(_ body: () throws(LogError) -> Value) throws(LogSearch.Fault) -> Value {
  do throws(LogError) { return try body() } catch {
    if case .storage(let failure) = error { throw .storage(failure) }
    throw .epochs
  }
}
