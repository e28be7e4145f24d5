internal import ChatelaineMeasures
internal import Foundation

/// What callers notice of the service's own work: a steady load in short windows, those in which something happened
/// beside those in which nothing did.
///
/// The load is open: a request that had to wait counts from the time at which it was due.
struct Disturbances {
  static let windowSeconds = 0.25
  let house: House
  let tenants: Int
  /// Requests of the same size, sent by turns.
  let frames: [UInt8]
  let requests: Int

  func run(into report: inout Report) throws {
    try rotation(SteadyLoad(self, connections: 8, rate: 2000), into: &report)
    try rolls(SteadyLoad(self, connections: 64, rate: 15_000), into: &report)
  }

  private struct SteadyLoad: CustomStringConvertible {
    /// Requests a second, on all connections together.
    let rate: Double
    let connections: Int
    private let session: LoadSession

    init(_ all: Disturbances, connections: Int, rate: Double) throws {
      session = try LoadSession(
        all.house.server.socket, .ttrpc, connections: connections, depth: 1, frame: all.frames, requests: all.requests)
      (self.connections, self.rate) = (connections, rate)
      _ = try session.run(seconds: 2, rate: rate)
    }

    var description: String { "\(short(rate)) requests/s" }

    /// The 99th percentile of a window, in microseconds.
    func p99() throws -> Double {
      Double(try session.run(seconds: windowSeconds, rate: rate).latencies.percentile(99)) / 1000
    }
  }

  /// One rotation under the load, one alone.
  private func rotation(_ load: SteadyLoad, into report: inout Report) throws {
    let quiet = Series(try (0..<32).map { _ in try load.p99() })
    var meanwhile = Series()
    let busy = try rotate { meanwhile.add(try load.p99()) }
    let alone = try rotate { Thread.sleep(forTimeInterval: Self.windowSeconds) }
    report.measurements += [
      Measured("p99 while the master key is rotated, \(load)", unit: "us", .lower, meanwhile, floor: .init("quiet", quiet)),
      Measured("rotation under \(load)", unit: "tenants/s", .higher, Series([busy])),
      Measured("rotation alone", unit: "tenants/s", .higher, Series([alone])),
    ]
    let ratio = Series([quiet.median == 0 ? 0 : meanwhile.median / quiet.median])
    report.aims += [
      Aim("p99 while the master key is rotated, of quiet", ratio, .atMost, 2),
      Aim("rotation alone, tenants/s", Series([alone]), .atLeast, 50_000),
    ]
  }

  /// Tenants a second, from the command to its end.
  private func rotate(meanwhile: () throws -> Void) throws -> Double {
    let rotation = Process()
    rotation.executableURL = URL(fileURLWithPath: Beside.command)
    rotation.arguments = ["master", "rotate", "--single-copy", "--wait", "--config", house.folder + "/chatelaine.yaml"]
    (rotation.standardInput, rotation.standardOutput) = (FileHandle.nullDevice, FileHandle.nullDevice)
    let start = now()
    try rotation.run()
    while rotation.isRunning { try meanwhile() }
    guard rotation.terminationStatus == 0 else { throw BenchError("The rotation ended with \(rotation.terminationStatus).") }
    return Double(tenants) / (Double(now() - start) / 1e9)
  }

  /// Windows in which the log began a segment, and the others; until three have, or for a minute.
  private func rolls(_ load: SteadyLoad, into report: inout Report) throws {
    var (rolling, quiet) = (Series(), Series())
    let end = now() + 60_000_000_000
    var count = try segments()
    while rolling.samples.count < 3, now() < end {
      let sample = try load.p99()
      let after = try segments()
      if after == count { quiet.add(sample) } else { rolling.add(sample) }
      count = after
    }
    guard !rolling.samples.isEmpty else { return say("no segment of the log was full within a minute") }
    report.measurements.append(
      Measured("p99 while a segment rolls, \(load)", unit: "us", .lower, rolling, floor: .init("quiet", quiet)))
    report.aims += [
      Aim("p99 while a segment rolls, of quiet", Series([rolling.median / max(1, quiet.median)]), .atMost, 2),
      Aim("p99 while a segment rolls, us", rolling, .atMost, 5000),
    ]
  }

  private func segments() throws -> Int { try FileManager.default.contentsOfDirectory(atPath: house.log).count }
}
