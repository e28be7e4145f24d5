internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineVocabulary
internal import Glibc
internal import Synchronization

/// Appends from several threads, and prints `ack SEQ LEAFHASH` for each entry that has a receipt.
final class DrillAppend: Sendable {
  private let path: String
  private let options: DrillOptions
  private let submitted = Atomic<Int>(0)
  private let acknowledged = Atomic<Int>(0)
  private let refused = Atomic<Int>(0)
  private let wasRefusedLast = Atomic<Bool>(false)
  private let deadline: UInt64

  init(_ path: String, _ options: DrillOptions) {
    self.path = path
    self.options = options
    deadline = options.seconds.map { LogClock.system.bootNanoseconds() + UInt64($0) * 1_000_000_000 } ?? .max
  }

  func run() {
    let log = openLog()
    let threads = (0..<options.threads).map { number in Worker { self.append(to: log, thread: number) } }
    for thread in threads { thread.join() }
    log.close()
    let summary =
      "acknowledged \(acknowledged.load(ordering: .relaxed)) refused \(refused.load(ordering: .relaxed))"
    Drill.stop(wasRefusedLast.load(ordering: .relaxed) ? .unavailable : .done, summary)
  }

  private func openLog() -> AuditLog {
    var writing = LogOptions()
    if let bytes = options.segmentBytes { writing.segmentBytes = bytes }
    if let bytes = options.firstSegmentBytes { writing.firstSegmentBytes = bytes }
    let storage: FileStorage
    do throws(StorageFailure) { storage = try FileStorage(path: path, exclusively: true) } catch {
      Drill.stop(error)
    }
    do throws(LogError) {
      if options.creates { try create(in: storage, writing) }
      let (writer, recovery) = try LogWriter.open(in: storage, options: writing)
      if let tear = recovery.tear {
        Drill.put(
          "recovered segment \(tear.segment) offset \(tear.offset) bytes \(tear.byteCount)\n",
          to: STDERR_FILENO)
      }
      return AuditLog(writer) { Drill.stop(.failed, "poisoned: \($0.call) \($0.path): \($0.reason)") }
    } catch { Drill.stop(error) }
  }

  private func create(in storage: FileStorage, _ writing: LogOptions) throws(LogError) {
    do throws(LogError) { _ = try LogWriter.create(in: storage, name: "drill", options: writing) } catch {
      // A log that is there is opened.
      guard case .storage(let failure) = error, failure.call == .create, failure.errno == EEXIST else {
        throw error
      }
    }
  }

  // MARK: One thread

  private func append(to log: AuditLog, thread: Int) {
    var round: UInt64 = 0
    let answer = Answer()
    while let count = nextCount(round) {
      let drafts = (0..<count).map { draft(thread: thread, round: round, index: $0) }
      log.append(drafts) { outcome in answer.give(self.report(consume outcome)) }
      round += 1
      if !answer.wait() { usleep(20_000) }
    }
  }

  /// One to three entries at a time, until there are enough or the time is over.
  private func nextCount(_ round: UInt64) -> Int? {
    guard LogClock.system.bootNanoseconds() < deadline else { return nil }
    let count = Int(round % 3) + 1
    guard let limit = options.entries else { return count }
    let before = submitted.wrappingAdd(count, ordering: .relaxed).oldValue
    return before >= limit ? nil : min(count, limit - before)
  }

  private func draft(thread: Int, round: UInt64, index: Int) -> EntryDraft {
    var entry = AuditEntry(.keyUse, .encrypt)
    entry.outcome = .ok
    entry.requestID = Identifier(high: UInt64(thread), low: round << 8 | UInt64(index))
    entry.wall = LogClock.system.wall()
    entry.tenant = try? TenantID("acme")
    entry.keyName = try? KeyName("records")
    entry.principal = Array("uid:1000".utf8)
    entry.items = [.init(outcome: .ok, byteCount: 100)]
    entry.purpose = [UInt8](repeating: 0x70, count: Int(round * 37 % 200))
    return EntryDraft(entry)
  }

  /// On the writer's thread: the lines leave before the next batch does.
  private func report(_ outcome: consuming AppendOutcome) -> Bool {
    switch outcome {
    case .durable(let receipt):
      var lines = ""
      for (index, hash) in receipt.leafHashes.enumerated() {
        lines += "ack \(receipt.firstSequence + UInt64(index)) \(hash.hex)\n"
      }
      Drill.put(lines, to: STDOUT_FILENO)
      acknowledged.wrappingAdd(receipt.leafHashes.count, ordering: .relaxed)
      wasRefusedLast.store(false, ordering: .relaxed)
      return true
    case .failed(let failure):
      if refused.wrappingAdd(1, ordering: .relaxed).oldValue == 0 {
        Drill.put("refused: \(failure)\n", to: STDERR_FILENO)
      }
      wasRefusedLast.store(true, ordering: .relaxed)
      return false
    }
  }
}

/// Where one thread waits for its answers.
private final class Answer: Sendable {
  private let value = Mutex<Bool?>(nil)
  private let pipe: (read: Int32, write: Int32)

  init() {
    var ends: (Int32, Int32) = (-1, -1)
    let status = unsafe withUnsafeMutableBytes(of: &ends) { buffer in
      unsafe Glibc.pipe(buffer.baseAddress!.assumingMemoryBound(to: Int32.self))
    }
    precondition(status == 0, "no pipe")
    pipe = ends
  }

  deinit {
    close(pipe.read)
    close(pipe.write)
  }

  func give(_ isDurable: Bool) {
    value.withLock { $0 = isDurable }
    var byte: UInt8 = 1
    _ = unsafe Glibc.write(pipe.write, &byte, 1)
  }

  func wait() -> Bool {
    var byte: UInt8 = 0
    while unsafe read(pipe.read, &byte, 1) < 0, errno == EINTR {}
    return value.withLock { $0 } ?? false
  }
}

/// A thread that can be waited for.
private final class Worker: @unchecked Sendable {
  private var thread = pthread_t()

  private final class Body {
    let run: () -> Void
    init(_ run: @escaping () -> Void) { self.run = run }
  }

  init(_ body: @escaping @Sendable () -> Void) {
    let argument = unsafe Unmanaged.passRetained(Body(body)).toOpaque()
    let status = unsafe pthread_create(
      &thread, nil,
      { argument in
        unsafe Unmanaged<Body>.fromOpaque(argument!).takeRetainedValue().run()
        return nil
      }, argument)
    precondition(status == 0, "cannot start a thread")
  }

  func join() { pthread_join(thread, nil) }
}
