internal import CBench
internal import ChatelaineMeasures

/// Connections to one server, and the load that they make. See CBench.
@safe final class LoadSession {
  enum Kind { case ttrpc, echo, http }

  struct Result {
    let count: Int
    let seconds: Double
    let ownCPUNanoseconds: Double
    let latencies: Histogram
    /// The last reply's message, or body.
    let sample: [UInt8]

    var rate: Double { Double(count) / seconds }
  }

  private let load: OpaquePointer

  /// `frame` may be several requests of the same size, which are sent by turns.
  init(_ path: String, _ kind: Kind, connections: Int, depth: Int, frame: [UInt8], requests: Int = 1) throws {
    let known = [Kind.ttrpc: CH_TTRPC, .echo: CH_ECHO, .http: CH_HTTP][kind] ?? CH_TTRPC
    let load = unsafe frame.withUnsafeBufferPointer { bytes in
      let frames = unsafe ch_frames(bytes: bytes.baseAddress, byte_count: frame.count / requests, count: requests)
      return unsafe ch_load_open(path, known, Int32(connections), Int32(depth), frames)
    }
    guard let load = unsafe load else { throw Self.failure() }
    unsafe self.load = load
  }

  deinit { unsafe ch_load_close(load) }

  /// `rate` is requests a second, each sent when it is due; nil: a new request for each reply.
  func run(seconds: Double, rate: Double? = nil) throws -> Result {
    var result = unsafe ch_result()
    let run = ch_run(seconds: seconds, rate: rate ?? 0)
    guard unsafe ch_load_run(load, run, &result) == 0 else { throw Self.failure() }
    let times = unsafe UnsafeBufferPointer(start: result.latencies, count: result.count)
    let sample = unsafe UnsafeBufferPointer(start: result.sample, count: result.sample_count)
    return unsafe Result(
      count: result.count, seconds: result.seconds, ownCPUNanoseconds: result.own_cpu_seconds * 1e9,
      latencies: Histogram(times), sample: Array(sample))
  }

  /// One request, one reply.
  static func once(_ path: String, _ frame: [UInt8]) throws -> Result {
    try LoadSession(path, .ttrpc, connections: 1, depth: 1, frame: frame).run(seconds: 1e-6)
  }

  private static func failure() -> BenchError {
    unsafe BenchError("The load ended: " + String(cString: ch_load_failure()))
  }
}
