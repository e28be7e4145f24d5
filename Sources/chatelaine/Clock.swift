internal import ChatelaineVocabulary
internal import Glibc

extension WallTime {
  static func now() -> WallTime {
    var time = timespec()
    precondition(unsafe clock_gettime(CLOCK_REALTIME, &time) == 0, "there is no clock")
    return WallTime(nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
  }

  /// RFC 3339, in UTC, to the nanosecond.
  var rfc3339: String {
    var seconds = time_t(nanoseconds / 1_000_000_000)
    var parts = unsafe tm()
    unsafe gmtime_r(&seconds, &parts)
    let date = unsafe [padded(parts.tm_year + 1900, 4), padded(parts.tm_mon + 1, 2), padded(parts.tm_mday, 2)]
    let time = unsafe [padded(parts.tm_hour, 2), padded(parts.tm_min, 2), padded(parts.tm_sec, 2)]
    let fraction = padded(Int32(nanoseconds % 1_000_000_000), 9)
    return date.joined(separator: "-") + "T" + time.joined(separator: ":") + "." + fraction + "Z"
  }
}

private func padded(_ number: Int32, _ width: Int) -> String {
  let digits = String(number)
  return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
}
