internal import ChatelaineVocabulary
internal import ChatelaineWire
internal import Foundation

/// The real service under load: encryptions of 100 bytes over the data socket, each durable before its reply; by so
/// many connections, with so many calls of each under way.
struct ServiceBench {
  struct Load {
    let connections: Int
    let depth: Int

    var name: String { depth == 1 ? "\(connections) connections" : "\(connections) connections × \(depth)" }
  }

  static let loads = [
    Load(connections: 1, depth: 1), Load(connections: 8, depth: 1), Load(connections: 64, depth: 1),
    Load(connections: 8, depth: 64),
  ]

  let directory: String
  let rounds: Int
  let seconds: Double

  func run(into table: inout Table) throws {
    let house = try ServedHouse(in: directory)
    defer { house.close() }
    let request = Self.request()
    var measured = Self.loads.map { _ in Measured() }
    var sync = Series()
    for _ in 0..<rounds {
      sync.add(try SyncProbe(in: directory).medianMicroseconds())
      for (index, load) in Self.loads.enumerated() {
        let before = house.cpuNanoseconds()
        let result = try LoadRun(house.dataSocket, load, request, seconds: seconds).run()
        let cpu = Double(house.cpuNanoseconds() - before)
        measured[index].add(result, cpuNanoseconds: cpu)
      }
    }
    for (load, measured) in zip(Self.loads, measured) {
      table.add("encrypt 100 B, \(load.name)", unit: "requests/s", measured.rate)
      table.add("  p50", unit: "us", measured.median, floor: load.connections == 1 ? ("fdatasync, us", sync) : nil)
      table.add("  p99", unit: "us", measured.late)
      table.add("  CPU of the service", unit: "us/request", measured.cpu)
    }
  }

  private struct Measured {
    var (rate, median, late, cpu) = (Series(), Series(), Series(), Series())

    mutating func add(_ result: LoadRun.Result, cpuNanoseconds: Double) {
      let sorted = result.latencies.sorted()
      rate.add(Double(sorted.count) / result.seconds)
      median.add(Double(sorted[sorted.count / 2]) / 1000)
      late.add(Double(sorted[sorted.count * 99 / 100]) / 1000)
      cpu.add(cpuNanoseconds / Double(sorted.count) / 1000)
    }
  }

  /// One whole frame; its stream may be the same each time, for replies come in order.
  private static func request() -> [UInt8] {
    guard let tenant = try? TenantID("bench"), let key = try? KeyName("bench") else { fatalError("names") }
    let context = try? EncryptionContext([.init(key: Array("table".utf8), value: Array("cards".utf8))])
    let writer = KeyRequestWriter(.encrypt, tenant: tenant, key: key, contexts: [context ?? .empty])
    let (body, service, method) = (100, KeyMethod.service, KeyMethod.encrypt.bytes)
    let payload = writer.byteCount(bodies: [body])
    let count = TtrpcRequest.byteCount(
      service: service.span, method: method.span, payloadByteCount: payload, timeoutNanoseconds: nil)
    var frame = [UInt8](repeating: 0x61, count: TtrpcFrame.headerByteCount + count)
    unsafe frame.withUnsafeMutableBytes { room in
      var output = unsafe OutputRawSpan(buffer: room, initializedCount: 0)
      TtrpcFrame(.request, stream: 1, byteCount: count).append(to: &output)
      TtrpcRequest.appendHead(
        service: service.span, method: method.span, payloadByteCount: payload, timeoutNanoseconds: nil,
        to: &output)
      writer.appendHead(to: &output)
      writer.appendItem(0, body: body, to: &output)
      for _ in 0..<body { output.append(0x61) }
      _ = unsafe output.finalize(for: room)
    }
    return frame
  }
}

/// A service of its own, made by the programs that lie beside this one.
private final class ServedHouse {
  private let place: String
  private let service = Process()
  private let programs: String
  var dataSocket: String { place + "/house/run/data.sock" }

  init(in directory: String) throws {
    programs = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent().path
    place = directory + "/chatelaine-bench-\(getpid())"
    try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
    try chatelaine("init", place + "/house")
    service.executableURL = URL(fileURLWithPath: programs + "/chatelained")
    service.arguments = ["--config", place + "/house/chatelaine.yaml", "--allow-root"]
    service.standardError = FileHandle.nullDevice
    try service.run()
    for _ in 0..<200 where !FileManager.default.fileExists(atPath: place + "/house/run/admin.sock") { usleep(50_000) }
    try chatelaine("tenant", "create", "bench", "--config", place + "/house/chatelaine.yaml")
    try chatelaine("key", "create", "bench/bench", "--config", place + "/house/chatelaine.yaml")
  }

  private struct Failed: Error { let program: String }

  private func chatelaine(_ arguments: String...) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: programs + "/chatelaine")
    process.arguments = arguments
    process.standardOutput = FileHandle.nullDevice
    do { try process.run() } catch { throw Failed(program: "build chatelaine and chatelained the same way first") }
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw Failed(program: arguments.joined(separator: " ")) }
  }

  /// User and system time of all threads so far.
  func cpuNanoseconds() -> UInt64 {
    let tasks = "/proc/\(service.processIdentifier)/task"
    let threads = (try? FileManager.default.contentsOfDirectory(atPath: tasks)) ?? []
    return threads.reduce(0) { sum, thread in
      let text = (try? String(contentsOfFile: "\(tasks)/\(thread)/schedstat", encoding: .utf8)) ?? ""
      return sum + (text.split(separator: " ").first.flatMap { UInt64($0) } ?? 0)
    }
  }

  func close() {
    service.terminate()
    service.waitUntilExit()
    try? FileManager.default.removeItem(atPath: place)
  }
}

/// Keeps so many calls under way on so many sockets, from one thread, and times each.
private final class LoadRun {
  struct Result {
    let latencies: [UInt64]
    let seconds: Double
  }

  private struct Socket {
    let descriptor: Int32
    var sent: [UInt64] = []
    var first = 0
    var buffer: [UInt8] = []
  }

  private struct Failed: Error { let call: String, errno: Int32 }

  private let load: ServiceBench.Load
  private let request: [UInt8]
  private let seconds: Double
  private var sockets: [Socket] = []
  private var latencies: [UInt64] = []
  private var room = [UInt8](repeating: 0, count: 1 << 17)

  init(_ path: String, _ load: ServiceBench.Load, _ request: [UInt8], seconds: Double) throws {
    self.load = load
    self.request = request
    self.seconds = seconds
    for _ in 0..<load.connections {
      let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
      var address = sockaddr_un()
      address.sun_family = sa_family_t(AF_UNIX)
      unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
      let size = socklen_t(MemoryLayout<sockaddr_un>.size)
      let status = unsafe withUnsafePointer(to: &address) { pointer in
        unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe connect(descriptor, $0, size) }
      }
      guard status == 0 else { throw Failed(call: "connect", errno: errno) }
      sockets.append(Socket(descriptor: descriptor))
    }
  }

  func run() throws -> Result {
    defer { for socket in sockets { close(socket.descriptor) } }
    for index in sockets.indices { try send(load.depth, on: index) }
    let start = now()
    let end = start + UInt64(seconds * 1e9)
    var ready = sockets.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
    while now() < end {
      _ = unsafe poll(&ready, nfds_t(ready.count), 1000)
      for index in ready.indices where ready[index].revents != 0 {
        let done = try receive(on: index)
        if done > 0 { try send(done, on: index) }
      }
    }
    return Result(latencies: latencies, seconds: Double(now() - start) / 1e9)
  }

  private func send(_ count: Int, on index: Int) throws {
    let bytes = count == 1 ? request : Array(repeatElement(request, count: count).joined())
    let descriptor = sockets[index].descriptor
    let sent = unsafe bytes.withUnsafeBytes { unsafe write(descriptor, $0.baseAddress, $0.count) }
    guard sent == bytes.count else { throw Failed(call: "write", errno: errno) }
    let time = now()
    for _ in 0..<count { sockets[index].sent.append(time) }
  }

  /// Takes whole replies; gives how many.
  private func receive(on index: Int) throws -> Int {
    let descriptor = sockets[index].descriptor
    let got = unsafe room.withUnsafeMutableBytes { unsafe read(descriptor, $0.baseAddress, $0.count) }
    guard got > 0 else { throw Failed(call: "read", errno: errno) }
    sockets[index].buffer.append(contentsOf: room[..<got])
    var (at, done) = (0, 0)
    let time = now()
    while sockets[index].buffer.count - at >= 10 {
      let head = sockets[index].buffer[at..<at + 4].reduce(0) { $0 << 8 | Int($1) }
      guard sockets[index].buffer.count - at >= 10 + head else { break }
      at += 10 + head
      done += 1
      latencies.append(time - sockets[index].sent[sockets[index].first])
      sockets[index].first += 1
    }
    sockets[index].buffer.removeFirst(at)
    if sockets[index].first > 4096 {
      sockets[index].sent.removeFirst(sockets[index].first)
      sockets[index].first = 0
    }
    return done
  }
}

/// What one durable write of 4 KiB into a pre-written file costs here.
private struct SyncProbe {
  private let path: String

  init(in directory: String) { path = directory + "/chatelaine-bench-sync-\(getpid())" }

  func medianMicroseconds() throws -> Double {
    let descriptor = unsafe open(path, O_RDWR | O_CREAT, 0o600)
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
    var times: [UInt64] = []
    for place in 0..<300 {
      let start = now()
      put(place)
      fdatasync(descriptor)
      times.append(now() - start)
    }
    return Double(times.sorted()[150]) / 1000
  }
}
