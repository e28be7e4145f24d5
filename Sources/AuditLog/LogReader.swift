package import ChatelaineAuditTrail
internal import ChatelaineVocabulary

/// Reads an epoch of a log from its first entry, checking everything that can be recomputed, without keys and
/// without the service. Can go on where it stopped while a writer appends.
package struct LogReader {
  /// Where reading stopped.
  package struct End: Equatable, Sendable {
    package let segment: UInt64
    package let segmentFile: String
    package let offset: UInt64
    package let tail: SegmentEnd.Tail
  }

  package private(set) var verifier: ChainVerifier
  package let epoch: EpochDescriptor
  private let storage: any LogStorage
  private var walk: SegmentWalk
  private let ahead: ReadAhead?

  /// Without an epoch: the newest. Without `ahead`, all is done by the thread that reads.
  package init(_ storage: any LogStorage, epoch number: UInt32? = nil, ahead: ReadAhead? = nil) throws(LogError) {
    let directory = try LogDirectory(storage, epoch: number)
    (self.storage, self.ahead) = (storage, ahead)
    epoch = directory.epoch
    verifier = ChainVerifier(epoch: directory.epoch)
    walk = try directory.walk(0, sequence: 0)
  }

  /// Calls `visit` with each entry that is there by now, oldest first, and `progress` with the bytes
  /// passed since the last call of it.
  package mutating func readAvailable(
    visit: (Span<UInt8>) -> Void, progress: (UInt64) -> Void = { _ in }
  ) throws(LogError) -> End {
    while true {
      let directory = try LogDirectory(storage, epoch: epoch.epoch)
      try walk.refresh()
      walk.ahead = ahead
      walk.hasSuccessor = walk.number + 1 < directory.walkEnd
      var passed: UInt64 = 0
      let end = try walk.run(&verifier, visit: visit) { offset in
        progress(offset - min(passed, offset))
        passed = offset
      }
      guard walk.hasSuccessor, verifier.isSealed else {
        return End(segment: walk.number, segmentFile: walk.name, offset: end.end, tail: end.tail)
      }
      walk = try directory.walk(walk.number + 1, sequence: verifier.nextSequence)
    }
  }

  /// Has `watch` told of the roots at sizes from `size` on, as they are passed.
  package mutating func watch(from size: UInt64, by watch: any TreeWatch) { verifier.watch(from: size, by: watch) }

  /// Large subtrees are kept as they are completed.
  mutating func keepNodes() { verifier.keepsNodes = true }

  mutating func takeNodes() -> [StoredNode] { verifier.takeNodes() }

  /// Bytes of all segments as they are now, for progress.
  package func totalBytes() throws(LogError) -> UInt64 {
    let directory = try LogDirectory(storage, epoch: epoch.epoch)
    var total: UInt64 = 0
    for number in 0..<UInt64(directory.segmentCount) {
      let name = LogNames.segment(epoch: epoch.epoch, number)
      do throws(StorageFailure) { total += try storage.open(name, forWriting: false).size() } catch { throw .storage(error) }
    }
    return total
  }
}
