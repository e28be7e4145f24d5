internal import ArgumentParser
internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineMeasures
internal import Foundation

/// What many tenants and a long log cost: start, memory, latency beside an empty service, keys that nobody used yet.
struct ScaleCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "scale", abstract: "Measures the service of a directory that 'generate' made, beside an empty one.")

  @Option(help: "The directory that 'generate' made.")
  var directory: String

  @Option(help: "How many tenants it has.")
  var tenants = 1_000_000

  @Option(help: "Rounds.")
  var rounds = 5

  @Option(help: "Write everything that was measured to this file, as JSON.")
  var json: String?

  func validate() throws {
    guard tenants >= 1000, rounds >= 1 else { throw ValidationError("At least 1,000 tenants and one round.") }
  }

  func run() throws {
    let scratch = try ScratchFolder(in: directory + "/..", "scale")
    var report = Report(machine: .here(disk: directory), run: ["tenants": "\(tenants)", "rounds": "\(rounds)"])
    var bench = ScaleBench(folder: directory, tenants: tenants, rounds: rounds)
    try bench.run(into: &report, scratch)
    print(report.text)
    if let json { try report.json().write(to: URL(fileURLWithPath: json)) }
  }
}

struct ScaleBench {
  let folder: String
  let tenants: Int
  let rounds: Int
  /// The next tenant whose key nobody used yet.
  private var unused = 0
  private let body = [UInt8](repeating: 0x61, count: 100)

  init(folder: String, tenants: Int, rounds: Int) {
    self.folder = folder
    self.tenants = tenants
    self.rounds = rounds
  }

  mutating func run(into report: inout Report, _ scratch: ScratchFolder) throws {
    try starts(into: &report, scratch)
    let empty = try House(in: scratch, name: "empty")
    let full = try House(at: folder)
    report.measurements.append(memory("after the start", full))
    let known = try frames(count: 1000)
    try latencies(empty, full, known, into: &report)
    report.measurements.append(memory("after the load", full))
    try Disturbances(house: full, tenants: tenants, frames: known, requests: 1000).run(into: &report)
    empty.server.program.end()
    full.server.program.end()
    try verify(into: &report)
  }

  // MARK: Start

  /// From the program's start to a connection; the first time after whatever `generate` left, then after clean stops.
  private func starts(into report: inout Report, _ scratch: ScratchFolder) throws {
    var (first, later) = (Series(), Series())
    for round in 0...rounds {
      let start = now()
      let house = try House(at: folder)
      let seconds = Double(now() - start) / 1e9
      house.server.program.end()
      round == 0 ? first.add(seconds) : later.add(seconds)
      ProgressLines().show("start \(round): \(short(seconds)) s")
    }
    ProgressLines().end()
    report.measurements += [
      Measured("first start", unit: "s", .lower, first), Measured("start after a stop", unit: "s", .lower, later),
    ]
    report.aims += [
      Aim("first start, s", first, .atMost, 2), Aim("start after a stop, s", later, .atMost, 2),
    ]
  }

  private func memory(_ when: String, _ house: House) -> Measured {
    Measured("own memory \(when)", unit: "MiB", .lower, Series([house.server.program.residentMiB.own]))
  }

  // MARK: Latency

  private mutating func latencies(
    _ empty: House, _ full: House, _ known: [UInt8], into report: inout Report
  ) throws {
    var (ofEmpty, ofFull, cold, warm) = (Series(), Series(), Series(), Series())
    for round in 1...rounds {
      ofEmpty.add(try p50(empty, try Requests.encrypt(body), requests: 1))
      ofFull.add(try p50(full, known, requests: 1000))
      let (first, again) = try firstUses(full)
      cold.add(first)
      warm.add(again)
      ProgressLines().show("round \(round): a key's first use \(short(first)) us, then \(short(again)) us")
    }
    ProgressLines().end()
    report.measurements += [
      Measured("encrypt, p50, 1 connection, many tenants", unit: "us", .lower, ofFull, floor: .init("one tenant", ofEmpty)),
      Measured("encrypt, p50, first use of a key", unit: "us", .lower, cold, floor: .init("second use", warm)),
    ]
    let cost = Series(zip(cold.samples, warm.samples).map { $0 - $1 })
    report.aims += [
      Aim("p50 of an empty store's", ofFull.over(ofEmpty), .atMost, 1.2), Aim("a cold key, us at p50", cost, .atMost, 200),
    ]
  }

  private func frames(from first: Int = 0, count: Int) throws -> [UInt8] {
    try (first..<first + count).flatMap { try Requests.encrypt(body, tenant: OwnHouse.tenant($0 % tenants)) }
  }

  /// Warm: every key was used before it counts.
  private func p50(_ house: House, _ frames: [UInt8], requests: Int) throws -> Double {
    let session = try LoadSession(
      house.server.socket, .ttrpc, connections: 1, depth: 1, frame: frames, requests: requests)
    var used = 0
    while used < requests { used += try session.run(seconds: 1).count }
    return Double(try session.run(seconds: 1).latencies.percentile(50)) / 1000
  }

  /// Of so many tenants that nobody asked for yet, each once; then the same ones again.
  private mutating func firstUses(_ house: House) throws -> (first: Double, again: Double) {
    let most = min(5_000, tenants / (rounds + 1))
    unused = max(1000, unused)
    let frames = try frames(from: unused, count: most)
    func p50(_ requests: Int, seconds: Double) throws -> (Double, Int) {
      let session = try LoadSession(
        house.server.socket, .ttrpc, connections: 1, depth: 1, frame: Array(frames.prefix(frames.count / most * requests)),
        requests: requests)
      let result = try session.run(seconds: seconds)
      return (Double(result.latencies.percentile(50)) / 1000, result.count)
    }
    let (first, count) = try p50(most, seconds: 0.5)
    let used = min(count, most)
    unused += used
    return (first, try p50(used, seconds: 0.5).0)
  }

  // MARK: Log

  private func verify(into report: inout Report) throws {
    var rate = Series()
    var entries: UInt64 = 0
    for _ in 0..<min(3, rounds) {
      var reader = try LogReader(FileStorage(path: folder + "/log", exclusively: false))
      let start = now()
      _ = try reader.readAvailable { _ in }
      entries = reader.verifier.nextSequence
      rate.add(Double(entries) / Double(now() - start) * 1e9)
    }
    report.run["entries"] = "\(entries)"
    report.measurements.append(Measured("verify, one core", unit: "entries/s", .higher, rate))
    report.aims.append(Aim("verify, one core, entries/s", rate, .atLeast, 1_000_000))
  }
}
