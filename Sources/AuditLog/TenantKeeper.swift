internal import ChatelaineAuditTrail
internal import ChatelaineVocabulary
internal import Synchronization

/// Keeps the histories of all tenants behind the writer, for the thread that signs; until they are there, a thread of
/// its own makes them from the file `tenants` and the entries behind it, or from all entries.
final class TenantKeeper {
  private enum Phase {
    case building(HistoryBuilding)
    case ready
    /// The log's older entries do not lead to the newer ones: nobody commits to anything.
    case off
  }

  private let storage: any LogStorage
  private let epoch: EpochDescriptor
  private var phase: Phase
  /// Once they are ready.
  private var histories = TenantHistories()
  private var progress = HistoryProgress()
  /// What the file has.
  private var savedSize: UInt64 = 0
  /// A further file is worth its writing after so many entries, and so many for each tenant.
  private static let entriesBetweenFiles: UInt64 = 1 << 20
  private static let entriesBetweenFilesPerTenant: UInt64 = 8

  /// `size` is what was read at the start.
  init(_ storage: any LogStorage, _ epoch: EpochDescriptor, size: UInt64) {
    (self.storage, self.epoch) = (storage, epoch)
    phase = .building(HistoryBuilding(storage, epoch, size: size))
  }

  /// Takes the entries that the thread reads anyway.
  func take(_ entry: Span<UInt8>) {
    guard case .ready = phase else { return }
    histories.take(entry)
    progress.take(entry)
  }

  /// Told where reading stands, with the hash of the last entry.
  func stand(at size: UInt64, _ leaf: Digest) {
    switch phase {
    case .off: return
    case .ready: histories.complete(leaf)
    case .building(let building): if let result = building.result { takeOver(result, building.fileSize, at: size, leaf) }
    }
  }

  /// Goes on from what the other thread made, over the entries since.
  private func takeOver(_ result: HistoryBuilding.Result, _ fileSize: UInt64, at size: UInt64, _ leaf: Digest) {
    phase = .off
    guard case .made(let made, let known, var run) = result else { return }
    (histories, progress, savedSize) = (made, known, fileSize)
    do throws(EntryRun.Broken) {
      try run.read(to: size) { entry in
        histories.take(entry)
        progress.take(entry)
      }
    } catch { return }
    guard run.nextSequence == size, run.previousLeaf == leaf else { return }
    histories.complete(leaf)
    phase = .ready
  }

  var isBuilding: Bool { if case .building = phase { true } else { false } }
  var isOff: Bool { if case .off = phase { true } else { false } }

  /// Whether there are entries, other than tenant heads, that none cover.
  var isDue: Bool { if case .ready = phase { progress.isUncovered } else { false } }

  /// What covers all entries so far.
  func heads() -> TenantHeads { histories.heads() }

  /// A tenant's place under these, nil where it has no history.
  func path(of tenant: [UInt8]) -> WantedHistories.Path? {
    histories.path(of: tenant.span).map { WantedHistories.Path(index: UInt64($0.index), hashes: $0.hashes) }
  }

  /// These are in the log. The file is written where that is worth it, or there will be no further chance.
  func note(_ heads: TenantHeads, at place: LogFollower.Place, _ leaf: Digest, isLast: Bool) {
    progress.covered = heads.size
    let step = max(Self.entriesBetweenFiles, heads.tenants &* Self.entriesBetweenFilesPerTenant)
    guard isLast || heads.size - savedSize >= step else { return }
    TenantFile(place: place, leaf: leaf, histories: histories).save(to: storage, epoch)
    savedSize = heads.size
  }

  func stop() { if case .building(let building) = phase { building.stop() } }
}

/// How far tenant heads cover a log.
struct HistoryProgress: Sendable {
  /// Entries that the last tenant heads cover.
  var covered: UInt64 = 0
  /// Entries up to the last one that is not tenant heads itself.
  private var wanted: UInt64 = 0
  private var passed: UInt64 = 0

  /// With the first `passed` entries behind, all covered.
  init(passed: UInt64 = 0) { (covered, wanted, self.passed) = (passed, passed, passed) }

  var isUncovered: Bool { wanted > covered }

  mutating func take(_ entry: Span<UInt8>) {
    passed += 1
    guard entry[1] == EntryClass.tenantHeads.rawValue else { return wanted = passed }
    if let heads = (try? AuditEntry(parsing: entry)).flatMap(TenantHeads.init) { covered = heads.size }
  }
}

/// Makes the histories of a log's first entries, on a thread of its own.
final class HistoryBuilding: Sendable {
  enum Result: Sendable {
    case made(TenantHistories, HistoryProgress, EntryRun)
    case failed
  }

  private final class Shared: Sendable {
    let result = Mutex<Result?>(nil)
    let fileSize = Atomic<UInt64>(0)
    let isStopped = Atomic<Bool>(false)
  }

  private let shared = Shared()

  init(_ storage: any LogStorage, _ epoch: EpochDescriptor, size: UInt64) {
    let shared = self.shared
    _ = WorkThread(name: "audit-histories") {
      let made = Self.fromFile(storage, epoch, size, shared) ?? Self.fromAll(storage, epoch, size, shared)
      shared.result.withLock { $0 = made }
    }
  }

  /// nil while it is being made.
  var result: Result? { shared.result.withLock { $0 } }
  /// Entries that the file had, where it was used.
  var fileSize: UInt64 { shared.fileSize.load(ordering: .relaxed) }

  func stop() { shared.isStopped.store(true, ordering: .relaxed) }

  /// nil where the file does not lead to what the log commits to.
  private static func fromFile(
    _ storage: any LogStorage, _ epoch: EpochDescriptor, _ size: UInt64, _ shared: Shared
  ) -> Result? {
    guard let file = TenantFile(loadingFrom: storage, epoch), file.histories.size <= size else { return nil }
    var histories = file.histories
    let claimed = histories.heads()
    var isCommitted = false
    let run = EntryRun(storage, epoch: epoch.epoch, from: file.place, claimed.size, after: file.leaf)
    let result = read(run, size, histories, HistoryProgress(passed: claimed.size), shared) { entry in
      guard !isCommitted, entry[1] == EntryClass.tenantHeads.rawValue else { return }
      isCommitted = (try? AuditEntry(parsing: entry)).flatMap(TenantHeads.init) == claimed
    }
    guard case .made = result, isCommitted else { return nil }
    shared.fileSize.store(claimed.size, ordering: .relaxed)
    return result
  }

  private static func fromAll(
    _ storage: any LogStorage, _ epoch: EpochDescriptor, _ size: UInt64, _ shared: Shared
  ) -> Result {
    read(EntryRun(storage, epoch), size, TenantHistories(), HistoryProgress(), shared) { _ in }
  }

  private static func read(
    _ start: EntryRun, _ size: UInt64, _ known: TenantHistories, _ passed: HistoryProgress, _ shared: Shared,
    visit: (Span<UInt8>) -> Void
  ) -> Result {
    var (run, histories, progress) = (start, known, passed)
    do throws(EntryRun.Broken) {
      // why: in steps, so that a stop need not wait for all of it.
      while run.nextSequence < size {
        guard !shared.isStopped.load(ordering: .relaxed) else { return .failed }
        try run.read(to: min(size, run.nextSequence + 100_000)) { entry in
          histories.take(entry)
          progress.take(entry)
          visit(entry)
        }
      }
    } catch { return .failed }
    histories.complete(run.previousLeaf)
    return .made(histories, progress, run)
  }
}
