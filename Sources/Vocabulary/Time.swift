/// Nanoseconds since 1970-01-01T00:00:00Z, as formats carry it.
package struct WallTime: Hashable, Sendable, Comparable {
  package let nanoseconds: UInt64

  package init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

  package static func < (a: WallTime, b: WallTime) -> Bool { a.nanoseconds < b.nanoseconds }
}

// MARK: RFC 3339

extension WallTime {
  private static let nanosecondsOfSecond: UInt64 = 1_000_000_000
  private static let secondsOfDay: Int64 = 86_400

  /// Parses RFC 3339 in UTC with up to nine digits of a second's fraction, or nil.
  package init?(rfc3339 text: String) {
    guard let match = text.wholeMatch(of: /(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?Z/) else { return nil }
    func number(_ digits: Substring) -> Int64 { Int64(digits) ?? 0 }
    let date = CivilDate(year: number(match.1), month: number(match.2), day: number(match.3))
    let (hour, minute, second) = (number(match.4), number(match.5), number(match.6))
    // why: a day that the month does not have would come back as one of the next.
    guard (1...12).contains(date.month), CivilDate(day: date.daysSinceEpoch) == date, date.year >= 1970, hour < 24,
      minute < 60, second < 60
    else { return nil }
    let seconds = date.daysSinceEpoch * Self.secondsOfDay + hour * 3600 + minute * 60 + second
    let fraction = (match.7.map(String.init) ?? "") + "000000000"
    let (whole, isTooLate) = UInt64(seconds).multipliedReportingOverflow(by: Self.nanosecondsOfSecond)
    let (nanoseconds, isLater) = whole.addingReportingOverflow(UInt64(fraction.prefix(9)) ?? 0)
    guard !isTooLate, !isLater else { return nil }
    self.init(nanoseconds: nanoseconds)
  }

  /// RFC 3339, in UTC, to the nanosecond.
  package var rfc3339: String {
    let seconds = Int64(nanoseconds / Self.nanosecondsOfSecond)
    let date = CivilDate(day: seconds / Self.secondsOfDay)
    let rest = seconds % Self.secondsOfDay
    let days = [padded(date.year, 4), padded(date.month, 2), padded(date.day, 2)].joined(separator: "-")
    let time = [padded(rest / 3600, 2), padded(rest / 60 % 60, 2), padded(rest % 60, 2)].joined(separator: ":")
    return "\(days)T\(time).\(padded(Int64(nanoseconds % Self.nanosecondsOfSecond), 9))Z"
  }
}

private func padded(_ number: Int64, _ width: Int) -> String {
  let digits = String(number)
  return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
}

/// A day of the Gregorian calendar. Days are counted from 1 March of a year that 400 divides, so that leap days come
/// last.
private struct CivilDate: Equatable {
  var year: Int64
  var month: Int64
  var day: Int64

  private static let daysOf400Years: Int64 = 146_097
  private static let daysBefore1970: Int64 = 719_468

  init(year: Int64, month: Int64, day: Int64) {
    self.year = year
    self.month = month
    self.day = day
  }

  /// The day so many after 1970-01-01.
  init(day count: Int64) {
    let days = count + Self.daysBefore1970
    let (cycle, within) = (days / Self.daysOf400Years, days % Self.daysOf400Years)
    let years = (within - within / 1460 + within / 36_524 - within / 146_096) / 365
    let dayOfYear = within - (365 * years + years / 4 - years / 100)
    let marchMonth = (5 * dayOfYear + 2) / 153
    day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
    month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
    year = cycle * 400 + years + (month <= 2 ? 1 : 0)
  }

  var daysSinceEpoch: Int64 {
    let marchYear = month <= 2 ? year - 1 : year
    let (cycle, years) = (marchYear / 400, marchYear % 400)
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    return cycle * Self.daysOf400Years + years * 365 + years / 4 - years / 100 + dayOfYear - Self.daysBefore1970
  }
}
