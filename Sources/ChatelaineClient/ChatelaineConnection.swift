internal import ChatelaineSocketBuffers
internal import ChatelaineVocabulary
internal import Glibc
internal import NIOCore
internal import NIOPosix

/// One connection to the service over its Unix socket, for any number of tasks at once: calls are sent as they
/// come, and answered in any order.
///
/// ```swift
/// let connection = try await ChatelaineConnection.connect(
///   path: "/run/chatelaine/data.sock", expecting: .uid(991))
/// let card = try await connection.encrypt(
///   Array("4111 1111 1111 1111".utf8), tenant: "acme", key: "payments", context: ["column": "card"])
/// let again = try await connection.decrypt(card.value, tenant: "acme", context: ["column": "card"])
/// await connection.close()
/// ```
///
/// Plaintext and keys that you hand in or get back are arrays of yours, and the library cannot erase them; its own
/// buffers are erased as soon as they are sent or read.
///
/// A connection that ended stays so: every call that waits, and every later one, fails with
/// ``ClientError/Code/connectionLost``. Make a new one.
public final class ChatelaineConnection: Sendable {
  private let channel: any Channel
  private let table: NIOLoopBound<CallTable>
  private let options: ConnectionOptions
  /// nil where nothing is said of the log.
  let watch: LogWatch?

  private init(
    channel: any Channel, table: NIOLoopBound<CallTable>, options: ConnectionOptions, watch: LogWatch?
  ) {
    self.channel = channel
    self.table = table
    self.options = options
    self.watch = watch
  }

  deinit { channel.close(promise: nil) }

  /// Connects, and asks the kernel who serves the socket before a byte is sent.
  ///
  /// - Parameters:
  ///   - path: The socket's path, at most 107 bytes.
  ///   - server: Who must be serving it; anyone else is refused with ``ClientError/Code/wrongServer``.
  ///   - log: How the service is held to its log: its newest head is compared with the one that was kept, and an alarm
  ///     ends the connection where ``LogWatch/onAlarm`` says nothing else.
  public static func connect(
    path: String, expecting server: ServerIdentity, options: ConnectionOptions = ConnectionOptions(),
    log watch: LogWatch? = nil
  ) async throws(ClientError) -> ChatelaineConnection {
    let connection = try await open(path, server, options, watch)
    do throws(ClientError) { try await connection.checkLog() } catch {
      await connection.close()
      throw error
    }
    return connection
  }

  private static func open(
    _ path: String, _ server: ServerIdentity, _ options: ConnectionOptions, _ watch: LogWatch?
  ) async throws(ClientError) -> ChatelaineConnection {
    do {
      let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        .channelOption(.autoRead, value: false)
        .channelOption(
          .recvAllocator,
          value: AdaptiveRecvByteBufferAllocator(
            minimum: 4096, initial: 16384, maximum: FrameBuffer.readBytesMax)
        )
        .connect(unixDomainSocketPath: path).get()
      let table = try await admit(channel, server, options).get()
      return ChatelaineConnection(channel: channel, table: table, options: options, watch: watch)
    } catch let error as ClientError {
      throw error
    } catch {
      throw ClientError(connecting: error, path: path)
    }
  }

  private static func admit(
    _ channel: any Channel, _ server: ServerIdentity, _ options: ConnectionOptions
  ) -> EventLoopFuture<NIOLoopBound<CallTable>> {
    let table = PeerCredentials.of(channel).flatMapThrowing { peer in
      let uid = peer?.uid
      guard uid == server.uid else { throw ClientError.wrongServer(uid, expected: server.uid) }
      let table = CallTable(inFlightMax: options.inFlightMax)
      try channel.pipeline.syncOperations.addHandler(table)
      return NIOLoopBound(table, eventLoop: channel.eventLoop)
    }
    return table.flatMap { table in
      channel.setOption(.autoRead, value: true).map { table }
    }.flatMapError { error in
      channel.close().recover { _ in }.flatMapThrowing { throw error }
    }
  }

  /// Ends the connection. Calls without a reply fail with ``ClientError/Code/connectionClosed``, later ones too.
  public func close() async {
    let table = self.table
    try? await channel.eventLoop.submit {
      table.value.end(ClientError(.connectionClosed, "The connection was closed by this program."))
    }.get()
    try? await channel.closeFuture.get()
  }

  // MARK: Calls

  /// Makes one call of any service with a message that holds nothing secret, and returns the reply's.
  package func call(
    service: String, method: String, payload: [UInt8], options: CallOptions = CallOptions()
  ) async throws(ClientError) -> [UInt8] {
    let outgoing = Outgoing(
      service: Array(service.utf8), method: Array(method.utf8), payloadByteCount: payload.count,
      requestID: options.requestID
    ) { output in output.append(payload) }
    return try await perform(outgoing, timeout: options.timeout, token: options.token) { bytes, range in
      bytes.extracting(range).copied()
    }
  }

  private static let timeoutMax = Duration.seconds(86_400)

  /// How long a call may take, its repetitions included.
  func timeout(_ call: CallOptions) -> Duration { min(call.timeout ?? options.timeout, Self.timeoutMax) }

  func perform<Value: Sendable>(
    _ outgoing: Outgoing, timeout: Duration?, token given: AccessToken? = nil, read: @escaping Call<Value>.Reader
  ) async throws(ClientError) -> Value {
    var outgoing = outgoing
    outgoing.token = given
    if given == nil, let token = options.token { outgoing.token = try await token() }
    return try await send(outgoing, timeout: timeout, read: read)
  }

  private func send<Value: Sendable>(
    _ outgoing: Outgoing, timeout: Duration?, read: @escaping Call<Value>.Reader
  ) async throws(ClientError) -> Value {
    guard outgoing.fits else {
      throw ClientError(.limitExceeded, "The request is larger than 4 MiB, contexts included: split it.")
    }
    let deadline = NIODeadline.now() + TimeAmount(min(timeout ?? options.timeout, Self.timeoutMax))
    let (token, table, loop) = (CallToken(), self.table, channel.eventLoop)
    let result = await withTaskCancellationHandler {
      await withCheckedContinuation { (continuation: Call<Value>.Continuation) in
        let call = Call(outgoing, deadline: deadline, token: token, read: read, continuation: continuation)
        loop.execute { table.value.start(call) }
      }
    } onCancel: {
      token.cancel()
      loop.execute { table.value.cancel(token) }
    }
    return try result.get()
  }
}

extension ClientError {
  fileprivate static func wrongServer(_ uid: UInt32?, expected: UInt32) -> ClientError {
    let found = uid.map { "uid \($0)" } ?? "nobody the kernel knows"
    return ClientError(
      .wrongServer,
      "The socket is served by \(found), not by uid \(expected), so nothing was sent: look at who runs the service."
    )
  }

  fileprivate init(connecting error: any Error, path: String) {
    let isForbidden = (error as? IOError).map { [EACCES, EPERM].contains($0.errnoCode) } ?? false
    self.init(
      isForbidden ? .connectForbidden : .connectFailed, "There is no connection to \(path): \(Self.reason(error))",
      retry: isForbidden ? .never : .after(.seconds(1)))
  }

  private static func reason(_ error: any Error) -> String {
    guard let error = error as? IOError else {
      return error is SocketAddressError ? "a socket's path has 1 to 107 bytes." : String(describing: error)
    }
    switch error.errnoCode {
    case ENOENT: return "there is no such socket, is the service running?"
    case ECONNREFUSED: return "nobody listens there, is the service running?"
    case EACCES: return "you may not use this socket, or a directory above it."
    case EAGAIN: return "too many wait there already."
    default: return errorText(error.errnoCode) + "."
    }
  }
}
