import ChatelaineAuditLog
import ChatelaineAuditTrail
import ChatelaineLogTestSupport
import ChatelaineTestSupport
import ChatelaineVocabulary
import Foundation
import Testing

/// The writer on a disk that loses what was not synced: thousands of lives, each ended at some step by a
/// power cut, a kill or a failed sync.
struct SimulatedDiskTests {
  static let runs = runsSlowTests ? 10_000 : 30

  /// CHATELAINE_SEED replays one run.
  static let firstSeed: UInt64 = {
    let seed =
      ProcessInfo.processInfo.environment["CHATELAINE_SEED"].flatMap(UInt64.init) ?? .random(in: 0..<1 << 48)
    print("simulated disk: CHATELAINE_SEED=\(seed)")
    return seed
  }()

  @Test func `Everything acknowledged is there after each crash, and nothing corrupt is taken`() {
    var acknowledged = 0
    var crashes = 0
    var tears = 0
    for run in 0..<Self.runs {
      let seed = Self.firstSeed &+ UInt64(run)
      var life = LogLives(seed: seed)
      let outcome = life.run()
      #expect(outcome == .kept, "replay with CHATELAINE_SEED=\(seed)")
      #expect(life.disk.syncsAfterFailure == 0, "synced again after a failure: CHATELAINE_SEED=\(seed)")
      acknowledged += life.acknowledgedCount
      crashes += life.crashes
      tears += life.tears
    }
    print(
      "simulated disk: \(Self.runs) runs, \(crashes) crashes, \(tears) tears, \(acknowledged) entries acknowledged, 0 lost"
    )
    #expect(tears > Self.runs / 10)
  }

  // MUST: END-7
  @Test func `What a start has taken for the log's last frame outlives the next power cut`() throws {
    var lostWithoutAStart = 0
    for run in 0..<100 {
      for isStarted in [true, false] {
        let disk = SimulatedDisk(seed: Self.firstSeed &+ UInt64(run))
        _ = try LogWriter.create(in: disk, name: "settled", options: .small(), clock: .stepping())
        let (writer, _) = try LogWriter.open(in: disk, options: .small(), clock: .stepping())
        for id in 0..<3 { try writer.commit([[.sample(UInt64(id))]]) { _, _ in } }
        // A failed sync leaves the frame in the cache, clean, and not on the disk; a kill keeps the cache.
        disk.failSync(after: 1)
        #expect(throws: AppendFailure.self) { try writer.commit([[.sample(3)]]) { _, _ in } }
        disk.kill()
        #expect(Verification(disk).treeSize == 4)
        if isStarted { _ = try LogWriter.open(in: disk, options: .small(), clock: .stepping()) }
        disk.cutPower()
        let found = Verification(disk)
        if isStarted {
          #expect(found.verdict == .valid, "CHATELAINE_SEED=\(Self.firstSeed &+ UInt64(run))")
          #expect(found.treeSize == 4, "CHATELAINE_SEED=\(Self.firstSeed &+ UInt64(run))")
        } else if found.treeSize < 4 {
          lostWithoutAStart += 1
        }
      }
    }
    // The control: without the start's own write and sync some of them are gone.
    #expect(lostWithoutAStart > 10)
  }

  @Test func `A seal over a failed write never leaves the old bytes behind it`() throws {
    for run in 0..<150 {
      let disk = SimulatedDisk(seed: Self.firstSeed &+ UInt64(run))
      let options = LogOptions.small(first: 12 << 10, grown: 12 << 10)
      _ = try LogWriter.create(in: disk, name: "seal", options: options, clock: .stepping())
      let (writer, _) = try LogWriter.open(in: disk, options: options, clock: .stepping())
      // Up to 4 KiB before the end; then a write that fails, then an entry that needs the next segment.
      while writer.segmentFill.used + 4096 < writer.segmentFill.size {
        try writer.commit([[.sample(1)]]) { _, _ in }
      }
      disk.shortenWrite(after: 1)
      #expect(throws: AppendFailure.self) { try writer.commit([[.sample(2, padding: 2500)]]) { _, _ in } }
      let before = writer.nextSequence
      disk.stop(afterSteps: 4 + run % 8)
      try? writer.commit([[.sample(3, padding: 6000)]]) { _, _ in }
      disk.cutPower()
      #expect(throws: Never.self, "CHATELAINE_SEED=\(Self.firstSeed &+ UInt64(run))") {
        let (next, _) = try LogWriter.open(in: disk, options: options, clock: .stepping())
        #expect(next.nextSequence >= before)
      }
    }
  }

  @Test func `Control: a disk that ignores file syncs loses acknowledged entries`() {
    var lies = SimulatedDisk.Lies()
    lies.ignoresFileSync = true
    #expect(Self.losses(lies) > 0)
  }

  @Test func `Control: a disk that ignores directory syncs loses acknowledged entries`() {
    var lies = SimulatedDisk.Lies()
    lies.ignoresDirectorySync = true
    #expect(Self.losses(lies) > 0)
  }

  /// Three are enough to know.
  private static func losses(_ lies: SimulatedDisk.Lies) -> Int {
    var (runs, lost, refused) = (0, 0, 0)
    for run in 0..<100 where lost < 3 {
      runs += 1
      var life = LogLives(seed: firstSeed &+ UInt64(run), lies: lies)
      switch life.run() {
      case .kept: break
      case .lost: lost += 1
      case .refused: refused += 1
      }
    }
    print("simulated disk: control \(lies): \(lost) of \(runs) runs lost entries, \(refused) refused to start")
    return lost
  }
}
