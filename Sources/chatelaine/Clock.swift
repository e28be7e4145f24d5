internal import ChatelaineVocabulary
internal import Glibc

extension WallTime {
  static func now() -> WallTime {
    var time = timespec()
    precondition(unsafe clock_gettime(CLOCK_REALTIME, &time) == 0, "there is no clock")
    return WallTime(nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
  }

  /// Parses RFC 3339 in UTC with up to nine digits of a second's fraction, or nil.
  init?(rfc3339 text: String) {
    guard let match = text.wholeMatch(of: /(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?Z/) else { return nil }
    func number(_ digits: Substring) -> Int32 { Int32(digits) ?? 0 }
    var parts = unsafe tm()
    unsafe parts.tm_year = number(match.1) - 1900
    unsafe parts.tm_mon = number(match.2) - 1
    unsafe parts.tm_mday = number(match.3)
    unsafe parts.tm_hour = number(match.4)
    unsafe parts.tm_min = number(match.5)
    unsafe parts.tm_sec = number(match.6)
    let given = unsafe (parts.tm_mon, parts.tm_mday, parts.tm_hour, parts.tm_min)
    let seconds = unsafe timegm(&parts)
    // why: timegm moves the 31st of February into March instead of refusing it.
    guard seconds >= 0, unsafe given == (parts.tm_mon, parts.tm_mday, parts.tm_hour, parts.tm_min) else { return nil }
    let fraction = (match.7.map(String.init) ?? "") + "000000000"
    self.init(nanoseconds: UInt64(seconds) * 1_000_000_000 + (UInt64(fraction.prefix(9)) ?? 0))
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
