import ChatelaineClient
import ChatelaineVocabulary
import Synchronization
import Testing

/// What the client makes of heads that the real service never gives.
@Suite("The client's watch over the log")
struct LogWatchTests {
  struct Outcome {
    var code: ClientError.Code?
    var alarm: LogAlarm?
    var told: [LogAlarm.Kind] = []
    var kept: [UInt8]?
  }

  /// Connects to a service that answers with `found`, with `kept` from before.
  static func outcome(
    _ found: [UInt8], _ hashes: [Digest] = [], kept: [UInt8]?, key: LogKey? = nil, answer: AlarmAnswer = .stop
  ) async throws -> Outcome {
    let server = try await ScriptedServer { request, _ in .bytes(Frames.answer(request.stream, found, hashes)) }
    let (heads, told) = (MemoryHeads(kept), Told())
    let watch = LogWatch(key: try key ?? LogKey(SignedLog().keyText), heads: heads) { alarm in
      told.kinds.withLock { $0.append(alarm.kind) }
      return answer
    }
    var outcome = Outcome()
    do throws(ClientError) {
      let connection = try await ChatelaineConnection.connect(
        path: server.path, expecting: .sameUserAsCaller, log: watch)
      await connection.close()
    } catch { (outcome.code, outcome.alarm) = (error.code, error.alarm) }
    try await server.close()
    (outcome.told, outcome.kept) = (told.kinds.withLock { $0 }, heads.head)
    return outcome
  }

  final class Told: Sendable {
    let kinds = Mutex<[LogAlarm.Kind]>([])
  }

  @Test("The first head, the same head, and a later one that leads on from it are kept without a word")
  func grows() async throws {
    let log = SignedLog()
    for kept in [nil, 5, 16, 31, 32] as [Int?] {
      let hashes = log.consistency(kept ?? 0, 32)
      let outcome = try await Self.outcome(log.head(32), hashes, kept: kept.map(log.head))
      #expect(outcome.code == nil && outcome.told.isEmpty && outcome.kept == log.head(32), "\(kept ?? 0)")
    }
  }

  @Test("A smaller head, a fork, a proof that does not hold, another key's head and another epoch's raise an alarm")
  func alarms() async throws {
    let log = SignedLog()
    var fork = log
    fork.leaves[3] = Digest(9, 9, 9, 9)
    var stranger = log
    stranger.seed = [UInt8](repeating: 8, count: 32)
    var later = log
    later.epoch = 2
    let cases: [(LogAlarm.Kind, [UInt8], [Digest])] = [
      (.shorter, log.head(19), []), (.forked, fork.head(20), []), (.forked, fork.head(32), fork.consistency(20, 32)),
      (.forked, log.head(32), []), (.forked, log.head(32), Array(log.consistency(20, 32).dropLast())),
      (.notSigned, stranger.head(32), stranger.consistency(20, 32)), (.notSigned, Array("no note".utf8), []),
      (.notSigned, Array(log.head(32).dropLast(9)), []), (.otherEpoch, later.head(12), []),
    ]
    for (kind, found, hashes) in cases {
      let outcome = try await Self.outcome(found, hashes, kept: log.head(20))
      #expect(outcome.code == .logAlarm && outcome.alarm?.kind == kind && outcome.told == [kind], "\(kind)")
      #expect(outcome.kept == log.head(20) && outcome.alarm?.kept == log.head(20) && outcome.alarm?.found == found)
    }
    let control = try await Self.outcome(log.head(32), log.consistency(20, 32), kept: log.head(20))
    #expect(control.code == nil && control.kept == log.head(32), "the control: a log that grew")
  }

  @Test("The alarm says which entries are missing")
  func missing() async throws {
    let log = SignedLog()
    let cut = try await Self.outcome(log.head(11), kept: log.head(20))
    #expect(cut.alarm?.missing == 11..<20)
    var later = log
    later.epoch = 2
    let epoch = try await Self.outcome(later.head(12), kept: log.head(20), key: LogKey(later.keyText))
    #expect(epoch.alarm?.kind == .otherEpoch && epoch.alarm?.missing == 12..<20)
  }

  @Test("A kept head that does not hold under the key is an alarm, whatever the service says")
  func keptHead() async throws {
    let log = SignedLog()
    var stranger = log
    stranger.seed = [UInt8](repeating: 8, count: 32)
    for kept in [stranger.head(20), Array("spoilt".utf8), []] {
      let outcome = try await Self.outcome(log.head(32), log.consistency(20, 32), kept: kept, answer: .accept)
      #expect(outcome.alarm?.kind == .keptHead && outcome.kept == kept)
    }
  }

  @Test("Going on leaves the kept head; accepting takes the service's, where it holds under the key")
  func answers() async throws {
    let log = SignedLog()
    let wentOn = try await Self.outcome(log.head(11), kept: log.head(20), answer: .goOn)
    #expect(wentOn.code == nil && wentOn.told == [.shorter] && wentOn.kept == log.head(20))
    let accepted = try await Self.outcome(log.head(11), kept: log.head(20), answer: .accept)
    #expect(accepted.code == nil && accepted.kept == log.head(11))
    var later = log
    later.epoch = 2
    let unknown = try await Self.outcome(later.head(12), kept: log.head(20), answer: .accept)
    #expect(unknown.code == .logAlarm && unknown.kept == log.head(20), "not without the new epoch's key")
    let known = try await Self.outcome(later.head(12), kept: log.head(20), key: LogKey(later.keyText), answer: .accept)
    #expect(known.code == nil && known.kept == later.head(12))
  }

  @Test("A service that signs no heads is an alarm; one that is busy for longer than the call may take is a typed error")
  func refusals() async throws {
    for (code, retry, expected) in [("NOT_SIGNED", [24, 0], .logAlarm), ("BUSY", [24, 1, 32, 100], .busy)]
      as [(String, [UInt8], ClientError.Code)]
    {
      let detail = Frames.field(1, Array(code.utf8)) + retry
      let server = try await ScriptedServer { request, _ in
        .bytes(Frames.refusal(request.stream, status: 8, "No.", detail: detail))
      }
      var options = ConnectionOptions()
      options.timeout = .milliseconds(2500)
      let watch = LogWatch(key: try LogKey(SignedLog().keyText), heads: MemoryHeads(nil))
      await #expect(throws: ClientError.self) {
        do throws(ClientError) {
          _ = try await ChatelaineConnection.connect(
            path: server.path, expecting: .sameUserAsCaller, options: options, log: watch)
        } catch {
          // why: on a busy machine the last question may end with the time that the call has.
          #expect(error.code == expected || expected == .busy && error.code == .deadlineExceeded)
          throw error
        }
      }
      #expect(expected != .busy || server.requests.count >= 3, "it asked again")
      try await server.close()
    }
  }

  @Test("A text that is no public key is none")
  func keys() {
    for text in ["", "a+b", SignedLog().keyText.replacing("+", with: "-"), SignedLog().keyText + "A"] {
      #expect(throws: ClientError.self) { try LogKey(text) }
    }
    #expect(throws: Never.self) { try LogKey(" \(SignedLog().keyText)\n") }
  }
}
