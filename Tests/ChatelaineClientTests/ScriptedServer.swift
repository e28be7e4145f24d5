import ChatelaineVocabulary
import ChatelaineWire
import Foundation
import NIOCore
import NIOPosix
import Synchronization

/// The other end of a socket, which does what a test says: for what the real service never does.
final class ScriptedServer: Sendable {
  /// One request as it came.
  struct Request: Sendable {
    let stream: UInt32
    let timeoutNanoseconds: UInt64?
    let call: KeyCall?
    let plaintext: [UInt8]
    let authorization: [UInt8]?
  }

  enum Answer: Sendable {
    case nothing
    case bytes([UInt8])
    case close
  }

  typealias Script = @Sendable (Request, Int) -> Answer

  let path: String
  private let channel: any Channel
  private let log: Log

  final class Log: Sendable {
    struct State: Sendable {
      var byteCount = 0
      var requests: [Request] = []
      var connections = 0
    }
    let state = Mutex(State())
  }

  var byteCount: Int { log.state.withLock { $0.byteCount } }
  var requests: [Request] { log.state.withLock { $0.requests } }
  var connections: Int { log.state.withLock { $0.connections } }

  /// `greeting` is sent to whoever connects; `script` answers each request, numbered from 1.
  init(greeting: [UInt8] = [], _ script: @escaping Script = { _, _ in .nothing }) async throws {
    path = NSTemporaryDirectory() + "/ch-\(UInt64.random(in: 0 ... .max)).sock"
    let log = Log()
    self.log = log
    channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(Reader(log, greeting, script))
        }
      }
      .bind(unixDomainSocketPath: path).get()
  }

  func close() async throws {
    try await channel.close()
    _ = unsafe unlink(path)
  }

  private final class Reader: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer
    private let log: Log
    private let greeting: [UInt8]
    private let script: Script
    private var bytes: [UInt8] = []

    init(_ log: Log, _ greeting: [UInt8], _ script: @escaping Script) {
      (self.log, self.greeting, self.script) = (log, greeting, script)
    }

    func channelActive(context: ChannelHandlerContext) {
      log.state.withLock { $0.connections += 1 }
      if !greeting.isEmpty { send(greeting, context) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      let buffer = unwrapInboundIn(data)
      bytes += buffer.readableBytesView
      log.state.withLock { $0.byteCount += buffer.readableBytes }
      while let frame = try? TtrpcFrame(bytes.span), bytes.count >= 10 + frame.byteCount {
        take(frame, context)
        bytes.removeFirst(10 + frame.byteCount)
      }
    }

    private func take(_ frame: TtrpcFrame, _ context: ChannelHandlerContext) {
      guard let request = try? TtrpcRequest(bytes.span, in: 10..<10 + frame.byteCount) else { return }
      let method = KeyMethod(bytes.span.extracting(request.method))
      var call: KeyCall?
      if let method { call = try? KeyCall(method, bytes.span, in: request.payload) }
      let taken = Request(
        stream: frame.stream, timeoutNanoseconds: request.timeoutNanoseconds, call: call,
        plaintext: call.map { Array(bytes[$0.items[0].body]) } ?? [],
        authorization: request.authorization.map { Array(bytes[$0]) })
      let number = log.state.withLock {
        $0.requests.append(taken)
        return $0.requests.count
      }
      switch script(taken, number) {
      case .nothing: break
      case .bytes(let answer): send(answer, context)
      case .close: context.close(promise: nil)
      }
    }

    private func send(_ answer: [UInt8], _ context: ChannelHandlerContext) {
      context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: answer)), promise: nil)
    }
  }
}

/// Replies by hand.
enum Frames {
  static func frame(_ stream: UInt32, _ message: [UInt8], kind: UInt8 = 2) -> [UInt8] {
    bigEndian(UInt32(message.count)) + bigEndian(stream) + [kind, 0] + message
  }

  /// A good reply whose first field is `value`.
  static func good(_ stream: UInt32, _ value: [UInt8]) -> [UInt8] {
    frame(stream, field(1, []) + field(2, field(1, value) + receipt))
  }

  static func refusal(_ stream: UInt32, status: UInt8, _ message: String, detail: [UInt8]) -> [UInt8] {
    let any = field(1, Array("type.googleapis.com/chatelaine.v1.ErrorDetail".utf8)) + field(2, detail)
    return frame(stream, field(1, [8, status] + field(2, Array(message.utf8)) + field(3, any)))
  }

  static let receipt: [UInt8] = field(
    15,
    field(1, [UInt8](repeating: 0xAB, count: 16)) + [0x15, 1, 0, 0, 0] + [0x19, 7, 0, 0, 0, 0, 0, 0, 0]
      + field(4, [UInt8](repeating: 0xCD, count: 32)))

  static func field(_ number: Int, _ value: [UInt8]) -> [UInt8] {
    varint(number << 3 | 2) + varint(value.count) + value
  }

  static func varint(_ value: Int) -> [UInt8] {
    value < 128 ? [UInt8(value)] : [UInt8(value & 127 | 128)] + varint(value >> 7)
  }

  private static func bigEndian(_ value: UInt32) -> [UInt8] {
    [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) }
  }
}
