package import ChatelaineVocabulary

/// What a log adds up to, for a page that people read: fed with its entries in order, in bounded memory.
package struct LogSummary: Sendable {
  /// Names that are counted each; further ones are counted together.
  private static let namesMax = 20_000
  /// Entries of each kind that are kept, the newest.
  package static let keptMax = 100

  package struct Counts: Sendable {
    package private(set) var ok: UInt64 = 0
    package private(set) var denied: UInt64 = 0
    /// Failed, and those whose end nobody knows.
    package private(set) var failed: UInt64 = 0
    package var total: UInt64 { ok + denied + failed }

    mutating func add(_ outcome: Outcome) {
      switch outcome {
      case .denied: denied += 1
      case .failed, .unknown: failed += 1
      default: ok += 1
      }
    }

    static func += (left: inout Counts, right: Counts) {
      left.ok += right.ok
      left.denied += right.denied
      left.failed += right.failed
    }
  }

  /// Uses of keys by name, and those of names beyond the bound.
  package struct Names: Sendable {
    private var counts: [String: Counts] = [:]
    package private(set) var others = Counts()

    mutating func add(_ name: @autoclosure () -> String, _ outcome: Outcome) {
      let name = name()
      if counts[name] != nil || counts.count < LogSummary.namesMax { counts[name, default: Counts()].add(outcome) }
      else { others.add(outcome) }
    }

    package var count: Int { counts.count }

    /// The most used first.
    package func top(_ count: Int) -> [(name: String, counts: Counts)] {
      counts.sorted { ($1.value.total, $0.key) < ($0.value.total, $1.key) }.prefix(count).map { ($0.key, $0.value) }
    }
  }

  /// The newest entries of a kind, and how many there are.
  package struct Kept: Sendable {
    package private(set) var entries: [AuditEntry] = []
    package private(set) var count: UInt64 = 0

    mutating func add(_ entry: AuditEntry) {
      count += 1
      entries.append(entry)
      if entries.count >= 2 * LogSummary.keptMax { entries.removeFirst(entries.count - LogSummary.keptMax) }
    }

    package var newest: ArraySlice<AuditEntry> { entries.suffix(LogSummary.keptMax) }
  }

  package private(set) var entries: UInt64 = 0
  package private(set) var first: WallTime?
  package private(set) var last: WallTime?
  package private(set) var classes: [(word: String, count: UInt64)] = EntryClass.allCases.map { ($0.word, 0) }
  package private(set) var operations: [String: Counts] = [:]
  /// Uses of keys and refusals of them.
  package private(set) var tenants = Names()
  package private(set) var keys = Names()
  package private(set) var principals = Names()
  package private(set) var time = TimeColumns()
  package private(set) var denials = Kept()
  package private(set) var failedDecryptions = Kept()
  /// What operators did: tenants, keys, master keys, the policy.
  package private(set) var adminActs = Kept()
  /// Starts, stops, recoveries, aggregated refusals, purges: where the record itself began, ended or has gaps.
  package private(set) var service = Kept()

  package init() {}

  package mutating func add(_ entry: AuditEntry) {
    entries += 1
    first = first ?? entry.wall
    last = max(last ?? entry.wall, entry.wall)
    classes[EntryClass.allCases.firstIndex(of: entry.entryClass) ?? 0].count += 1
    switch entry.entryClass {
    case .keyUse, .refusal: addUse(entry)
    case .outcome: if entry.operation != .masterRewrap { adminActs.add(entry) }
    case .intent, .tenantHeads: break
    case .service, .aggregate, .recovered, .purge: addService(entry)
    }
  }

  private mutating func addUse(_ entry: AuditEntry) {
    let outcomes = entry.items.count > 1 ? entry.items.map(\.outcome) : [entry.outcome]
    for outcome in outcomes {
      operations[entry.operation.word, default: Counts()].add(outcome)
      tenants.add(entry.tenantText, outcome)
      keys.add(entry.tenantText + "/" + (entry.keyName?.rawValue ?? "-"), outcome)
      principals.add(EntryText.escaped(entry.principal), outcome)
      time.add(entry.wall, outcome)
    }
    if outcomes.contains(.denied) { denials.add(entry) }
    let decrypts = entry.operation == .decrypt || entry.operation == .unwrapDataKey
    if decrypts, outcomes.contains(.failed) { failedDecryptions.add(entry) }
  }

  /// Reading the log's own state is no event.
  private mutating func addService(_ entry: AuditEntry) {
    guard ![.readStatus, .readTenants, .readKeys, .readMaster].contains(entry.operation) else { return }
    entry.operation == .policyReload ? adminActs.add(entry) : service.add(entry)
  }
}

/// Uses over time, in at most 120 columns: where the span outgrows them, each takes as much again.
package struct TimeColumns: Sendable {
  private static let columnsMax: UInt64 = 120
  private static let second: UInt64 = 1_000_000_000

  /// Nanoseconds of one column.
  package private(set) var width = second
  private var counts: [UInt64: LogSummary.Counts] = [:]
  private var low = UInt64.max
  private var high: UInt64 = 0

  mutating func add(_ time: WallTime, _ outcome: Outcome) {
    let column = time.nanoseconds / width
    counts[column, default: .init()].add(outcome)
    (low, high) = (min(low, column), max(high, column))
    while high - low >= Self.columnsMax { widen() }
  }

  private mutating func widen() {
    width *= 2
    (low, high) = (low / 2, high / 2)
    var wider: [UInt64: LogSummary.Counts] = [:]
    for (column, counts) in counts { wider[column / 2, default: .init()] += counts }
    counts = wider
  }

  /// From the first column with something in it to the last, without gaps.
  package var columns: [(start: WallTime, counts: LogSummary.Counts)] {
    guard !counts.isEmpty else { return [] }
    return (low...high).map { (WallTime(nanoseconds: $0 * width), counts[$0] ?? .init()) }
  }
}
