package import ChatelaineAuditTrail
internal import ChatelaineVocabulary
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
  /// How long a stop waits for tenants' histories that are still being read.
  package var endingSeconds = 1.5

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
    /// Older segments do not lead to what is written now, so no tenant heads are made.
    package var areHistoriesBroken = false
    package var anchorProblem: StorageFailure?
    /// When a head was last published in this process, on the monotonic clock.
    var publishedAt: Double?
  }

  /// What the thread and who asks share.
  private final class Shared: Sendable {
    let report: Mutex<Report>
    let isClosing = Atomic<Bool>(false)
    /// No entry but the last tenant heads will follow.
    let isEnding = Atomic<Bool>(false)
    let hasEnded = Signal()

    init(_ report: Report) { self.report = Mutex(report) }
  }

  private let log: AuditLog
  /// For who reads what was signed.
  let storage: any LogStorage
  let wanted = WantedHistories()
  private let cadence: HeadCadence
  private let shared: Shared
  private let anchor: Anchor?
  private let thread: WorkThread

  /// `tell` is called with the reason when signing begins to fail, and with nil when it goes on. With a clock, tenant
  /// heads are put into the log before a head is published.
  package init(
    _ log: AuditLog, _ start: HeadStart, signer: NoteSigner, anchor path: String? = nil,
    cadence: HeadCadence = HeadCadence(), clock: LogClock? = nil,
    tell: @escaping @Sendable (String?) -> Void = { _ in }
  ) {
    (self.log, storage, self.cadence) = (log, start.storage, cadence)
    let shared = Shared(Report(newest: start.kept.newest, published: start.kept.published))
    let anchor = path.map(Anchor.init)
    let wanted = self.wanted
    (self.shared, self.anchor) = (shared, anchor)
    thread = WorkThread(name: "audit-heads") {
      var desk = HeadDesk(start, signer: signer, anchor: anchor, cadence: cadence, clock: clock, wanted: wanted)
      while true {
        let isClosing = shared.isClosing.load(ordering: .acquiring)
        let isEnding = shared.isEnding.load(ordering: .acquiring)
        if !isClosing, !isEnding { desk.await(log) }
        if isEnding, !isClosing {
          desk.end(log)
          shared.hasEnded.raise()
          log.pauseHeads(milliseconds: 60_000)
          continue
        }
        desk.sign(log, isLast: isClosing)
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

  /// Until the next head is published, if nothing more comes: at least a tenth of a second.
  var millisecondsToNext: UInt32 {
    let report = now
    guard report.problem == nil, let last = report.publishedAt else { return 1000 }
    let waiting = log.head.nextSequence - (report.published?.checkpoint.size ?? 0)
    let period = waiting >= cadence.busyEntries || wanted.isAnyMissing ? cadence.busySeconds : cadence.idleSeconds
    let left = (last + period - Clock.seconds()) * 1000 + Double(cadence.gatheringMilliseconds)
    return UInt32(min(max(left, 100), 3_600_000))
  }

  /// Has the thread that signs look whether it may make tenant heads that somebody waits for.
  func stirForHistories() { log.stirHeads() }

  /// Puts the last tenant heads into the log, which is about to be closed.
  package func end() {
    shared.isEnding.store(true, ordering: .releasing)
    log.stirHeads()
    shared.hasEnded.wait(milliseconds: 3000)
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
  /// nil where no tenant heads are made.
  private let tenants: TenantKeeper?
  private let clock: LogClock?
  private let wanted: WantedHistories
  /// When tenant heads could not be put into the log.
  private var refusedAt: Double?
  private var publishedAt: Double?
  private var problem: String?
  private var toldProblem: String?
  /// The files are not as they were written: no head, ever again in this process.
  private var isBroken = false

  init(
    _ start: HeadStart, signer: NoteSigner, anchor: Anchor?, cadence: HeadCadence, clock: LogClock?,
    wanted: WantedHistories
  ) {
    (self.clock, self.wanted) = (clock, wanted)
    tenants = clock.map { _ in TenantKeeper(start.storage, start.epoch, size: start.follower.verifier.nextSequence) }
    (epoch, storage, follower, kept, nodes) = (start.epoch, start.storage, start.follower, start.kept, start.nodes)
    (self.signer, self.anchor, self.cadence) = (signer, anchor, cadence)
  }

  var report: HeadKeeper.Report {
    HeadKeeper.Report(
      newest: kept.newest, published: kept.published, problem: problem, areHistoriesBroken: tenants?.isOff ?? false,
      publishedAt: publishedAt)
  }

  mutating func problemChange() -> (problem: String?, Void)? {
    guard problem != toldProblem else { return nil }
    toldProblem = problem
    return (problem, ())
  }

  private var signedSize: UInt64 { kept.newest?.checkpoint.size ?? 0 }
  private var publishedSize: UInt64 { kept.published?.checkpoint.size ?? 0 }

  // MARK: When

  /// Sleeps until there are entries without a head, or a head is due to leave.
  func await(_ log: AuditLog) {
    if isBroken { return log.pauseHeads(milliseconds: 60_000) }
    if problem != nil { return log.pauseHeads(milliseconds: 1000) }
    var milliseconds: Int?
    if publishedSize < signedSize || tenants?.isDue == true, let publishedAt {
      let from = max(publishedAt, publishedSize < signedSize ? 0 : refusedAt ?? 0)
      let period = areHistoriesAwaited ? cadence.busySeconds : cadence.idleSeconds
      milliseconds = max(1, Int((from + period - Clock.seconds()) * 1000) + 1)
    }
    if tenants?.isBuilding == true { milliseconds = min(milliseconds ?? .max, 200) }
    log.awaitEntries(beyond: signedSize, milliseconds: milliseconds)
    if log.head.nextSequence > signedSize { log.pauseHeads(milliseconds: cadence.gatheringMilliseconds) }
  }

  private func isPublishingDue(_ size: UInt64, isLast: Bool) -> Bool {
    guard publishedSize < size || areTenantsDue else { return false }
    guard !isLast, let publishedAt else { return true }
    let age = Clock.seconds() - publishedAt
    let isBusy = size - publishedSize >= cadence.busyEntries || areHistoriesAwaited
    return age >= cadence.idleSeconds || age >= cadence.busySeconds && isBusy
  }

  /// Whether somebody waits for tenant heads that can be made.
  private var areHistoriesAwaited: Bool { areTenantsDue && wanted.isAnyMissing }

  private var areTenantsDue: Bool {
    guard tenants?.isDue == true else { return false }
    return refusedAt.map { Clock.seconds() - $0 >= cadence.idleSeconds } ?? true
  }

  // MARK: What

  mutating func sign(_ log: AuditLog, isLast: Bool) {
    guard !isBroken else { return }
    do throws(LogError) {
      var size = log.head.nextSequence
      try follow(to: size, isLast: isLast)
      let isDue = isPublishingDue(size, isLast: isLast)
      if isDue, !isLast, let grown = commitTenants(log, isLast: false) {
        size = grown
        try follow(to: size, isLast: false)
      }
      if size > signedSize { try sign(size) }
      if isDue, publishedSize < signedSize { try publish() }
      problem = nil
    } catch { note(error) }
  }

  private mutating func note(_ error: LogError) {
    if case .corrupt = error { isBroken = true }
    if case .unsupported = error { isBroken = true }
    problem = error.headSentence
  }

  private mutating func follow(to size: UInt64, isLast: Bool) throws(LogError) {
    let tenants = tenants
    try follower.follow(to: size) { tenants?.take($0) }
    nodes.take(follower.takeNodes(), isLast: isLast)
    tenants?.stand(at: follower.verifier.nextSequence, follower.verifier.previousLeaf)
  }

  /// Puts tenant heads into the log that cover what was read; gives its size with them.
  private mutating func commitTenants(_ log: AuditLog, isLast: Bool) -> UInt64? {
    guard let tenants, let clock, areTenantsDue else { return nil }
    guard log.head.nextSequence - follower.verifier.nextSequence <= Limits.historyLagMax / 16 else { return nil }
    let (heads, place, leaf) = (tenants.heads(), follower.place, follower.verifier.previousLeaf)
    let paths = wanted.names.map { ($0, tenants.path(of: $0)) }
    let entry = heads.entry(wall: clock.wall(), bootNanoseconds: clock.bootNanoseconds())
    let appended: AppendedEntry
    do throws(AppendFailure) { appended = try log.appendAndWait(EntryDraft(entry)) } catch {
      refusedAt = Clock.seconds()
      return nil
    }
    refusedAt = nil
    let places = paths.map { ($0, WantedHistories.Place(heads: heads, commitment: appended.sequence, path: $1)) }
    wanted.take(Dictionary(places) { first, _ in first })
    tenants.note(heads, at: place, leaf, isLast: isLast)
    // why: an entry is told before the log's head is, and only that shows where a frame ends.
    while log.head.nextSequence <= appended.sequence { log.awaitEntries(beyond: appended.sequence, milliseconds: 100) }
    return log.head.nextSequence
  }

  /// The last tenant heads, over all that will be in the log beside them.
  mutating func end(_ log: AuditLog) {
    guard !isBroken, let tenants else { return }
    let until = Clock.seconds() + cadence.endingSeconds
    do throws(LogError) {
      try follow(to: log.head.nextSequence, isLast: false)
      while tenants.isBuilding, Clock.seconds() < until {
        usleep(10_000)
        try follow(to: log.head.nextSequence, isLast: false)
      }
    } catch { return note(error) }
    refusedAt = nil
    _ = commitTenants(log, isLast: true)
    tenants.stop()
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
    publishedAt = Clock.seconds()
    anchor?.write(head)
  }
}

private enum Clock {
  static func seconds() -> Double {
    var now = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &now)
    return Double(now.tv_sec) + Double(now.tv_nsec) / 1e9
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
