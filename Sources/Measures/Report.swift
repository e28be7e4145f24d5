package import Foundation

/// Everything that one run measured, as its JSON has it.
package struct Report: Codable, Equatable, Sendable {
  package static let version = 1

  package var version = Report.version
  package var machine: Machine
  /// What was asked for: arguments, rounds, seconds.
  package var run: [String: String]
  package var measurements: [Measured] = []
  package var loads: [LoadRow] = []
  package var aims: [Aim] = []
  /// What was left out, and why.
  package var skipped: [String] = []

  package init(machine: Machine, run: [String: String]) {
    self.machine = machine
    self.run = run
  }

  package func json() throws -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return try encoder.encode(self)
  }

  /// Throws where the bytes are not the report of a version that this one knows.
  package init(json: Data) throws {
    self = try JSONDecoder().decode(Report.self, from: json)
    guard version == Self.version else { throw UnknownVersion(version: version) }
  }

  package struct UnknownVersion: Error, Equatable { package let version: Int }
}

/// Where it ran.
package struct Machine: Codable, Equatable, Sendable {
  package var processor = ""
  package var cores = 0
  package var memoryGiB = 0.0
  package var kernel = ""
  package var disk = ""
  /// Names and versions of what took part.
  package var versions: [String: String] = [:]

  package init() {}

  package var text: String {
    let parts = versions.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
    return "\(processor), \(cores) cores, \(short(memoryGiB)) GiB; Linux \(kernel); \(disk); "
      + parts.joined(separator: ", ")
  }
}

/// Which way is better.
package enum Better: String, Codable, Sendable { case higher, lower }

/// One thing measured, one sample a round, beside the floor that ran in the same rounds.
package struct Measured: Codable, Equatable, Sendable {
  package struct Floor: Codable, Equatable, Sendable {
    package let name: String
    package let samples: Series

    package init(_ name: String, _ samples: Series) {
      self.name = name
      self.samples = samples
    }
  }

  package let name: String
  package let unit: String
  package let better: Better
  package let samples: Series
  package let floor: Floor?

  package init(_ name: String, unit: String, _ better: Better, _ samples: Series, floor: Floor? = nil) {
    self.name = name
    self.unit = unit
    self.better = better
    self.samples = samples
    self.floor = floor
  }
}

/// One load on one server, over all rounds.
package struct LoadRow: Codable, Equatable, Sendable {
  package let load: String
  package let server: String
  package var rate = Series()
  /// Microseconds.
  package var p50 = Series()
  package var p99 = Series()
  package var p999 = Series()
  /// Microseconds on a CPU for each request: the server's, and the load generator's.
  package var serverCPU = Series()
  package var clientCPU = Series()

  package init(load: String, server: String) {
    self.load = load
    self.server = server
  }

  /// As single measurements, for comparing.
  package var measurements: [Measured] {
    [
      Measured("\(server): \(load)", unit: "requests/s", .higher, rate),
      Measured("\(server): \(load), p50", unit: "us", .lower, p50),
      Measured("\(server): \(load), p99", unit: "us", .lower, p99),
      Measured("\(server): \(load), CPU", unit: "us/request", .lower, serverCPU),
    ]
  }
}

/// What the product promises of a ratio or a figure.
package struct Aim: Codable, Equatable, Sendable {
  package enum Bound: String, Codable, Sendable { case atLeast, atMost, none }

  package let name: String
  package let samples: Series
  package let bound: Bound
  package let limit: Double

  package init(_ name: String, _ samples: Series, _ bound: Bound, _ limit: Double = 0) {
    self.name = name
    self.samples = samples
    self.bound = bound
    self.limit = limit
  }

  /// nil where nothing is promised: the figure is printed, whatever it is.
  package var isMet: Bool? {
    switch bound {
    case .atLeast: samples.median >= limit
    case .atMost: samples.median <= limit
    case .none: nil
    }
  }
}

/// Three or four figures that count.
package func short(_ value: Double) -> String {
  if value == 0 { return "0" }
  if abs(value) >= 100 { return grouped(Int(value.rounded())) }
  if abs(value) >= 10 { return "\((value * 10).rounded() / 10)" }
  return "\((value * 100).rounded() / 100)"
}

private func grouped(_ value: Int) -> String {
  var (digits, text) = (Array(String(abs(value))), "")
  while digits.count > 3 {
    text = "," + String(digits.suffix(3)) + text
    digits.removeLast(3)
  }
  return (value < 0 ? "-" : "") + String(digits) + text
}
