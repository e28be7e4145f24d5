import ChatelaineClient
import Foundation
import Testing

@Suite("The client's evidence, and a log that is rolled back under the real service", .serialized)
struct LogServiceTests {
  /// The receipt of the first call of so many: with more than 100 behind it, a head covers it within a second or so.
  private static func work(_ connection: ChatelaineConnection, _ count: Int = 130) async throws -> Receipt {
    let first = try await connection.encrypt([1], tenant: "acme", key: "k").receipt
    for _ in 1..<count { _ = try await connection.encrypt([1], tenant: "acme", key: "k") }
    return first
  }

  private static func connect(_ service: RunningService, _ watch: LogWatch) async throws -> ChatelaineConnection {
    try await ChatelaineConnection.connect(path: service.dataSocket, expecting: .sameUserAsCaller, log: watch)
  }

  private static func error(_ body: () async throws -> some Sendable) async -> ClientError? {
    do { _ = try await body() } catch { return error as? ClientError }
    return nil
  }

  @Test("A receipt becomes evidence that the command line takes with the leaf hash, and with no other")
  func evidence() async throws {
    let service = try RunningService()
    let key = try LogKey(service.logKey())
    let connection = try await Self.connect(service, LogWatch(key: key))
    let first = try await Self.work(connection)
    let file = try await connection.evidence(for: first)
    #expect(file.count < 2048 && !String(decoding: file, as: UTF8.self).contains("extra"))
    try Data(file).write(to: service.directory.appending(path: "proof"))
    let check = ["audit", "check-proof", "proof", "--key", key.description, "--leaf"]
    #expect(try service.run(check + [first.leafHash]).contains("VALID"))
    let other = try await Self.work(connection, 1)
    #expect(throws: RunningService.CommandFailed.self) { try service.run(check + [other.leafHash]) }
    let early = await Self.error { try await connection.evidence(for: other, options: .init(timeout: .milliseconds(50))) }
    #expect(early?.code == .busy || early?.code == .deadlineExceeded, "no head covers it yet")
    let keyless = try await ChatelaineConnection.connect(path: service.dataSocket, expecting: .sameUserAsCaller)
    #expect(await Self.error { try await keyless.evidence(for: first) }?.code == .invalidLogKey)
    await keyless.close()
    let stranger = try await Self.connect(service, LogWatch(key: LogKey(SignedLog().keyText)))
    #expect(await Self.error { try await stranger.evidence(for: first) }?.code == .invalidLogKey)
    await stranger.close()
    await connection.close()
  }

  @Test("A log that is put back is an alarm, while it is shorter and when it has grown again; one that grew is none")
  func rollback() async throws {
    let service = try RunningService()
    let kept = FileHeads(place: service.directory.appending(path: "kept"))
    let watch = LogWatch(key: try LogKey(service.logKey()), heads: kept)
    let first = try await Self.connect(service, watch)
    _ = try await Self.work(first)
    await first.close()
    service.stop()
    let (now, old) = (service.directory.appending(path: "d"), service.directory.appending(path: "old"))
    try FileManager.default.copyItem(at: now, to: old)

    try service.start()
    let second = try await Self.connect(service, watch)
    let before = try await kept.load()
    let lost = try await Self.work(second)
    _ = try await second.evidence(for: lost)
    try await second.checkLog()
    #expect(try await kept.load() != before, "the control: a log that grew, kept anew")
    await second.close()
    service.stop()

    try FileManager.default.removeItem(at: now)
    try FileManager.default.copyItem(at: old, to: now)
    try service.start()
    let shorter = await Self.error { try await Self.connect(service, watch) }
    #expect(shorter?.code == .logAlarm && shorter?.alarm?.kind == .shorter)
    #expect(shorter?.alarm?.missing?.contains(lost.sequence) == true)
    let unwatched = try await Self.connect(service, LogWatch(key: watch.key))
    _ = try await Self.work(unwatched, 400)
    let grown = await Self.error { () async throws -> ChatelaineConnection in
      for _ in 0..<40 {
        let error = await Self.error { try await Self.connect(service, watch) }
        if let error, error.alarm?.kind != .shorter { throw error }
        try await Task.sleep(for: .milliseconds(100))
      }
      throw ClientError(.cancelled, "it did not grow")
    }
    #expect(grown?.alarm?.kind == .forked)
    let gone = await Self.error { try await unwatched.evidence(for: lost) }
    #expect(gone?.alarm?.kind == .receipt, "another entry stands there now")
    await unwatched.close()
  }
}
