package import ChatelaineAuditTrail
package import ChatelaineVocabulary
internal import Glibc
internal import Synchronization

/// The key-access log of a running service: a mailbox before the one writer.
///
/// A batch is whatever came in while the last one was being synced. Entries of one `append` stay
/// together and in order, and appends of one thread keep their order. A single entry may be written by the thread
/// that brings it, while the writer's own thread has nothing to do.
package final class AuditLog: Sendable {
  package typealias Completion = @Sendable (consuming AppendOutcome) -> Void

  /// What status shows.
  package struct Head: Sendable {
    package let epoch: EpochDescriptor
    package let nextSequence: UInt64
    package let segment: UInt64
    package let segmentUsedBytes: UInt64
    package let segmentBytes: UInt64
  }

  private let mailbox = Mailbox()
  private let desk: WriterDesk
  private let epoch: EpochDescriptor
  private let writerThread: WorkThread
  private let fillerThread: WorkThread
  private let segmentThread = Mutex<WorkThread?>(nil)
  private let refusalThread = Mutex<WorkThread?>(nil)
  private let shared: Shared

  /// What threads share beside the mailbox.
  fileprivate final class Shared: Sendable {
    let head: Mutex<Head>
    let spare: Mutex<SpareSegment>
    let isPoisoned = Atomic<Bool>(false)
    let isRefusing = Atomic<Bool>(false)
    /// Why the log last refused, and how often it began to.
    let refusal = Mutex<(failure: StorageFailure?, count: Int)>((nil, 0))
    let refusalSignal = Signal()
    let fillerSignal = Signal()
    let segmentSignal = Signal()
    /// Raised by the writer where somebody waits for entries to sign.
    let headSignal = Signal()
    let isHeadAwaited = Atomic<Bool>(false)

    init(head: Head, spare: SpareSegment) {
      self.head = Mutex(head)
      self.spare = Mutex(spare)
    }

    func refuses(_ failure: StorageFailure) {
      guard !isRefusing.load(ordering: .relaxed) else { return }
      refusal.withLock { $0 = (failure, $0.count + 1) }
      isRefusing.store(true, ordering: .releasing)
      refusalSignal.raise()
    }

    func accepts() {
      if isRefusing.load(ordering: .relaxed) { isRefusing.store(false, ordering: .releasing) }
    }

    /// False where the log was closed meanwhile.
    func waitUntilQuiet(milliseconds: Int) -> Bool {
      var seen = -1
      while true {
        let (count, isRefusing) = (refusal.withLock { $0.count }, isRefusing.load(ordering: .acquiring))
        if count == seen, !isRefusing { return true }
        seen = isRefusing ? -1 : count
        refusalSignal.pause(milliseconds: milliseconds)
        guard !refusalSignal.isClosed else { return false }
      }
    }
  }

  /// Starts the writer's thread, which owns `writer` from now on.
  ///
  /// `onPoisoned` is called once, on the thread that wrote, after every waiting append was refused; a
  /// daemon exits there.
  package init(_ writer: sending LogWriter, onPoisoned: @escaping @Sendable (StorageFailure) -> Void = { _ in }) {
    let shared = Shared(head: writer.head, spare: writer.spare)
    self.shared = shared
    epoch = writer.epoch
    let mailbox = self.mailbox
    let desk = WriterDesk(writer, shared, onPoisoned)
    self.desk = desk
    writerThread = WorkThread(name: "audit-writer") {
      while let batch = mailbox.takeAll() { desk.write(batch) }
    }
    fillerThread = WorkThread(name: "audit-filler") { Self.fill(shared) }
  }

  package var head: Head { shared.head.withLock { $0 } }
  package var isPoisoned: Bool { shared.isPoisoned.load(ordering: .acquiring) }
  /// Whether the last append was refused because the log could not be written, for instance on a full disk.
  package var isRefusing: Bool { shared.isRefusing.load(ordering: .acquiring) }
  /// Why, where it was.
  package var refusingBy: StorageFailure? { isRefusing ? shared.refusal.withLock { $0.failure } : nil }

  /// Queues entries and returns; `completion` runs on the writer's thread once they are durable or
  /// cannot be. It must be quick: the next batch waits for it.
  package func append(_ drafts: [EntryDraft], completion: @escaping Completion) {
    precondition(!drafts.isEmpty, "an append has at least one entry")
    #if CHATELAINE_TEST_UNLOGGED
      completion(.durable(.ofNothing(epoch, count: drafts.count)))
    #else
      post(drafts, completion)
    #endif
  }

  private func post(_ drafts: [EntryDraft], _ completion: @escaping Completion) {
    if !mailbox.post(Submission(drafts: drafts, completion: completion)) { completion(.failed(.closed)) }
  }

  /// The same at once and on this very thread, where nothing waits for the writer and it is idle; false where it is
  /// not, and then nothing was done.
  ///
  /// For a caller that nobody else waits beside: it spares two changes of threads, which together take as long as the
  /// sync. Earlier appends of this caller must have been answered, or it would overtake them.
  package func appendIfIdle(_ drafts: [EntryDraft], completion: @escaping Completion) -> Bool {
    precondition(!drafts.isEmpty, "an append has at least one entry")
    #if CHATELAINE_TEST_UNLOGGED
      completion(.durable(.ofNothing(epoch, count: drafts.count)))
      return true
    #else
      guard mailbox.isIdle else { return false }
      return desk.writeIfFree([Submission(drafts: drafts, completion: completion)])
    #endif
  }

  /// Appends entries and waits for them: never on an event loop.
  package func appendAndWait(_ drafts: [EntryDraft]) throws(AppendFailure) -> AuditReceipt {
    let waiting = Waiting()
    post(drafts) { waiting.finish($0) }
    switch waiting.outcome() {
    case .durable(let receipt): return receipt
    case .failed(let failure): throw failure
    }
  }

  /// Appends one entry and waits for it: for start-up and admin acts, never on an event loop.
  package func appendAndWait(_ draft: EntryDraft) throws(AppendFailure) -> AppendedEntry {
    let receipt = try appendAndWait([draft])
    return AppendedEntry(sequence: receipt.firstSequence, leafHash: receipt.leafHashes[0])
  }

  /// Has `act` done on a thread of its own when a segment has begun, which may append and wait. Called once at most.
  package func onNewSegment(_ act: @escaping @Sendable () -> Void) {
    let signal = shared.segmentSignal
    segmentThread.withLock { thread in
      precondition(thread == nil, "one act a log")
      thread = WorkThread(name: "audit-segments") {
        while true {
          signal.wait()
          guard !signal.isClosed else { return }
          act()
        }
      }
    }
  }

  /// Has `tell` called on a thread of its own when the log begins to refuse, and with nil once it has taken entries
  /// for `quietMilliseconds`: one pair of calls, however often it changes meanwhile. Called once at most.
  package func onRefusing(
    quietMilliseconds: Int = 1000, _ tell: @escaping @Sendable (StorageFailure?) -> Void
  ) {
    let shared = self.shared
    refusalThread.withLock { thread in
      precondition(thread == nil, "one teller a log")
      thread = WorkThread(name: "audit-refusals") {
        while true {
          shared.refusalSignal.wait()
          guard !shared.refusalSignal.isClosed else { return }
          tell(shared.refusal.withLock { $0.failure })
          guard shared.waitUntilQuiet(milliseconds: quietMilliseconds) else { return }
          tell(nil)
        }
      }
    }
  }

  /// Waits until there are more than `size` entries, or for so long, or until `wakeHeads`. For one thread.
  ///
  /// The writer looks at a flag and nothing else while nobody waits.
  func awaitEntries(beyond size: UInt64, milliseconds: Int?) {
    shared.isHeadAwaited.store(true, ordering: .releasing)
    defer { shared.isHeadAwaited.store(false, ordering: .releasing) }
    // why: looked at behind the flag, under the lock that the writer publishes its head with.
    guard head.nextSequence <= size else { return }
    guard let milliseconds else { return shared.headSignal.wait() }
    shared.headSignal.wait(milliseconds: milliseconds)
  }

  /// Waits so long, or until `wakeHeads`.
  func pauseHeads(milliseconds: Int) { shared.headSignal.pause(milliseconds: milliseconds) }

  /// Has the thread that signs look again.
  func stirHeads() { shared.headSignal.raise() }

  /// Lets the thread that signs go on for the last time.
  func wakeHeads() { shared.headSignal.close() }

  /// Writes what waits, then stops the threads.
  package func close() {
    mailbox.close()
    writerThread.join()
    shared.fillerSignal.close()
    fillerThread.join()
    shared.segmentSignal.close()
    segmentThread.withLock { $0 }?.join()
    shared.refusalSignal.close()
    refusalThread.withLock { $0 }?.join()
  }

  // MARK: Threads

  /// A log that is hardly used keeps no large spare.
  fileprivate static func isSpareDue(_ head: Head) -> Bool { head.segmentUsedBytes * 4 > head.segmentBytes }

  /// Fills the spare segment at a pace that stays ahead of the one under way.
  private static func fill(_ shared: Shared) {
    while !shared.fillerSignal.isClosed { fillPiece(shared) }
  }

  @inline(never)
  private static func fillPiece(_ shared: Shared) {
    let spare = shared.spare.withLock { $0 }
    let head = shared.head.withLock { $0 }
    guard !spare.isFilled, isSpareDue(head) else { return shared.fillerSignal.wait() }
    do throws(StorageFailure) { try spare.fillPiece() } catch {
      // The disk is full or refuses: the writer says so when it needs the segment.
      return shared.fillerSignal.wait(milliseconds: 500)
    }
    // why: begun at a quarter of the segment under way and done at three, so that no burst stalls its commits.
    let due = (Double(head.segmentUsedBytes) / Double(head.segmentBytes) - 0.25) * 2
    if spare.progress > due { shared.fillerSignal.wait(milliseconds: 5) }
  }
}

/// One entry that is on disk.
package struct AppendedEntry: Equatable, Sendable {
  package let sequence: UInt64
  package let leafHash: Digest
}

extension LogWriter {
  fileprivate var head: AuditLog.Head {
    AuditLog.Head(
      epoch: epoch, nextSequence: nextSequence, segment: segmentNumber, segmentUsedBytes: segmentFill.used,
      segmentBytes: segmentFill.size)
  }
}

/// Where the one writer sits: one thread at a time.
private final class WriterDesk: @unchecked Sendable {
  private let monitor = Monitor()
  private let writer: LogWriter
  private let shared: AuditLog.Shared
  private let onPoisoned: @Sendable (StorageFailure) -> Void

  init(
    _ writer: sending LogWriter, _ shared: AuditLog.Shared, _ onPoisoned: @escaping @Sendable (StorageFailure) -> Void
  ) {
    self.writer = writer
    self.shared = shared
    self.onPoisoned = onPoisoned
  }

  func write(_ batch: [Submission]) {
    monitor.lock()
    writeAndPublish(batch)
    monitor.unlock()
  }

  /// False where another thread sits here.
  func writeIfFree(_ batch: [Submission]) -> Bool {
    guard monitor.tryLock() else { return false }
    writeAndPublish(batch)
    monitor.unlock()
    return true
  }

  private func writeAndPublish(_ batch: [Submission]) {
    let poison = commit(batch)
    publish()
    if let poison { onPoisoned(poison) }
  }

  /// Commits a batch and answers every submission of it. Returns the failure that poisoned the log, if
  /// this was the batch.
  @inline(never)
  private func commit(_ batch: [Submission]) -> StorageFailure? {
    var delivered = 0
    do throws(AppendFailure) {
      try writer.commit(batch.map(\.drafts)) { index, receipt in
        batch[index].completion(.durable(receipt))
        delivered = index + 1
      }
      shared.accepts()
      return nil
    } catch {
      if case .unavailable(let failure) = error { shared.refuses(failure) }
      let wasPoisoned = shared.isPoisoned.load(ordering: .relaxed)
      if case .poisoned = error { shared.isPoisoned.store(true, ordering: .releasing) }
      for submission in batch[delivered...] { submission.completion(.failed(error)) }
      guard case .poisoned(let failure) = error, !wasPoisoned else { return nil }
      return failure
    }
  }

  @inline(never)
  private func publish() {
    let head = writer.head
    let before = shared.head.withLock { old in
      defer { old = head }
      return old.segment
    }
    if head.segment != before { shared.segmentSignal.raise() }
    if shared.isHeadAwaited.load(ordering: .acquiring) { shared.headSignal.raise() }
    let current = writer.spare
    let spare = shared.spare.withLock { $0 }
    if spare !== current { shared.spare.withLock { $0 = current } }
    if !current.isFilled, AuditLog.isSpareDue(head) { shared.fillerSignal.raise() }
  }
}

/// An append that a thread waits for.
private final class Waiting: Sendable {
  private let signal = Signal()
  private let result = Mutex<AppendOutcome?>(nil)

  func finish(_ outcome: consuming AppendOutcome) {
    var slot: AppendOutcome? = consume outcome
    result.withLock { swap(&$0, &slot) }
    signal.raise()
  }

  func outcome() -> AppendOutcome {
    signal.wait()
    var slot: AppendOutcome?
    result.withLock { swap(&$0, &slot) }
    guard let outcome = slot.take() else { preconditionFailure("signalled without an outcome") }
    return outcome
  }
}
