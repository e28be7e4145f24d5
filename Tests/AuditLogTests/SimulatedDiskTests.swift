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
  static let runs = runsSlowTests ? 10_000 : 500

  /// CHATELAINE_SEED replays one run.
  static let firstSeed: UInt64 = {
    let seed = ProcessInfo.processInfo.environment["CHATELAINE_SEED"].flatMap(UInt64.init) ?? .random(in: 0..<1 << 48)
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
    print("simulated disk: \(Self.runs) runs, \(crashes) crashes, \(tears) tears, \(acknowledged) entries acknowledged, 0 lost")
    #expect(tears > Self.runs / 10)
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

  private static func losses(_ lies: SimulatedDisk.Lies) -> Int {
    var lost = 0
    var refused = 0
    for run in 0..<100 {
      var life = LogLives(seed: firstSeed &+ UInt64(run), lies: lies)
      switch life.run() {
      case .kept: break
      case .lost: lost += 1
      case .refused: refused += 1
      }
    }
    print("simulated disk: control \(lies): \(lost) of 100 runs lost entries, \(refused) refused to start")
    return lost
  }
}
