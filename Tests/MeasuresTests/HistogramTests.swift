import Testing

@testable import ChatelaineMeasures

@Suite("Histogram")
struct HistogramTests {
  @Test("Small values are counted one by one")
  func smallValues() {
    let histogram = Histogram((0..<256).map { UInt64($0) })
    #expect(histogram.count == 256)
    #expect(histogram.percentile(50) == 127)
    #expect(histogram.percentile(100) == 255)
    #expect(histogram.mean == 127.5)
  }

  @Test("Every value lies in its class, classes follow each other without a gap, and none is wider than 1/128")
  func classes() {
    var values: [UInt64] = (0..<2000).map { $0 }
    for shift in 8..<63 { values += [1 << shift, (1 << shift) - 1, (1 << shift) + 1, 3 << (shift - 1)].map { UInt64($0) } }
    for value in values {
      let place = Histogram.place(of: value)
      #expect(Histogram.highest(in: place) >= value)
      if place > 0 {
        let below = Histogram.highest(in: place - 1)
        #expect(below < value)
        #expect(Histogram.place(of: below) == place - 1 && Histogram.place(of: below + 1) == place)
        let width = Histogram.highest(in: place) - below
        #expect(width == 1 || Double(width) / Double(below + 1) <= 1.0 / 128)
      }
    }
  }

  @Test("Percentiles agree with those of the sorted values to one part in 128")
  func percentiles() {
    var state: UInt64 = 7
    let values = (0..<20_000).map { _ -> UInt64 in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return 100 + (state >> 40) * (state >> 60)
    }
    let sorted = values.sorted()
    let histogram = Histogram(values)
    for percent in [1, 25, 50, 90, 99, 99.9, 100] {
      let rank = max(1, Int((percent / 100 * 20_000).rounded(.up)))
      let exact = sorted[rank - 1]
      let found = histogram.percentile(percent)
      #expect(found >= exact && Double(found) <= Double(exact) * (1 + 1.0 / 128))
    }
    #expect(histogram.percentile(100) == sorted.last)
  }

  @Test("Two merged are the same as one of all values")
  func merging() {
    var merged = Histogram([1, 5, 1_000_000])
    merged.merge(Histogram([UInt64(9), 70_000_000_000]))
    #expect(merged == Histogram([1, 5, 1_000_000, 9, 70_000_000_000]))
    #expect(merged.max == 70_000_000_000)
  }

  @Test("Without values everything is zero")
  func empty() {
    #expect(Histogram().percentile(99) == 0 && Histogram().mean == 0 && Histogram().max == 0)
  }
}
