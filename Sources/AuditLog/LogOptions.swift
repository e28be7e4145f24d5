internal import Glibc
package import ChatelaineVocabulary

/// How a log is written.
package struct LogOptions: Sendable {
  /// A full-grown segment; the first is `firstSegmentBytes`, each next four times its predecessor.
  package var segmentBytes: UInt64 = 512 << 20
  /// Small, so that a first start takes milliseconds.
  package var firstSegmentBytes: UInt64 = 1 << 20
  package var frameBytesMax = 1 << 20
  /// Frames begin at multiples of this; nil takes the disk's physical sector.
  package var alignment: Int?

  package init() {}

  func nextSize(after size: UInt64) -> UInt64 { max(firstSegmentBytes, min(segmentBytes, size * 4)) }
}

/// Where entries' times come from.
package struct LogClock: Sendable {
  package let wall: @Sendable () -> WallTime
  /// CLOCK_BOOTTIME, nanoseconds: does not jump.
  package let bootNanoseconds: @Sendable () -> UInt64

  package init(wall: @escaping @Sendable () -> WallTime, bootNanoseconds: @escaping @Sendable () -> UInt64) {
    self.wall = wall
    self.bootNanoseconds = bootNanoseconds
  }

  package static let system = LogClock(
    wall: { WallTime(nanoseconds: nanoseconds(CLOCK_REALTIME)) },
    bootNanoseconds: { nanoseconds(CLOCK_BOOTTIME) })

  private static func nanoseconds(_ clock: clockid_t) -> UInt64 {
    var time = timespec()
    unsafe clock_gettime(clock, &time)
    return UInt64(max(0, time.tv_sec)) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}
