internal import ChatelaineAuditTrail
internal import ChatelaineVocabulary

/// Reads what a writer wrote, behind it, from the files and as a stranger would: every link, tree hash and trailer is
/// computed again from the bytes. Never looks beyond the entries that it is told are durable.
struct LogFollower: Sendable {
  /// Where a frame begins.
  struct Place: Equatable, Sendable {
    var segment: UInt64
    var offset: UInt64

    static let first = Place.beginning(of: 0)

    /// Behind the header page.
    static func beginning(of segment: UInt64) -> Place {
      Place(segment: segment, offset: UInt64(SegmentHeader.byteCount))
    }
  }

  private(set) var verifier: ChainVerifier
  private let storage: any LogStorage
  private let epoch: EpochDescriptor
  /// The segment under way and where its next frame begins.
  private var segment: UInt64
  private var offset: UInt64
  /// Kept open, so that a process without descriptors goes on.
  private var walk: SegmentWalk?

  /// Goes on where a start stopped reading.
  init(_ verifier: ChainVerifier, epoch: EpochDescriptor, segment: UInt64, offset: UInt64, in storage: any LogStorage) {
    self.verifier = verifier
    self.epoch = epoch
    self.segment = segment
    self.offset = offset
    self.storage = storage
  }

  /// Where the next frame begins.
  var place: Place { offset == 0 ? .beginning(of: segment) : Place(segment: segment, offset: offset) }

  /// Reads until the tree has `size` leaves.
  mutating func follow(to size: UInt64, visit: (Span<UInt8>) -> Void = { _ in }) throws(LogError) {
    guard verifier.nextSequence < size else { return }
    var walk = if let kept = self.walk { kept } else { try resume() }
    // why: what was read ahead may have been written since.
    try walk.refresh()
    while verifier.nextSequence < size {
      if verifier.isSealed, offset > 0 {
        (self.walk, segment, offset) = (nil, segment + 1, 0)
        walk = try resume()
      }
      offset = try walk.step(&verifier, visit: visit)
    }
    self.walk = walk
  }

  mutating func takeNodes() -> [StoredNode] { verifier.takeNodes() }

  private func resume() throws(LogError) -> SegmentWalk {
    let name = LogNames.segment(epoch: epoch.epoch, segment)
    let file: any LogFile
    do throws(StorageFailure) { file = try storage.open(name, forWriting: false) } catch { throw .storage(error) }
    return try SegmentWalk(file, name: name, number: segment, from: offset)
  }
}
