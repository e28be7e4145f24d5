internal import ChatelaineMeasures
internal import Foundation

/// Which loads run on which servers, and what the figures must be.
struct ServicePart {
  let isQuick: Bool
  let unlogged: String?
  let exampleKeys: String

  static let plotted = ServiceBench.grid.map(\.name)
  private static let (one, eight, sixtyFour) = (ServiceBench.grid[0], ServiceBench.grid[1], ServiceBench.grid[3])
  private static let pipelined = ServiceBench.grid[5]
  private static let mebibyte = ServiceBench.Load("encrypt 1 MiB", 4, 1)

  private var rounds: Int { isQuick ? 3 : 5 }
  private var seconds: Double { isQuick ? 0.2 : 1.2 }

  func run(into report: inout Report, _ scratch: ScratchFolder) throws {
    let house = try House(in: scratch)
    let echo = try echoFloor(in: scratch)
    var floors: [Server] = []
    do { floors.append(try transitFloor(in: scratch)) } catch let error as BenchError {
      report.skipped.append("the transit floor: \(error.sentence)")
    }
    let bare = try unlogged.map { path in
      try House(in: scratch, name: "without a log", service: path, exampleKeys: exampleKeys)
    }
    if bare == nil { report.skipped.append("the build without a log: none was given with --unlogged") }
    var bench = ServiceBench(rounds: rounds, seconds: seconds)
    try bench.run(cells(house, echo, floors, bare), probing: scratch.path)
    report.run["rounds"] = "\(rounds)"
    report.run["seconds a load"] = "\(seconds)"
    report.loads += bench.order.compactMap { bench.rows[$0] }
    report.measurements.append(Measured("4 KiB write + fdatasync", unit: "us", .lower, bench.sync))
    report.aims += aims(bench, house.server.name, echo.name, floors.first?.name, bare?.server.name)
    if let http = house.http?.name, let floor = floors.first?.name { report.aims += httpAims(bench, http, floor) }
  }

  private func cells(_ house: House, _ echo: Server, _ floors: [Server], _ bare: House?) throws -> [ServiceBench.Cell] {
    var cells: [ServiceBench.Cell] = []
    for load in ServiceBench.grid {
      cells.append(try .init(load, house.server, bytes: 100, house: house))
      if let http = house.http { cells.append(try .init(load, http, bytes: 100)) }
      if let bare { cells.append(try .init(load, bare.server, bytes: 100, house: bare)) }
      for server in floors + [echo] { cells.append(try .init(load, server, bytes: 100)) }
    }
    for rate in isQuick ? [5_000.0] : [5_000, 20_000] {
      // why: room for what piles up while a server stalls; a request that finds none still counts from when it was due.
      let load = ServiceBench.Load("encrypt 100 B", 64, 32, rate: rate)
      for server in [house.server] + floors { cells.append(try .init(load, server, bytes: 100)) }
    }
    cells += try ServiceBench.Cell.methods(house, connections: 64, batch: 64)
    for (name, bytes) in sizes {
      let load = ServiceBench.Load("encrypt \(name)", 4, 1)
      cells.append(try .init(load, house.server, bytes: bytes, house: house))
      cells.append(try .init(load, echo, bytes: bytes))
    }
    return cells
  }

  private var sizes: [(name: String, bytes: Int)] {
    let all = [("32 B", 32), ("1 KiB", 1 << 10), ("16 KiB", 16 << 10), ("64 KiB", 64 << 10), ("1 MiB", 1 << 20)]
    return isQuick ? [all[4]] : all
  }

  // MARK: Aims

  private func aims(_ bench: ServiceBench, _ ours: String, _ echo: String, _ transit: String?, _ bare: String?) -> [Aim] {
    var aims: [Aim] = []
    func add(_ name: String, _ samples: Series?, _ bound: Aim.Bound, _ limit: Double = 0) {
      if let samples { aims.append(Aim(name, samples, bound, limit)) }
    }
    func rate(_ load: ServiceBench.Load, of other: String) -> Series? {
      guard let a = bench.row(load, ours), let b = bench.row(load, other) else { return nil }
      return a.rate.over(b.rate)
    }
    if let transit {
      add("64 × 1, requests/s of transit's", rate(Self.sixtyFour, of: transit), .atLeast, 2)
      add("64 × 1, CPU a request of transit's", cpu(bench, Self.sixtyFour, ours, transit), .atMost, 0.5)
      add("8 × 64, requests/s of transit's best", best(bench, ours, transit), .atLeast, 6)
      add("1 × 1, requests/s of transit's", rate(Self.one, of: transit), .none)
      add("8 × 1, requests/s of transit's", rate(Self.eight, of: transit), .none)
    }
    add("1 × 1, p50 of the fdatasync probe", bench.row(Self.one, ours)?.p50.over(bench.sync), .atMost, 2)
    if let bare {
      for load in ServiceBench.grid {
        let isLoaded = load.connections * load.depth >= 64
        add("\(load.name), of the build without a log", rate(load, of: bare), isLoaded ? .atLeast : .none, 0.65)
      }
    }
    add("1 MiB, requests/s of the echo's", rate(Self.mebibyte, of: echo), .atLeast, 0.75)
    return aims
  }

  private func httpAims(_ bench: ServiceBench, _ http: String, _ transit: String) -> [Aim] {
    ServiceBench.grid.dropLast().compactMap { load in
      guard let ours = bench.row(load, http), let floor = bench.row(load, transit) else { return nil }
      let isAimed = load.connections == Self.sixtyFour.connections
      return Aim("HTTP, \(load.name), requests/s of transit's", ours.rate.over(floor.rate), isAimed ? .atLeast : .none, isAimed ? 1 : 0)
    }
  }

  private func cpu(_ bench: ServiceBench, _ load: ServiceBench.Load, _ ours: String, _ other: String) -> Series? {
    guard let a = bench.row(load, ours), let b = bench.row(load, other) else { return nil }
    return a.serverCPU.over(b.serverCPU)
  }

  /// Pipelined against the most that transit reached in the round, however it was asked.
  private func best(_ bench: ServiceBench, _ ours: String, _ transit: String) -> Series? {
    guard let a = bench.row(Self.pipelined, ours) else { return nil }
    let rates = ServiceBench.grid.compactMap { bench.row($0, transit)?.rate.samples }
    let most = a.rate.samples.indices.map { round in rates.compactMap { $0.indices.contains(round) ? $0[round] : nil }.max() ?? 0 }
    return a.rate.over(Series(most))
  }
}
