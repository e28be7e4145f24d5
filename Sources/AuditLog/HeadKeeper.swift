package import ChatelaineAuditTrail
internal import Glibc
internal import Synchronization

/// When heads are signed and published.
package struct HeadCadence: Sendable {
  /// From an entry to the signing, so that a burst gets one head.
  package var gatheringMilliseconds = 30
  /// A head that leaves is made so often where at least `busyEntries` came since the last one,
  package var busySeconds = 1.0
  package var busyEntries: UInt64 = 100
  /// and so often where any came.
  package var idleSeconds = 60.0

  package init() {}
}

/// Signs heads of a running log, behind its writer and off every reply's path.
///
/// A thread of its own reads the entries from the files once they are durable, checks them as a stranger would, signs the
/// root, makes the head durable, and only then shows it to anybody. What is signed is what the files say: a log whose
/// bytes are no longer as they were written gets no further head.
package final class HeadKeeper: Sendable {
  /// What status says.
  package struct Report: Sendable {
    package var newest: SignedHead?
    package var published: SignedHead?
    /// Why no head is signed now.
    package var problem: String?
    package var anchorProblem: StorageFailure?
  }

  /// What the thread and who asks share.
  private final class Shared: Sendable {
    let report: Mutex<Report>
    let isClosing = Atomic<Bool>(false)

    init(_ report: Report) { self.report = Mutex(report) }
  }

  private let log: AuditLog
  private let shared: Shared
  private let anchor: Anchor?
  private let thread: WorkThread

  /// `tell` is called with the reason when signing begins to fail, and with nil when it goes on.
  package init(
    _ log: AuditLog, _ start: HeadStart, signer: NoteSigner, anchor path: String? = nil,
    cadence: HeadCadence = HeadCadence(), tell: @escaping @Sendable (String?) -> Void = { _ in }
  ) {
    self.log = log
    let shared = Shared(Report(newest: start.kept.newest, published: start.kept.published))
    let anchor = path.map(Anchor.init)
    (self.shared, self.anchor) = (shared, anchor)
    thread = WorkThread(name: "audit-heads") {
      var desk = HeadDesk(start, signer: signer, anchor: anchor, cadence: cadence)
      while true {
        let isClosing = shared.isClosing.load(ordering: .acquiring)
        if !isClosing { desk.await(log) }
        desk.sign(log.head.nextSequence, isLast: isClosing)
        if let change = desk.problemChange() { tell(change.problem) }
        shared.report.withLock { $0 = desk.report }
        if isClosing { return }
      }
    }
  }

  package var now: Report {
    var report = shared.report.withLock { $0 }
    report.anchorProblem = anchor?.failure
    return report
  }

  /// Signs and publishes the last head; the log has been closed.
  package func close() {
    shared.isClosing.store(true, ordering: .releasing)
    log.wakeHeads()
    thread.join()
    anchor?.close(milliseconds: 2000)
  }
}

/// Where a start stood when it had read the log, and what was signed before it.
package struct HeadStart: Sendable {
  let follower: LogFollower
  let storage: any LogStorage
  package let epoch: EpochDescriptor
  package let kept: KeptHeads
  let nodes: NodeKeeper
}

/// The work of the thread that signs.
private struct HeadDesk {
  private let epoch: EpochDescriptor
  private let storage: any LogStorage
  private let signer: NoteSigner
  private let anchor: Anchor?
  private let cadence: HeadCadence
  private var follower: LogFollower
  private var kept: KeptHeads
  private var nodes: NodeKeeper
  private var publishedAt: Double?
  private var problem: String?
  private var toldProblem: String?
  /// The files are not as they were written: no head, ever again in this process.
  private var isBroken = false

  init(_ start: HeadStart, signer: NoteSigner, anchor: Anchor?, cadence: HeadCadence) {
    (epoch, storage, follower, kept, nodes) = (start.epoch, start.storage, start.follower, start.kept, start.nodes)
    (self.signer, self.anchor, self.cadence) = (signer, anchor, cadence)
  }

  var report: HeadKeeper.Report {
    HeadKeeper.Report(newest: kept.newest, published: kept.published, problem: problem)
  }

  mutating func problemChange() -> (problem: String?, Void)? {
    guard problem != toldProblem else { return nil }
    toldProblem = problem
    return (problem, ())
  }

  private var signedSize: UInt64 { kept.newest?.checkpoint.size ?? 0 }
  private var publishedSize: UInt64 { kept.published?.checkpoint.size ?? 0 }

  // MARK: When

  private static func seconds() -> Double {
    var now = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &now)
    return Double(now.tv_sec) + Double(now.tv_nsec) / 1e9
  }

  /// Sleeps until there are entries without a head, or a head is due to leave.
  func await(_ log: AuditLog) {
    if isBroken { return log.pauseHeads(milliseconds: 60_000) }
    if problem != nil { return log.pauseHeads(milliseconds: 1000) }
    var milliseconds: Int?
    if publishedSize < signedSize, let publishedAt {
      milliseconds = max(1, Int((publishedAt + cadence.idleSeconds - Self.seconds()) * 1000) + 1)
    }
    log.awaitEntries(beyond: signedSize, milliseconds: milliseconds)
    if log.head.nextSequence > signedSize { log.pauseHeads(milliseconds: cadence.gatheringMilliseconds) }
  }

  private func isPublishingDue(isLast: Bool) -> Bool {
    guard publishedSize < signedSize else { return false }
    guard !isLast, let publishedAt else { return true }
    let age = Self.seconds() - publishedAt
    return age >= cadence.idleSeconds || age >= cadence.busySeconds && signedSize - publishedSize >= cadence.busyEntries
  }

  // MARK: What

  mutating func sign(_ size: UInt64, isLast: Bool) {
    guard !isBroken else { return }
    do throws(LogError) {
      try follower.follow(to: size)
      nodes.take(follower.takeNodes(), isLast: isLast)
      if size > signedSize { try sign(size) }
      if isPublishingDue(isLast: isLast) { try publish() }
      problem = nil
    } catch {
      if case .corrupt = error { isBroken = true }
      if case .unsupported = error { isBroken = true }
      problem = error.headSentence
    }
  }

  private mutating func sign(_ size: UInt64) throws(LogError) {
    let tree = follower.verifier.tree
    precondition(tree.size == size, "the follower stands where it was sent")
    let head = SignedHead(Checkpoint(origin: epoch.origin, size: size, root: tree.root), signedBy: signer)
    // why: a signature that a fault of the machine spoilt can never be taken back once somebody has it.
    precondition(head.verdict(of: signer.key) == .valid, "a head that was just signed holds")
    do throws(StorageFailure) { try kept.keep(head, in: storage) } catch { throw .storage(error) }
  }

  private mutating func publish() throws(LogError) {
    guard let head = kept.newest else { return }
    do throws(StorageFailure) { try kept.publish(head, in: storage) } catch { throw .storage(error) }
    publishedAt = Self.seconds()
    anchor?.write(head)
  }
}

extension LogError {
  fileprivate var headSentence: String {
    switch self {
    case .storage(let failure): "\(failure.path): \(failure.call.rawValue) failed (\(failure.reason))"
    case .noLog(let path): "\(path): the log is gone"
    case .corrupt(let fault, let file), .unsupported(let fault, let file):
      "\(file) at offset \(fault.offset) is no longer as it was written: \(fault.sentence)"
    }
  }
}
