import ChatelaineVocabulary
import Foundation
import Testing

@Suite("Times as RFC 3339 has them") struct TimeTests {
  @Test("Known instants, there and back", arguments: [
    (0, "1970-01-01T00:00:00.000000000Z"), (1, "1970-01-01T00:00:00.000000001Z"),
    (951_782_399_999_999_999, "2000-02-28T23:59:59.999999999Z"), (951_782_400_000_000_000, "2000-02-29T00:00:00.000000000Z"),
    (1_798_761_600_000_000_000, "2027-01-01T00:00:00.000000000Z"),
    (4_107_542_400_000_000_000, "2100-03-01T00:00:00.000000000Z"),
    (18_446_744_073_709_551_615, "2554-07-21T23:34:33.709551615Z"),
  ] as [(UInt64, String)])
  func known(_ nanoseconds: UInt64, _ text: String) {
    #expect(WallTime(nanoseconds: nanoseconds).rfc3339 == text)
    #expect(WallTime(rfc3339: text) == WallTime(nanoseconds: nanoseconds))
  }

  @Test("Days of 580 years are those that Foundation says")
  func days() throws {
    var calendar = Calendar(identifier: .gregorian)
    calendar.timeZone = try #require(TimeZone(identifier: "UTC"))
    for day in stride(from: 0, to: 213_000, by: 97) {
      let parts = calendar.dateComponents([.year, .month, .day], from: Date(timeIntervalSince1970: Double(day) * 86_400))
      let expected = String(format: "%04d-%02d-%02d", parts.year ?? 0, parts.month ?? 0, parts.day ?? 0)
      let time = WallTime(nanoseconds: UInt64(day) * 86_400_000_000_000)
      guard time.rfc3339.hasPrefix(expected), WallTime(rfc3339: time.rfc3339) == time else {
        Issue.record("\(expected): \(time.rfc3339)")
        return
      }
    }
  }

  @Test("A fraction may be left out or shorter")
  func fractions() {
    #expect(WallTime(rfc3339: "1970-01-01T00:00:01Z") == WallTime(nanoseconds: 1_000_000_000))
    #expect(WallTime(rfc3339: "1970-01-01T00:00:01.5Z") == WallTime(nanoseconds: 1_500_000_000))
  }

  @Test("What is no instant is refused", arguments: [
    "", "2026-02-29T00:00:00Z", "2026-02-31T00:00:00Z", "2026-04-31T00:00:00Z", "2026-13-01T00:00:00Z",
    "2026-00-01T00:00:00Z", "2026-01-00T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z",
    "2026-01-01T00:00:60Z", "1969-12-31T23:59:59Z", "2600-01-01T00:00:00Z", "2554-07-21T23:34:33.709551616Z",
    "2026-01-01T00:00:00", "2026-01-01 00:00:00Z", "2026-01-01T00:00:00+00:00", "2026-01-01T00:00:00.Z",
    "2026-01-01T00:00:00.1234567890Z",
  ])
  func refused(_ text: String) { #expect(WallTime(rfc3339: text) == nil) }
}
