import CBench
import Foundation
import Synchronization
import Testing

@testable import ChatelaineMeasures

/// The generator against servers whose behaviour is known: what it says of them must be that.
@Suite("Load")
struct LoadTests {
  /// A request as the echo takes it: length, stream, kind, flags, then so many bytes.
  static func frame(_ bytes: Int) -> [UInt8] {
    withUnsafeBytes(of: UInt32(bytes).bigEndian) { Array($0) } + [0, 0, 0, 0, 1, 0] + Array(repeating: 0x61, count: bytes)
  }

  struct Found {
    let count: Int
    let latencies: Histogram
    let failure: String
  }

  static func load(
    _ path: String, _ kind: ch_protocol = CH_ECHO, connections: Int32 = 1, depth: Int32 = 1, frame: [UInt8] = frame(100),
    seconds: Double = 0.3, rate: Double = 0, streamsLeft: UInt32? = nil
  ) -> Found {
    let opened = frame.withUnsafeBufferPointer {
      ch_load_open(path, kind, connections, depth, ch_frames(bytes: $0.baseAddress, byte_count: frame.count, count: 1))
    }
    guard let load = opened else {
      return Found(count: -1, latencies: Histogram(), failure: String(cString: ch_load_failure()))
    }
    defer { ch_load_close(load) }
    if let streamsLeft { ch_load_leave_streams(load, streamsLeft) }
    var result = ch_result()
    guard ch_load_run(load, ch_run(seconds: seconds, rate: rate), &result) == 0 else {
      return Found(count: -1, latencies: Histogram(), failure: String(cString: ch_load_failure()))
    }
    let times = UnsafeBufferPointer(start: result.latencies, count: result.count)
    return Found(count: result.count, latencies: Histogram(times), failure: "")
  }

  /// Tests share the generator's one message.
  private static let turn = Mutex<Void>(())

  /// The echo, for as long as `body` runs.
  static func withEcho(_ body: (String) throws -> Void) throws {
    try turn.withLock { _ in
      let path = NSTemporaryDirectory() + "echo-\(UUID().uuidString.prefix(8)).sock"
      let end = Pipe()
      let thread = Thread { [descriptor = end.fileHandleForReading.fileDescriptor] in _ = ch_echo_serve(path, descriptor) }
      thread.start()
      while !FileManager.default.fileExists(atPath: path) { usleep(1000) }
      usleep(20_000)
      defer {
        try? end.fileHandleForWriting.close()
        try? FileManager.default.removeItem(atPath: path)
      }
      try body(path)
    }
  }

  @Test("Every request gets its reply, whatever the number of connections, depth and size", arguments: [
    (1, 1, 100), (8, 1, 100), (3, 64, 32), (2, 4, 300_000),
  ])
  func closed(connections: Int, depth: Int, bytes: Int) throws {
    try Self.withEcho { path in
      let found = Self.load(path, connections: Int32(connections), depth: Int32(depth), frame: Self.frame(bytes))
      #expect(found.count >= connections * depth, "\(found.failure)")
      #expect(found.latencies.count == UInt64(found.count))
    }
  }

  @Test("A rate is kept, and the requests of a run are as many as were due")
  func rate() throws {
    try Self.withEcho { path in
      let found = Self.load(path, connections: 4, depth: 8, seconds: 0.5, rate: 2000)
      #expect(found.count == 1000, "\(found.failure)")
    }
  }

  @Test("A stall of the server is in the latency of every request that was due meanwhile, and in a closed loop in one only")
  func stall() throws {
    let milliseconds = 200
    try Self.withServer(stalling: milliseconds) { path in
      let open = Self.load(path, connections: 1, depth: 4, seconds: 0.4, rate: 1000)
      #expect(open.count == 400, "\(open.failure)")
      let late = open.latencies.percentile(75)
      #expect(late > UInt64(milliseconds) * 1_000_000 / 10, "a quarter of them waited, and \(late) ns are said")
    }
    try Self.withServer(stalling: milliseconds) { path in
      let closed = Self.load(path, connections: 1, depth: 1, seconds: 0.4)
      #expect(closed.count > 50, "\(closed.failure)")
      #expect(closed.latencies.percentile(90) < 50_000_000, "the control: a closed loop hides it")
      #expect(closed.latencies.max > UInt64(milliseconds) * 900_000)
    }
  }

  @Test("A connection whose stream numbers are used up is replaced by a new one", arguments: [1, 4])
  func streams(depth: Int32) throws {
    try Self.withServer { path in
      let found = Self.load(path, depth: depth, streamsLeft: 30)
      #expect(found.count > 100, "\(found.failure)")
    }
  }

  @Test("A reply that is not good ends the run", arguments: [
    // Another stream; a status that is not empty; another protocol.
    [0, 0, 0, 4, 0, 0, 0, 9, 2, 0, 0x0a, 0, 0x12, 0], [0, 0, 0, 4, 0, 0, 0, 1, 2, 0, 0x0a, 2, 8, 5], Array("HTTP/1.1 400 Bad\r\n\r\n".utf8),
  ])
  func badReply(reply: [UInt8]) throws {
    try Self.withServer(replying: reply) { path in #expect(Self.load(path, CH_TTRPC).count == -1) }
  }

  @Test("The control: a good reply of each protocol is counted")
  func goodReply() throws {
    try Self.withServer(replying: [0, 0, 0, 4, 0, 0, 0, 1, 2, 0, 0x0a, 0, 0x12, 0]) { path in
      #expect(Self.load(path, CH_TTRPC, seconds: 1e-6).count == 1)
    }
    let http = Array("HTTP/1.1 200 OK\r\nContent-Type: a\r\nContent-Length: 3\r\n\r\nabc".utf8)
    try Self.withServer(replying: http) { path in #expect(Self.load(path, CH_HTTP, seconds: 1e-6).count == 1) }
    let refusal = Array("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n".utf8)
    try Self.withServer(replying: refusal) { path in #expect(Self.load(path, CH_HTTP, seconds: 1e-6).count == -1) }
  }

  /// A server for one connection after the other: sends back what comes, or `reply` for it, and sleeps once before its
  /// 20th read. Ends a connection on which a stream's number does not grow.
  static func withServer(stalling milliseconds: Int = 0, replying reply: [UInt8]? = nil, _ body: (String) -> Void) throws {
    turn.withLock { _ in
      let path = NSTemporaryDirectory() + "server-\(UUID().uuidString.prefix(8)).sock"
      let listener = listen(at: path)
      let ended = DispatchSemaphore(value: 0)
      let thread = Thread {
        while true {
          let peer = accept(listener, nil, nil)
          guard peer >= 0 else {
            ended.signal()
            return
          }
          serve(peer, stalling: milliseconds, replying: reply)
          close(peer)
        }
      }
      thread.start()
      body(path)
      shutdown(listener, Int32(SHUT_RDWR))
      // why: the number of a closed listener may be the next one's, and this server would take its connections.
      ended.wait()
      close(listener)
      try? FileManager.default.removeItem(atPath: path)
    }
  }

  private static func serve(_ peer: Int32, stalling milliseconds: Int, replying reply: [UInt8]?) {
    var room = [UInt8](repeating: 0, count: 1 << 16)
    var last: UInt32 = 0
    for turn in 1... {
      if turn == 20, milliseconds > 0 { usleep(UInt32(milliseconds) * 1000) }
      let got = read(peer, &room, room.count)
      guard got > 0 else { return }
      let stream = room[4..<8].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
      guard reply != nil || stream > last else { return }
      last = stream
      _ = reply.map { write(peer, $0, $0.count) } ?? write(peer, room, got)
    }
  }

  private static func listen(at path: String) -> Int32 {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    _ = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
    }
    _ = Glibc.listen(descriptor, 8)
    return descriptor
  }
}
