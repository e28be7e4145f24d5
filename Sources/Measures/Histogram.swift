/// Counts durations in classes whose width grows with them, so that a microsecond and a minute fit in a few thousand
/// counters and every percentile is right to one part in 128.
///
/// The scheme of Gil Tene's HdrHistogram: values below 256 have a counter each; above, every power of two has 128.
package struct Histogram: Equatable, Sendable {
  private static let wholeBits = 8
  private static let halfCount = 1 << (wholeBits - 1)

  private var counts: [UInt64] = []
  package private(set) var count: UInt64 = 0
  package private(set) var max: UInt64 = 0
  private var sum: Double = 0

  package init() {}

  package init(_ values: some Sequence<UInt64>) {
    for value in values { record(value) }
  }

  package mutating func record(_ value: UInt64) {
    let place = Self.place(of: value)
    if place >= counts.count { counts.append(contentsOf: repeatElement(0, count: place + 1 - counts.count)) }
    counts[place] += 1
    count += 1
    sum += Double(value)
    max = Swift.max(max, value)
  }

  package mutating func merge(_ other: Histogram) {
    let missing = other.counts.count - counts.count
    if missing > 0 { counts.append(contentsOf: repeatElement(0, count: missing)) }
    for (place, number) in other.counts.enumerated() { counts[place] += number }
    count += other.count
    sum += other.sum
    max = Swift.max(max, other.max)
  }

  package var mean: Double { count == 0 ? 0 : sum / Double(count) }

  /// The value that so many percent of all values do not exceed, rounded up to its class; 0 where there are none.
  package func percentile(_ percent: Double) -> UInt64 {
    guard count > 0 else { return 0 }
    let rank = Swift.max(1, UInt64((percent / 100 * Double(count)).rounded(.up)))
    var seen: UInt64 = 0
    for (place, number) in counts.enumerated() {
      seen += number
      if seen >= rank { return Swift.min(Self.highest(in: place), max) }
    }
    return max
  }

  /// Below 256 the value itself; above, the power of two and the 7 bits behind its first one.
  static func place(of value: UInt64) -> Int {
    let bits = UInt64.bitWidth - value.leadingZeroBitCount
    guard bits > wholeBits else { return Int(value) }
    let shift = bits - wholeBits
    return shift * halfCount + Int(value >> UInt64(shift))
  }

  /// The largest value that falls into a class.
  static func highest(in place: Int) -> UInt64 {
    guard place >= 2 * halfCount else { return UInt64(place) }
    let shift = place / halfCount - 1
    let first = UInt64(place - shift * halfCount)
    return (first + 1) << UInt64(shift) &- 1
  }
}
