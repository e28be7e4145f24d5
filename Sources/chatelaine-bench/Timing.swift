internal import Glibc

/// Nanoseconds of a clock that does not jump.
func now() -> UInt64 {
  var time = timespec()
  unsafe clock_gettime(CLOCK_MONOTONIC, &time)
  return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// Nanoseconds an operation, over `count` of them.
func nanosecondsEach(_ count: Int, _ body: (Int) -> Void) -> Double {
  let start = now()
  for index in 0..<count { body(index) }
  return Double(now() - start) / Double(count)
}
