internal import ChatelaineAuditTrail
internal import ChatelaineVocabulary
internal import ChatelaineWire

/// Where a program keeps the newest head that it saw, best where the service cannot write.
///
/// ```swift
/// struct HeadFile: HeadStore {
///   let place: URL
///   func load() throws -> [UInt8]? {
///     FileManager.default.fileExists(atPath: place.path) ? Array(try Data(contentsOf: place)) : nil
///   }
///   func save(_ head: [UInt8]) throws { try Data(head).write(to: place, options: .atomic) }
/// }
/// ```
///
/// Programs that share one may write an older head over a newer one, which makes the next check weaker and never wrong.
public protocol HeadStore: Sendable {
  /// What was saved last; nil where nothing was.
  func load() async throws -> [UInt8]?
  /// Keeps a head, whole or not at all.
  func save(_ head: [UInt8]) async throws
}

/// How a connection holds the service to its log.
public struct LogWatch: Sendable {
  /// What heads and proofs are checked under.
  public var key: LogKey
  /// Where the newest head is kept; nil: nothing is compared, and evidence can still be asked for.
  public var heads: (any HeadStore)?
  /// Asked at an alarm; ``AlarmAnswer/stop`` where nothing else is said.
  public var onAlarm: @Sendable (LogAlarm) async -> AlarmAnswer

  /// A watch over the log of this key.
  public init(
    key: LogKey, heads: (any HeadStore)? = nil,
    onAlarm: @escaping @Sendable (LogAlarm) async -> AlarmAnswer = { _ in .stop }
  ) {
    self.key = key
    self.heads = heads
    self.onAlarm = onAlarm
  }
}

extension ChatelaineConnection {
  /// Holds the newest published head against the one that was kept, and keeps it in its place: what connecting does, at
  /// any time again. Nothing where the connection keeps no heads.
  ///
  /// What does not go together is an alarm, which ``LogWatch/onAlarm`` is asked about.
  public func checkLog(options: CallOptions = CallOptions()) async throws(ClientError) {
    guard let watch, let store = watch.heads else { return }
    let kept: [UInt8]?
    do { kept = try await store.load() } catch { throw .headStore(error) }
    switch try await judge(kept, watch, options) {
    case .same: return
    case .newer(let head): try await Self.save(head, in: store)
    case .alarm(let alarm, let found):
      switch (await watch.onAlarm(alarm), found) {
      case (.goOn, _): return
      case (.accept, .some(let head)): try await Self.save(head, in: store)
      case (.accept, nil), (.stop, _): throw ClientError(alarm)
      }
    }
  }

  private func judge(
    _ kept: [UInt8]?, _ watch: LogWatch, _ options: CallOptions
  ) async throws(ClientError) -> HeadJudgement {
    let size = kept.flatMap(HeadJudgement.head)?.checkpoint.size ?? 0
    do throws(ClientError) {
      let reply = try await ask(.head(from: size == 0 ? nil : size), options)
      return HeadJudgement(of: reply, kept: kept, under: watch.key.key)
    } catch {
      guard error.code == .notSigned else { throw error }
      return .alarm(LogAlarm(.notSigned, kept, nil), nil)
    }
  }

  private static func save(_ head: SignedHead, in store: any HeadStore) async throws(ClientError) {
    do { try await store.save(head.note.encoded) } catch { throw .headStore(error) }
  }

  // MARK: Questions about the log

  /// Asks, and asks again where the service says when, as long as the call may take.
  func ask(_ question: ProofCall, _ options: CallOptions) async throws(ClientError) -> ProofReply {
    let until = ContinuousClock.now + timeout(options)
    while true {
      do throws(ClientError) {
        return try await askOnce(question, timeout: until - .now)
      } catch {
        guard error.code == .busy, case .after(let pause) = error.retry, ContinuousClock.now + pause < until else {
          throw error
        }
        do { try await Task.sleep(for: pause) } catch { throw ClientError(.cancelled, "The calling task was cancelled.") }
      }
    }
  }

  private func askOnce(_ question: ProofCall, timeout: Duration) async throws(ClientError) -> ProofReply {
    let outgoing = Outgoing(
      service: KeyMethod.service, method: question.method.bytes, payloadByteCount: question.byteCount, requestID: nil
    ) { question.append(to: &$0) }
    return try await perform(outgoing, timeout: timeout) { bytes, range throws(MalformedBytes) in
      try ProofReply(bytes, in: range)
    }
  }
}

extension ClientError {
  init(_ alarm: LogAlarm) { self.init(.logAlarm, alarm.sentence, alarm: alarm) }

  fileprivate static func headStore(_ error: any Error) -> ClientError {
    ClientError(.headStoreFailed, "The newest head of the log cannot be read or kept: \(error)")
  }
}
