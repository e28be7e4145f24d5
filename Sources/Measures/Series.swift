/// Samples of one thing measured, one a round.
package struct Series: Codable, Equatable, Sendable {
  package private(set) var samples: [Double]

  package init(_ samples: [Double] = []) { self.samples = samples }

  package mutating func add(_ sample: Double) { samples.append(sample) }

  /// 0 where there are no samples.
  package var median: Double {
    guard !samples.isEmpty else { return 0 }
    let sorted = samples.sorted()
    let middle = sorted.count / 2
    return sorted.count.isMultiple(of: 2) ? (sorted[middle - 1] + sorted[middle]) / 2 : sorted[middle]
  }
  package var low: Double { samples.min() ?? 0 }
  package var high: Double { samples.max() ?? 0 }

  /// Round by round: what ran side by side is compared, whatever the machine did meanwhile.
  package func over(_ other: Series) -> Series {
    Series(zip(samples, other.samples).map { $1 == 0 ? 0 : $0 / $1 })
  }

  package init(from decoder: any Decoder) throws {
    samples = try decoder.singleValueContainer().decode([Double].self)
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(samples)
  }
}
