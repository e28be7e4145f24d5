internal import ChatelaineAuditTrail
package import ChatelaineVocabulary

/// How fast a log grows, by the times in its own entries: over the last week and what stands in its oldest segment
/// beside it, or since the log began. And what is written ahead for it.
///
/// Reads a few entries, and verifies nothing.
package struct LogGrowth: Equatable, Sendable {
  private static let windowNanoseconds: UInt64 = 7 * 86_400 * 1_000_000_000
  private static let dayNanoseconds = 86_400e9
  /// What passes in less says nothing of a day.
  private static let spanNanosecondsMin: UInt64 = 600 * 1_000_000_000
  /// Frames of a segment that are looked at for one with entries.
  private static let framesMax = 64

  /// The time of the first entry that counts.
  package let since: WallTime
  package let entries: UInt64
  /// On the disk, with what frames are filled up with.
  package let bytes: UInt64
  /// Of the newest segment and the next: blocks that the log has already, also where the filesystem is full.
  package let reserveBytes: UInt64

  /// nil where nothing can be read.
  package init?(_ storage: any LogStorage, upTo head: AuditLog.Head, now: WallTime) {
    let bound = now.nanoseconds - min(now.nanoseconds, Self.windowNanoseconds)
    func start(_ number: UInt64) -> (sequence: UInt64, wall: WallTime)? { Self.start(of: number, head, storage) }
    // The last segment that began before the week, by halving.
    var (low, high) = (UInt64(0), head.segment)
    while low < high {
      let middle = low + (high - low + 1) / 2
      if let found = start(middle), found.wall.nanoseconds > bound { high = middle - 1 } else { low = middle }
    }
    guard let first = start(low) else { return nil }
    since = first.wall
    entries = head.nextSequence - min(first.sequence, head.nextSequence)
    bytes = (low..<head.segment).reduce(head.segmentUsedBytes) {
      $0 + (Self.size(LogNames.segment(epoch: head.epoch.epoch, $1), storage) ?? 0)
    }
    reserveBytes = head.segmentBytes - min(head.segmentUsedBytes, head.segmentBytes)
      + (Self.size(LogNames.spare, storage) ?? 0)
  }

  /// 0 before the first entry.
  package var bytesPerEntry: Double { entries > 0 ? Double(bytes) / Double(entries) : 0 }

  /// 0 while it cannot be told.
  package func bytesPerDay(until now: WallTime) -> Double {
    guard now.nanoseconds >= since.nanoseconds + Self.spanNanosecondsMin else { return 0 }
    return Double(bytes) / (Double(now.nanoseconds - since.nanoseconds) / Self.dayNanoseconds)
  }

  private static func size(_ name: String, _ storage: any LogStorage) -> UInt64? {
    try? storage.open(name, forWriting: false).size()
  }

  /// The first entry of a segment; nil where none of its first frames has one.
  private static func start(
    of number: UInt64, _ head: AuditLog.Head, _ storage: any LogStorage
  ) -> (sequence: UInt64, wall: WallTime)? {
    guard let file = try? storage.open(LogNames.segment(epoch: head.epoch.epoch, number), forWriting: false),
      let page = try? file.read(at: 0, count: SegmentHeader.byteCount),
      let header = try? SegmentHeader(parsing: page.span)
    else { return nil }
    var offset = UInt64(SegmentHeader.byteCount)
    for _ in 0..<framesMax {
      let byteCount = Frame.headerByteCount + 4 + AuditEntry.fixedByteCount
      guard let bytes = try? file.read(at: offset, count: byteCount), let frame = Frame.parseHeader(bytes.span) else {
        return nil
      }
      if frame.kind == .entries, bytes.count == byteCount {
        var cursor = ByteCursor(at: Frame.headerByteCount + 4 + 64)
        guard let wall = try? cursor.u64(bytes.span) else { return nil }
        return (frame.firstSequence, WallTime(nanoseconds: wall))
      }
      offset += UInt64(frame.paddedByteCount(alignment: header.alignment))
    }
    return nil
  }
}
