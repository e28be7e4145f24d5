internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineVocabulary

/// One page of entries in the making.
struct LogLook {
  private let query: LogQuery
  private let filter: EntryFilter
  private let sight: LogSight
  private let clock = PageClock()
  /// Entries of the newest epoch.
  private let newestSize: UInt64
  private(set) var entries: [LogPage.Entry] = []
  private var byteCount = 0
  /// nil at the end.
  private(set) var next: LogPageToken?
  /// From where, and up to where, in the order of the page.
  private(set) var words = ""

  init(_ query: LogQuery, _ filter: EntryFilter, _ sight: LogSight, newestSize: UInt64) {
    (self.query, self.filter, self.sight, self.newestSize) = (query, filter, sight, newestSize)
  }

  private var isNewestFirst: Bool { query.isNewestFirst }

  /// Fills the page; false where the token does not fit.
  mutating func run(in search: inout LogSearch) throws(LogSearch.Fault) -> Bool {
    let all = try search.epochs()
    let wanted = all.filter { query.epoch == nil || query.epoch == $0.epoch }
    let ordered = isNewestFirst ? wanted.reversed() : wanted
    guard let first = ordered.first else { return query.pageToken.isEmpty }
    guard var place = try start(in: first, all, &search),
      let index = ordered.firstIndex(where: { $0.epoch == place.epoch })
    else { return false }
    let from = place
    for epoch in ordered[index...] {
      let size = try size(of: epoch, all, &search)
      if epoch.epoch != place.epoch { (place.epoch, place.sequence) = (epoch.epoch, isNewestFirst ? size : 0) }
      let isThrough = try look(through: epoch, size, &place, &search)
      let isEnough = entries.count >= query.limit || clock.isOver
      guard isThrough, !isEnough else {
        next = isThrough && epoch == ordered.last ? nil : place
        break
      }
    }
    words = "from=\(from.epoch)/\(from.sequence) to=\(place.epoch)/\(place.sequence)"
    return true
  }

  /// Whether nothing is left of the epoch.
  private mutating func look(
    through epoch: EpochDescriptor, _ size: UInt64, _ place: inout LogPageToken, _ search: inout LogSearch
  ) throws(LogSearch.Fault) -> Bool {
    let lower = filter.after.map { $0 == .max ? $0 : $0 + 1 } ?? 0
    let upper = min(filter.before ?? size, size)
    let (start, end) = isNewestFirst ? (lower, min(place.sequence, upper)) : (max(place.sequence, lower), upper)
    guard start < end else { return true }
    var stretch = LogSearch.Stretch(
      epoch: epoch.epoch, size: size, range: start..<end, entriesMax: query.limit - entries.count,
      bytesMax: Limits.logPageBytesMax - byteCount)
    stretch.isNewestFirst = isNewestFirst
    let (filter, sight, clock) = (filter, sight, clock)
    let found = try search.look(through: stretch, isLate: { clock.isOver }) { bytes in
      filter.taken(bytes).map(sight.sees) ?? false
    }
    entries += found.entries.map { LogPage.Entry(epoch: epoch.epoch, found: $0) }
    byteCount += found.byteCount
    place.sequence = isNewestFirst ? found.rest.upperBound : found.rest.lowerBound
    return found.rest.isEmpty
  }

  // MARK: Where

  /// nil where the token does not fit.
  private func start(
    in first: EpochDescriptor, _ all: [EpochDescriptor], _ search: inout LogSearch
  ) throws(LogSearch.Fault) -> LogPageToken? {
    let question = LogPageToken.question(query.scope.name ?? "", filter.keyName?.rawValue ?? "", query.words)
    guard query.pageToken.isEmpty else {
      guard let token = LogPageToken(parsing: query.pageToken), token.form == .entries, token.size == 0,
        token.logID == first.logID, token.question == question,
        let epoch = all.first(where: { $0.epoch == token.epoch })
      else { return nil }
      return try token.sequence <= size(of: epoch, all, &search) ? token : nil
    }
    let sequence = isNewestFirst ? try size(of: first, all, &search) : 0
    return LogPageToken(.entries, of: first.logID, epoch: first.epoch, sequence, question: question)
  }

  /// Entries of an epoch; of an older one, as the first entry of the next says it.
  private func size(
    of epoch: EpochDescriptor, _ all: [EpochDescriptor], _ search: inout LogSearch
  ) throws(LogSearch.Fault) -> UInt64 {
    guard let next = all.first(where: { $0.epoch > epoch.epoch }) else { return newestSize }
    let stretch = LogSearch.Stretch(epoch: next.epoch, size: 1, range: 0..<1, entriesMax: 1, bytesMax: 0)
    let first = try search.look(through: stretch, isLate: { false }, takes: { _ in true }).entries.first
    guard let first, let entry = try? AuditEntry(parsing: first.bytes.span), let link = EpochLink(entry) else {
      throw .epochs
    }
    return link.size
  }
}
