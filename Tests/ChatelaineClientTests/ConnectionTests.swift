import ChatelaineClient
import Foundation
import Synchronization
import Testing

@Suite("The client's connection")
struct ConnectionTests {
  static let echo: ScriptedServer.Script = { request, _ in
    .bytes(Frames.good(request.stream, request.plaintext + [0]))
  }

  /// Runs `body` with a connection to a server that does as `script` says.
  static func with(
    _ script: @escaping ScriptedServer.Script, options: ConnectionOptions = ConnectionOptions(),
    _ body: (ChatelaineConnection, ScriptedServer) async throws -> Void
  ) async throws {
    let server = try await ScriptedServer(script)
    let connection = try await ChatelaineConnection.connect(
      path: server.path, expecting: .sameUserAsCaller, options: options)
    try await body(connection, server)
    await connection.close()
    try await server.close()
  }

  static func code(_ body: () async throws(ClientError) -> some Sendable) async -> ClientError.Code? {
    do throws(ClientError) { _ = try await body() } catch { return error.code }
    return nil
  }

  static func encrypt(_ connection: ChatelaineConnection, _ text: String, _ options: CallOptions = .init())
    async throws(ClientError) -> [UInt8]
  { try await connection.encrypt(Array(text.utf8), tenant: "acme", key: "k", options: options).value }

  static func eventually(_ holds: () -> Bool) async -> Bool {
    for _ in 0..<500 where !holds() { try? await Task.sleep(for: .milliseconds(10)) }
    return holds()
  }

  // MARK: Tokens

  @Test("A call carries its own token, else the connection's, else none; and no text shows one")
  func tokens() async throws {
    let (own, shared) = try (#require(AccessToken(Array("own.t.x".utf8))), #require(AccessToken(Array("shared".utf8))))
    var options = ConnectionOptions()
    options.token = { shared }
    try await Self.with(Self.echo, options: options) { connection, server in
      _ = try await Self.encrypt(connection, "a")
      _ = try await Self.encrypt(connection, "b", CallOptions(token: own))
      #expect(server.requests.map { $0.authorization.map { String(decoding: $0, as: UTF8.self) } } == ["Bearer shared", "Bearer own.t.x"])
    }
    try await Self.with(Self.echo) { connection, server in
      _ = try await Self.encrypt(connection, "c")
      #expect(server.requests.map(\.authorization) == [nil], "the control")
    }
    #expect(!"\(own) \(String(reflecting: CallOptions(token: own)))".contains("own.t.x"))
    for text in ["", "a b", "a\n", "ä", String(repeating: "a", count: 8193)] { #expect(AccessToken(Array(text.utf8)) == nil) }
  }

  // MARK: Who serves

  @Test("A server of another user gets a connection and not one byte")
  func wrongServer() async throws {
    let server = try await ScriptedServer(Self.echo)
    let code = await Self.code { () throws(ClientError) in
      try await ChatelaineConnection.connect(path: server.path, expecting: .uid(geteuid() &+ 1))
    }
    #expect(code == .wrongServer)
    #expect(await Self.eventually { server.connections == 1 })
    try await Task.sleep(for: .milliseconds(50))
    #expect(server.byteCount == 0)
    let connection = try await ChatelaineConnection.connect(path: server.path, expecting: .uid(geteuid()))
    _ = try await Self.encrypt(connection, "control")
    #expect(server.byteCount > 0, "the control: the same server, expected")
    await connection.close()
    try await server.close()
  }

  @Test("A path where nobody listens, and one that is too long, are a typed error")
  func nobody() async {
    for path in ["/nonexistent/socket", "/" + String(repeating: "x", count: 120)] {
      let code = await Self.code { () throws(ClientError) in
        try await ChatelaineConnection.connect(path: path, expecting: .sameUserAsCaller)
      }
      #expect(code == .connectFailed)
    }
  }

  // MARK: Replies

  @Test("Replies in any order go to their calls, and streams are odd and grow")
  func order() async throws {
    let kept = Mutex<[ScriptedServer.Request]>([])
    try await Self.with({ request, number in
      kept.withLock { $0.append(request) }
      guard number == 64 else { return .nothing }
      return .bytes(kept.withLock { $0.reversed().flatMap { Frames.good($0.stream, $0.plaintext) } })
    }) { connection, server in
      try await withThrowingTaskGroup(of: Bool.self) { group in
        for number in 0..<64 {
          group.addTask {
            try await Self.encrypt(connection, "call \(number)") == Array("call \(number)".utf8)
          }
        }
        for try await isRight in group { #expect(isRight) }
      }
      #expect(server.requests.map(\.stream) == (0..<64).map { $0 * 2 + 1 })
    }
  }

  @Test("A refusal comes with code, sentence, request id, retry and receipt; codes of later services too")
  func refusal() async throws {
    let id = [UInt8](repeating: 0x11, count: 16)
    let detail =
      Frames.field(1, Array("SOMETHING_NEW".utf8)) + Frames.field(2, id) + [24, 1] + [32, 100]
      + Frames.receipt
    try await Self.with({ request, _ in
      .bytes(Frames.refusal(request.stream, status: 14, "Wait.", detail: detail))
    }) { connection, _ in
      do throws(ClientError) { _ = try await Self.encrypt(connection, "x") } catch {
        #expect(error.code.rawValue == "SOMETHING_NEW" && error.sentence == "Wait.")
        #expect(error.requestID == RequestID(String(repeating: "11", count: 16)))
        #expect(error.retry == .after(.milliseconds(100)))
        #expect(error.receipt?.sequence == 7 && error.receipt?.logID == String(repeating: "ab", count: 16))
        return
      }
      Issue.record("it was not refused")
    }
  }

  @Test("A good reply without a receipt, or with one that names no log, is no reply")
  func noReceipt() async throws {
    let empty = Frames.field(15, [])
    let nameless = Frames.field(15, [0x15, 1, 0, 0, 0] + [0x19, 7, 0, 0, 0, 0, 0, 0, 0])
    for (receipt, isGood) in [([UInt8](), false), (empty, false), (nameless, false), (Frames.receipt, true)] {
      try await Self.with({ request, _ in
        let payload = Frames.field(1, [1, 2, 3]) + receipt
        return .bytes(Frames.frame(request.stream, Frames.field(1, []) + Frames.field(2, payload)))
      }) { connection, _ in
        var code: ClientError.Code?
        do throws(ClientError) { _ = try await Self.encrypt(connection, "x") } catch { code = error.code }
        #expect(code == (isGood ? nil : .malformedReply))
      }
    }
  }

  @Test("A refusal of the whole connection reaches the calls after it")
  func refusedConnection() async throws {
    let busy = Frames.refusal(1, status: 8, "Full.", detail: Frames.field(1, Array("BUSY".utf8)))
    let server = try await ScriptedServer(greeting: busy)
    let connection = try await ChatelaineConnection.connect(path: server.path, expecting: .sameUserAsCaller)
    try await Task.sleep(for: .milliseconds(100))
    #expect(await Self.code { () throws(ClientError) in try await Self.encrypt(connection, "x") } == .busy)
    await connection.close()
    try await server.close()
  }

  @Test(
    "A reply that does not parse ends the connection: its call and the others get typed errors",
    arguments: [
      Frames.frame(1, [0xFF]), Frames.frame(1, Frames.field(1, []) + Frames.field(2, [0x0A, 9])),
      Frames.frame(1, Frames.field(1, [])), Frames.good(1, []),
      Frames.frame(1, Frames.field(1, []) + Frames.field(2, Frames.field(1, [1]))),
    ])
  func malformed(_ reply: [UInt8]) async throws {
    try await Self.with({ _, number in number == 2 ? .bytes(reply) : .nothing }) { connection, _ in
      async let first = Self.code { () throws(ClientError) in try await Self.encrypt(connection, "1") }
      async let second = Self.code { () throws(ClientError) in try await Self.encrypt(connection, "2") }
      let codes = await [first, second]
      #expect(Set(codes) == [.malformedReply, .connectionLost])
      #expect(
        await Self.code { () throws(ClientError) in try await Self.encrypt(connection, "3") }
          == .connectionLost)
    }
  }

  @Test(
    "A frame that is none of ours ends the connection",
    arguments: [Frames.good(9, [1]), Frames.frame(1, [], kind: 1), [0xFF, 0, 0, 0, 0, 0, 0, 1, 2, 0]])
  func foreign(_ bytes: [UInt8]) async throws {
    try await Self.with({ _, _ in .bytes(bytes) }) { connection, _ in
      #expect(
        await Self.code { () throws(ClientError) in try await Self.encrypt(connection, "1") }
          == .connectionLost)
    }
  }

  // MARK: Ends

  @Test("A lost connection fails every call that waits, sent or not, and every later one")
  func lost() async throws {
    var options = ConnectionOptions()
    options.inFlightMax = 3
    try await Self.with({ _, number in number == 3 ? .close : .nothing }, options: options) { connection, _ in
      let codes = await withTaskGroup(of: ClientError.Code?.self) { group in
        for number in 0..<20 {
          group.addTask {
            await Self.code { () throws(ClientError) in try await Self.encrypt(connection, "\(number)") }
          }
        }
        return await group.reduce(into: []) { $0.append($1) }
      }
      #expect(codes == Array(repeating: .connectionLost, count: 20))
      #expect(
        await Self.code { () throws(ClientError) in try await Self.encrypt(connection, "x") }
          == .connectionLost)
    }
  }

  @Test("After close, calls that wait and later ones say so; close may be called again, from two tasks")
  func closed() async throws {
    try await Self.with({ _, _ in .nothing }) { connection, server in
      async let waiting = Self.code { () throws(ClientError) in try await Self.encrypt(connection, "x") }
      #expect(await Self.eventually { server.requests.count == 1 })
      async let one: Void = connection.close()
      async let two: Void = connection.close()
      _ = await (one, two)
      #expect(await waiting == .connectionClosed)
      #expect(
        await Self.code { () throws(ClientError) in try await Self.encrypt(connection, "x") }
          == .connectionClosed)
    }
  }

  // MARK: Deadlines and bounds

  @Test("A deadline is sent and kept: the call ends, its late reply is passed over, the connection goes on")
  func deadline() async throws {
    try await Self.with({ request, number in
      number <= 2
        ? .nothing : .bytes(Frames.good(1, [1]) + Frames.good(request.stream, request.plaintext))
    }) { connection, server in
      let start = ContinuousClock.now
      let id = RequestID.random()
      let options = CallOptions(requestID: id, timeout: .milliseconds(100))
      do throws(ClientError) { _ = try await Self.encrypt(connection, "late", options) } catch {
        #expect(error.code == .deadlineExceeded && error.requestID == id && error.retry == .withSameRequestID)
      }
      do throws(ClientError) {
        _ = try await Self.encrypt(connection, "late", CallOptions(timeout: .milliseconds(100)))
      } catch {
        let named = try #require(error.requestID, "an id of the library's own")
        #expect(error.code == .deadlineExceeded && named != id)
      }
      #expect(ContinuousClock.now - start < .seconds(5))
      let sent = try #require(server.requests.first?.timeoutNanoseconds)
      #expect((1...100_000_000).contains(sent))
      let next = try await Self.encrypt(connection, "next")
      #expect(next == Array("next".utf8))
    }
  }

  @Test("No more calls are under way than the option says; the others wait for their turn")
  func inFlight() async throws {
    var options = ConnectionOptions()
    options.inFlightMax = 4
    let kept = Mutex<[ScriptedServer.Request]>([])
    try await Self.with(
      { request, _ in
        kept.withLock { kept in
          kept.append(request)
          guard kept.count == 4 else { return .nothing }
          defer { kept = [] }
          return .bytes(kept.flatMap { Frames.good($0.stream, $0.plaintext) })
        }
      }, options: options
    ) { connection, server in
      async let fifth = Self.code { () throws(ClientError) in
        try await Self.encrypt(connection, "five", CallOptions(timeout: .seconds(20)))
      }
      #expect(await Self.eventually { server.requests.count == 1 })
      try await withThrowingTaskGroup(of: [UInt8].self) { group in
        for number in 0..<19 { group.addTask { try await Self.encrypt(connection, "\(number)") } }
        for try await _ in group {}
      }
      #expect(await fifth == nil)
      #expect(server.requests.count == 20)
    }
  }

  @Test("A cancelled task's call ends at once, whether it was sent or not, and the connection goes on")
  func cancelled() async throws {
    try await Self.with({ request, number in
      number == 1 ? .nothing : .bytes(Frames.good(request.stream, request.plaintext))
    }) { connection, server in
      let task = Task {
        await Self.code { () throws(ClientError) in try await Self.encrypt(connection, "x") }
      }
      #expect(await Self.eventually { server.requests.count == 1 })
      task.cancel()
      #expect(await task.value == .cancelled)
      let early = Task { () -> ClientError.Code? in
        unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
        return await Self.code { () throws(ClientError) in try await Self.encrypt(connection, "y") }
      }
      #expect(await early.value == .cancelled)
      let next = try await Self.encrypt(connection, "next")
      #expect(next == Array("next".utf8))
    }
  }

  // MARK: What is refused here

  @Test("What no service would take is refused without a byte sent")
  func local() async throws {
    try await Self.with(Self.echo) { connection, server in
      let long = [UInt8](repeating: 0, count: 1 << 20 + 1)
      #expect(
        await Self.code { () throws(ClientError) in
          try await connection.encrypt(long, tenant: "acme", key: "k")
        } == .limitExceeded)
      #expect(
        await Self.code { () throws(ClientError) in try await connection.encrypt([], tenant: "ACME", key: "k")
        } == .invalidRequest)
      #expect(
        await Self.code { () throws(ClientError) in try await connection.encrypt([], tenant: "acme", key: "")
        } == .invalidRequest)
      #expect(
        await Self.code { () throws(ClientError) in
          try await connection.encryptBatch([], tenant: "acme", key: "k")
        } == .limitExceeded)
      let many = [BatchItem](repeating: BatchItem([1]), count: 1025)
      #expect(
        await Self.code { () throws(ClientError) in
          try await connection.encryptBatch(many, tenant: "acme", key: "k")
        } == .limitExceeded)
      let wide = Dictionary(uniqueKeysWithValues: (0..<17).map { ("k\($0)", "v") })
      #expect(
        await Self.code { () throws(ClientError) in
          try await connection.encrypt([], tenant: "acme", key: "k", context: wide)
        } == .limitExceeded)
      let actor = CallOptions(actor: String(repeating: "a", count: 257))
      #expect(
        await Self.code { () throws(ClientError) in try await Self.encrypt(connection, "x", actor) }
          == .limitExceeded)
      #expect(server.byteCount == 0)
      _ = try await connection.encrypt(Array(long.dropLast()), tenant: "acme", key: "k")
      #expect(server.requests.last?.plaintext.count == 1 << 20, "the control: one byte less is sent")
    }
  }
}
