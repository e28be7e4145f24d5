internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineTestSupport
internal import ChatelaineVocabulary

/// One log through several lives on a simulated disk, and what must hold after each.
package struct LogLives {
  package enum Outcome: Equatable {
    case kept
    /// An entry that was acknowledged, or read by a start, is missing or another.
    case lost(String)
    /// The log does not open, or does not verify once it is open.
    case refused(String)
  }

  private struct Place: Equatable {
    let sequence: UInt64
    let leafHash: Digest
  }

  package let disk: SimulatedDisk
  package private(set) var acknowledgedCount = 0
  package private(set) var crashes = 0
  package private(set) var tears = 0
  private let lies: SimulatedDisk.Lies
  private var random: SeededRandom
  private let options: LogOptions
  private let clock = LogClock.stepping()
  /// Ids that must be there, in order, and their entries where they were acknowledged.
  private var durable: [UInt64] = []
  private var receipts: [UInt64: Place] = [:]
  /// Runs of ids of which one may be there behind them: all, some of the first, or none.
  private var inFlight: [[UInt64]] = []
  private var nextID: UInt64 = 0

  package init(seed: UInt64, lies: SimulatedDisk.Lies = .init()) {
    random = SeededRandom(seed: seed)
    disk = SimulatedDisk(seed: seed ^ 0xd15c)
    self.lies = lies
    let sizes: [UInt64] = [8 << 10, 16 << 10, 32 << 10]
    let first = sizes.randomElement(using: &random) ?? 8192
    let alignment = Int.random(in: 0..<4, using: &random) == 0 ? 4096 : 512
    options = .small(first: first + (alignment == 4096 ? 16384 : 0), grown: first * 2, alignment: alignment)
  }

  package mutating func run() -> Outcome {
    if let failure = create() { return failure }
    disk.lies = lies
    for _ in 0..<Int.random(in: 2...5, using: &random) {
      live()
      endLife()
      if let failure = checkAfterCrash() { return failure }
    }
    return .kept
  }

  /// Creates the log; a creation that is cut off is begun again.
  private mutating func create() -> Outcome? {
    if Bool.random(using: &random) {
      disk.stop(afterSteps: .random(in: 1...14, using: &random))
      _ = try? LogWriter.create(in: disk, name: "sim", options: options, clock: clock)
      endLife()
    }
    do throws(LogError) {
      _ = try LogWriter.create(in: disk, name: "sim", options: options, clock: clock)
    } catch {
      // A creation that came to its end before the cut.
      guard case .storage(let failure) = error, failure.errno == 17 else {
        return .refused("create: \(error)")
      }
    }
    return nil
  }

  /// Opens and appends until the disk stops or the life is over.
  private mutating func live() {
    switch Int.random(in: 0..<8, using: &random) {
    case 0: disk.stop(afterSteps: .random(in: 1...12, using: &random))  // in the start
    case 1: disk.failSync(after: .random(in: 1...20, using: &random))
    default: disk.stop(afterSteps: .random(in: 8...90, using: &random))
    }
    guard let (writer, recovery) = try? LogWriter.open(in: disk, options: options, clock: clock) else {
      return
    }
    if recovery.tear != nil { tears += 1 }
    // why: what a start has read it builds upon, so it must stay.
    durable = readIDs() ?? durable
    inFlight = []
    for _ in 0..<40 where !disk.hasStopped {
      if Int.random(in: 0..<12, using: &random) == 0 { squeeze() }
      if Int.random(in: 0..<8, using: &random) == 0 {
        disk.shortenWrite(after: .random(in: 1...3, using: &random))
      }
      if Int.random(in: 0..<6, using: &random) == 0 { try? writer.spare.fillPiece() }
      guard append(to: writer) else { return }
    }
  }

  /// The disk fills up, or has room again.
  private mutating func squeeze() {
    disk.setCapacity(
      Bool.random(using: &random) ? .max : disk.usedBytes + Int.random(in: 0...2048, using: &random))
  }

  /// One commit of some groups; false once the writer is poisoned.
  private mutating func append(to writer: LogWriter) -> Bool {
    let groups = (0..<Int.random(in: 1...4, using: &random)).map { _ in
      (0..<Int.random(in: 1...5, using: &random)).map { _ in
        nextID += 1
        return nextID
      }
    }
    let paddings = groups.map { $0.map { _ in Int.random(in: 0...400, using: &random) } }
    let ids = groups.flatMap { $0 }
    let start = writer.nextSequence
    var failure: AppendFailure?
    do throws(AppendFailure) {
      try writer.commit(zip(groups, paddings).map { zip($0, $1).map { .sample($0, padding: $1) } }) {
        index, receipt in
        for (offset, id) in groups[index].enumerated() {
          receipts[id] = Place(
            sequence: receipt.firstSequence + UInt64(offset), leafHash: receipt.leafHashes[offset])
          acknowledgedCount += 1
        }
      }
    } catch { failure = error }
    let count = Int(writer.nextSequence - start)
    durable += ids.prefix(count)
    // What was refused may be whole on the disk but for its last zeros, until something is written there.
    if count > 0 { inFlight = [] }
    if failure != nil { inFlight.append(Array(ids.dropFirst(count))) }
    if case .poisoned = failure { return false }
    return true
  }

  private mutating func endLife() {
    crashes += 1
    disk.setCapacity(.max)
    if Int.random(in: 0..<3, using: &random) == 0 { disk.kill() } else { disk.cutPower() }
  }

  // MARK: Checks

  private mutating func checkAfterCrash() -> Outcome? {
    do throws(LogError) {
      let (_, recovery) = try LogWriter.open(in: disk, options: options, clock: clock)
      if recovery.tear != nil { tears += 1 }
    } catch {
      // why: with names lost there is no log to open, which is a loss and not a refusal.
      if case .storage(let failure) = error, failure.errno == 2 { return .lost("\(error)") }
      let hasNothing = durable.isEmpty && receipts.isEmpty
      if case .noLog = error { return hasNothing ? create() : .lost("\(error)") }
      // A creation that was cut off left no log, and nothing was acknowledged on it.
      if case .corrupt(let fault, _) = error, fault.kind == .epochDescriptor, hasNothing { return create() }
      return .refused("\(error)")
    }
    let found = Verification(disk, keepingEntries: true)
    guard found.verdict == .valid else { return .refused("\(found.verdict)") }
    let entries = found.entries.filter { $0.entryClass != .recovered }
    let ids = entries.map(\.requestID.low)
    guard ids.starts(with: durable) else { return .lost("\(durable.count) durable, \(ids.count) found") }
    let behind = ids.dropFirst(durable.count)
    guard behind.isEmpty || inFlight.contains(where: { $0.starts(with: behind) }) else {
      return .lost("entries from nowhere")
    }
    for entry in entries {
      guard let receipt = receipts[entry.requestID.low] else { continue }
      guard receipt == Place(sequence: entry.sequence, leafHash: entry.leafHash) else {
        return .lost("entry \(entry.sequence) is not the one acknowledged")
      }
    }
    durable = ids
    inFlight = []
    return nil
  }

  private func readIDs() -> [UInt64]? {
    let found = Verification(disk, keepingEntries: true)
    guard found.verdict == .valid else { return nil }
    return found.entries.filter { $0.entryClass != .recovered }.map(\.requestID.low)
  }
}
