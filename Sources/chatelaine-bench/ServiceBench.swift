internal import ChatelaineMeasures
internal import ChatelaineVocabulary
internal import ChatelaineWire
internal import Foundation

/// The running service under load beside its floors: every reply durable before it leaves, every reply checked.
struct ServiceBench {
  struct Load {
    let name: String
    let connections: Int
    let depth: Int
    var rate: Double?

    init(_ what: String, _ connections: Int, _ depth: Int, rate: Double? = nil) {
      self.connections = connections
      self.depth = depth
      self.rate = rate
      let under = rate.map { "\(connections) connections at \(short($0))/s" } ?? "\(connections) × \(depth)"
      name = "\(what), \(under)"
    }
  }

  /// One load on one server.
  struct Cell {
    let load: Load
    let server: Server
    let frame: [UInt8]
    /// Looks at one reply of each round.
    var look: ([UInt8]) throws -> Void = { _ in }
  }

  /// Requests of 100 bytes: by so many connections, with so many under way on each.
  static let grid = [1, 8, 32, 64, 128].map { Load("encrypt 100 B", $0, 1) } + [Load("encrypt 100 B", 8, 64)]

  let rounds: Int
  let seconds: Double
  private(set) var rows: [String: LoadRow] = [:]
  private(set) var order: [String] = []
  private(set) var sync = Series()

  init(rounds: Int, seconds: Double) {
    self.rounds = rounds
    self.seconds = seconds
  }

  /// Round by round everything once, so that what the machine does meanwhile falls on all alike.
  mutating func run(_ cells: [Cell], probing directory: String) throws {
    let progress = ProgressLines()
    for cell in cells where rows[cell.key] == nil {
      rows[cell.key] = LoadRow(load: cell.load.name, server: cell.server.name)
      order.append(cell.key)
    }
    for round in 1...rounds {
      sync.add(try SyncProbe(in: directory).medianMicroseconds())
      for cell in cells {
        let result = try measure(cell)
        progress.show("round \(round) of \(rounds): \(cell.load.name), \(cell.server.name): \(short(result.rate))/s")
      }
    }
    progress.end()
  }

  private mutating func measure(_ cell: Cell) throws -> LoadSession.Result {
    let session = try LoadSession(
      cell.server.socket, cell.server.kind, connections: cell.load.connections, depth: cell.load.depth,
      frame: cell.frame)
    // why: connections, keys and pages are there before anything counts.
    _ = try session.run(seconds: max(0.05, seconds / 10), rate: cell.load.rate)
    let before = cell.server.program.cpuNanoseconds
    let result = try session.run(seconds: seconds, rate: cell.load.rate)
    let cpu = cell.server.program.cpuNanoseconds - before
    try cell.look(result.sample)
    rows[cell.key]?.add(result, serverCPUNanoseconds: cpu)
    return result
  }

  func row(_ load: Load, _ server: String) -> LoadRow? { rows["\(server): \(load.name)"] }
}

extension ServiceBench.Cell {
  var key: String { "\(server.name): \(load.name)" }

  /// Encryptions of a body of so many bytes; at Chatelaine a reply of each round is decrypted again.
  init(_ load: ServiceBench.Load, _ server: Server, bytes: Int, house: House? = nil) throws {
    let body = (0..<bytes).map { UInt8(truncatingIfNeeded: $0) }
    self.init(load: load, server: server, frame: try server.request(body))
    guard let house else { return }
    look = { message in
      let envelope = try Requests.results(of: .encrypt, message)
      guard try house.call(.decrypt, envelope) == [body] else {
        throw BenchError("An envelope of the load does not decrypt to what was encrypted.")
      }
    }
  }

  /// One of each other method, with what it needs made beforehand.
  static func methods(_ house: House, connections: Int, batch: Int) throws -> [ServiceBench.Cell] {
    let body = [UInt8](repeating: 0x61, count: 100)
    let envelope = try house.call(.encrypt, [body])
    let envelopes = try house.call(.encryptBatch, Array(repeating: body, count: batch))
    let wrapped = Array(try house.call(.issueDataKey, []).prefix(1))
    func cell(_ name: String, _ method: KeyMethod, _ bodies: [[UInt8]]) throws -> ServiceBench.Cell {
      let namesKey = [.encryptBatch, .issueDataKey].contains(method)
      let frame = try Requests.frame(method, bodies, key: namesKey ? Requests.key : nil)
      return .init(load: .init(name, connections, 1), server: house.server, frame: frame) { message in
        let count = try Requests.results(of: method, message).count
        guard count == (method == .issueDataKey ? 2 : bodies.count) else {
          throw BenchError("A reply of \(method.rawValue) has \(count) results.")
        }
      }
    }
    return [
      try cell("decrypt 100 B", .decrypt, envelope),
      try cell("encrypt batch of \(batch)", .encryptBatch, Array(repeating: body, count: batch)),
      try cell("decrypt batch of \(batch)", .decryptBatch, envelopes),
      try cell("issue data key", .issueDataKey, []), try cell("unwrap data key", .unwrapDataKey, wrapped),
    ]
  }
}

extension LoadRow {
  fileprivate mutating func add(_ result: LoadSession.Result, serverCPUNanoseconds: UInt64) {
    let count = Double(result.count)
    rate.add(result.rate)
    p50.add(Double(result.latencies.percentile(50)) / 1000)
    p99.add(Double(result.latencies.percentile(99)) / 1000)
    p999.add(Double(result.latencies.percentile(99.9)) / 1000)
    serverCPU.add(Double(serverCPUNanoseconds) / count / 1000)
    clientCPU.add(result.ownCPUNanoseconds / count / 1000)
  }
}

/// What one durable write of 4 KiB into a pre-written file costs here.
struct SyncProbe {
  private let path: String

  init(in directory: String) { path = directory + "/sync-probe-\(getpid())" }

  func medianMicroseconds() throws -> Double {
    let descriptor = unsafe open(path, O_RDWR | O_CREAT, 0o600)
    guard descriptor >= 0 else { throw BenchError("\(path) cannot be made.") }
    defer {
      close(descriptor)
      unsafe unlink(path)
    }
    let page = [UInt8](repeating: 0x61, count: 4096)
    func put(_ place: Int) {
      _ = unsafe page.withUnsafeBytes { unsafe pwrite(descriptor, $0.baseAddress, 4096, place * 4096) }
    }
    for place in 0..<300 { put(place) }
    fsync(descriptor)
    var times = Histogram()
    for place in 0..<300 {
      let start = now()
      put(place)
      fdatasync(descriptor)
      times.record(now() - start)
    }
    return Double(times.percentile(50)) / 1000
  }
}
