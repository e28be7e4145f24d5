internal import Glibc

/// When everything has to be done: a point of the monotonic clock.
package struct Deadline: Sendable {
  private let end: UInt64

  package init(seconds: Int) { end = Self.now() + UInt64(max(0, seconds)) * 1000 }

  /// For poll(2); nil where it has passed.
  var millisecondsLeft: Int32? {
    let now = Self.now()
    return now < end ? Int32(clamping: end - now) : nil
  }

  private static func now() -> UInt64 {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1000 + UInt64(time.tv_nsec) / 1_000_000
  }
}
