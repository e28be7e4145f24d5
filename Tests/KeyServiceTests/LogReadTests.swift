import ChatelaineAccessPolicy
import ChatelaineAuditLog
import ChatelaineAuditTrail
import ChatelaineVocabulary
import Foundation
import Testing

@testable import ChatelaineKeyService

/// Reviewers see what their rules name and nothing else, a page at a time, and every look is noted.
@Suite struct LogReadTests {
  let shop: Workshop

  init() throws {
    shop = try Workshop()
    try shop.initialize()
  }

  /// Tenants acme and globex with keys a and b, uses of each, and a batch over both.
  private func fill(_ service: KeyService) throws {
    for name in ["acme", "globex"] {
      _ = try service.createTenant(tenant(name), by: shop.caller, tags)
      for one in ["a", "b"] { _ = try service.createKey(key(one), of: tenant(name), by: shop.caller, tags) }
      let calls = try Calls(service, by: shop.caller)
      var sealed: [[UInt8]] = []
      for one in ["a", "b", "a"] { sealed.append(try calls.encrypt([1], under: one, of: name).get()) }
      _ = try calls.decryptBatch(sealed, of: name)
    }
  }

  private func reviewer(_ tenants: [String], _ keys: [String] = ["*"]) -> Caller {
    var caller = shop.caller
    caller.grants = .allowing([.init(role: .reviewer, tenants: tenants, keys: keys)])
    return caller
  }

  /// All pages.
  private func read(
    _ service: KeyService, _ query: LogQuery, by caller: Caller, atMost pagesMax: Int = 1000
  ) throws(ServiceError) -> [UInt64] {
    var (query, found) = (query, [UInt64]())
    for _ in 0..<pagesMax {
      let page = try service.entries(query, by: caller, tags)
      found += page.entries.map(\.found.sequence)
      guard !page.next.isEmpty else { return found }
      query.pageToken = page.next
    }
    return found
  }

  private func refusal(_ service: KeyService, _ query: LogQuery, by caller: Caller) -> ServiceError? {
    do throws(ServiceError) { _ = try service.entries(query, by: caller, tags) } catch { return error }
    return nil
  }

  private static func query(_ scope: LogScope = .everything, newestFirst: Bool = false, limit: Int = 1000) -> LogQuery {
    var query = LogQuery()
    (query.scope, query.isNewestFirst, query.limit) = (scope, newestFirst, limit)
    return query
  }

  private func sequences(where takes: (AuditEntry) -> Bool) throws -> [UInt64] {
    try shop.entries().map(\.entry).filter(takes).map(\.sequence)
  }

  @Test func `A reviewer sees the entries of its tenants and keys, and nothing of others or of the service`() throws {
    try shop.running { service in
      try fill(service)
      let all = try sequences { _ in true }
      let acme = try sequences { $0.tenant == tenant("acme") }
      let ofA = try sequences { $0.tenant == tenant("acme") && $0.keyName == key("a") }
      #expect(Set(acme).count > ofA.count && ofA.count > 3 && all.count > 2 * acme.count)
      #expect(try read(service, Self.query(), by: reviewer(["*"])).prefix(all.count) == all[...])
      #expect(try read(service, Self.query(), by: reviewer(["acme"])) == acme)
      #expect(try read(service, Self.query(), by: reviewer(["acme"], ["a"])) == ofA, "a batch over both is not of a alone")
      #expect(try read(service, Self.query(.tenant(tenant("acme"))), by: reviewer(["ac*"])) == acme)
      #expect(try read(service, Self.query(.tenant(tenant("acme"))), by: reviewer(["acme"], ["a"])).starts(with: ofA))
      #expect(try read(service, Self.query(), by: reviewer(["initech"])).isEmpty)
      let own = try sequences { $0.tenant == nil }
      #expect(try read(service, Self.query(.service), by: reviewer(["*"])) == own)
    }
  }

  @Test func `Another's log, the service's and that of nobody look the same; the log knows which was which`() throws {
    try shop.running { service in
      try fill(service)
      for (scope, reason) in [
        (LogScope.tenant(tenant("globex")), Reason.policy), (.tenant(tenant("acme-nobody")), .noSuchTenant),
      ] {
        #expect(refusal(service, Self.query(scope), by: reviewer(["acme*"])) == .notFound)
        let last = try #require(try shop.entries().last?.entry)
        #expect(last.operation == .readLog && last.outcome == .denied && last.reason == reason)
      }
      #expect(refusal(service, Self.query(.service), by: reviewer(["acme*"])) == .notAllowed)
      #expect(refusal(service, Self.query(.service), by: reviewer(["*"], ["a"])) == .notAllowed)
      var application = shop.caller
      application.grants = .allowing([.init(role: .application), .init(role: .operator)])
      #expect(refusal(service, Self.query(), by: application) == .notAllowed, "who uses keys, or makes them, reads nothing")
      #expect(refusal(service, Self.query(.tenant(tenant("acme"))), by: reviewer(["acme*"])) == nil, "the control")
      let begun = try shop.entries().map(\.entry).filter { $0.tenant == tenant("acme-nobody") && $0.outcome == .ok }
      #expect(begun.isEmpty, "or there would be a history of a tenant that is not there")
    }
  }

  @Test func `Every look has an entry that says what was asked and how much was shown, before it is shown`() throws {
    try shop.running { service in
      try fill(service)
      var query = Self.query(.tenant(tenant("acme")), newestFirst: true, limit: 2)
      (query.filter.keyName, query.filter.operation) = (key("a"), .encrypt)
      query.filter.principal = shop.caller.principal
      let page = try service.entries(query, by: reviewer(["acme"]), tags)
      let last = try #require(try shop.entries().last)
      #expect(last.entry.sequence == page.noted.sequence && last.leafHash == page.noted.leafHash)
      #expect(last.entry.entryClass == .service && last.entry.operation == .readLog && last.entry.outcome == .ok)
      #expect(last.entry.tenant == tenant("acme") && last.entry.keyName == key("a"))
      #expect(last.entry.requestID == tags.requestID && last.entry.rule == Array("rule-0".utf8))
      let said = last.entry.details.map { "\($0.tag.word)=\($0.valueText)" }
      #expect(said.count == 2 && said[0] == "count=2" && page.entries.count == 2)
      #expect(said[1].hasPrefix("note=newest-first principal=uid:1000 operation=encrypt from=1/"))
    }
  }

  @Test func `Filters are those of the offline command, also over batches that name a key by its id`() throws {
    try shop.running { service in
      try fill(service)
      let size = UInt64(try shop.entries().count)
      var filters: [EntryFilter] = (0..<7).map { _ in EntryFilter() }
      filters[0].operation = .decrypt
      filters[1].outcome = .ok
      filters[2].requestID = tags.requestID
      filters[3].principal = Array("uid:1001".utf8)
      (filters[4].after, filters[4].before) = (3, size - 4)
      let wall = try shop.entries()[5].entry.wall
      (filters[5].since, filters[5].until) = (wall, WallTime(nanoseconds: wall.nanoseconds + 1))
      filters[6].keyName = key("b")
      for (number, filter) in filters.enumerated() {
        var (query, offline) = (Self.query(.tenant(tenant("acme"))), filter)
        query.filter = filter
        query.filter.before = min(filter.before ?? size, size)
        (offline.tenant, offline.before) = ("acme", query.filter.before)
        let expected = try shop.entries().map(\.entry).filter { offline.takes($0) }.map(\.sequence)
        #expect(try read(service, query, by: reviewer(["acme"])) == expected, "filter \(number)")
        #expect(expected.isEmpty == (number == 3))
      }
    }
  }

  @Test func `Pages come to the whole, in either order, and end though every look makes an entry`() throws {
    try shop.running { service in
      try fill(service)
      let acme = try sequences { $0.tenant == tenant("acme") }
      let old = try read(service, Self.query(.tenant(tenant("acme")), limit: 3), by: reviewer(["acme"]))
      let until = try #require(old.last)
      let before = try sequences { $0.tenant == tenant("acme") && $0.sequence <= until }
      #expect(old.starts(with: acme) && old == before)
      let now = try sequences { $0.tenant == tenant("acme") }
      #expect(try read(service, Self.query(.tenant(tenant("acme")), newestFirst: true, limit: 3), by: reviewer(["acme"])) == now.reversed())
    }
  }

  @Test func `A page token is refused where the question, the log or the place is another`() throws {
    let token = try shop.running { service in
      try fill(service)
      return try service.entries(Self.query(.tenant(tenant("acme")), limit: 2), by: reviewer(["acme"]), tags).next
    }
    #expect(token.count == LogPageToken.byteCount)
    try shop.running { service in
      func refusal(_ token: [UInt8], _ change: (inout LogQuery) -> Void = { _ in }) -> ServiceError? {
        var query = Self.query(.tenant(tenant("acme")))
        query.pageToken = token
        change(&query)
        return self.refusal(service, query, by: reviewer(["*"]))
      }
      #expect(refusal(token) == nil && refusal(token) { $0.limit = 1 } == nil, "the control, over a restart")
      #expect(refusal(token) { $0.scope = .tenant(tenant("globex")) } == .pageToken)
      #expect(refusal(token) { $0.scope = .everything } == .pageToken)
      #expect(refusal(token) { $0.isNewestFirst = true } == .pageToken)
      #expect(refusal(token) { $0.filter.operation = .encrypt } == .pageToken)
      #expect(refusal(token) { $0.epoch = 2 } == .pageToken)
      for index in token.indices where !(25..<29).contains(index) {
        var other = token
        other[index] ^= 0x80
        #expect(refusal(other) == .pageToken, "byte \(index)")
      }
      #expect(refusal(Array(token.dropLast())) == .pageToken && refusal(token + [0]) == .pageToken)
      let last = try shop.entries().last
      #expect(last?.entry.reason == .malformed)
    }
    let other = try Workshop()
    try other.initialize()
    try other.running { service in
      _ = try service.createTenant(tenant("acme"), by: other.caller, tags)
      var query = Self.query(.tenant(tenant("acme")))
      query.pageToken = token
      #expect(refusal(service, query, by: reviewer(["*"])) == .pageToken, "another log's")
    }
  }

  @Test func `Without a key to sign with there is no history`() throws {
    try shop.running { service in
      try fill(service)
      func refusal(_ query: HistoryQuery, _ caller: Caller) -> ServiceError? {
        do throws(ServiceError) { _ = try service.history(query, by: caller, tags) } catch { return error }
        return nil
      }
      #expect(refusal(HistoryQuery(of: tenant("acme")), reviewer(["acme"])) == .notSigned)
      #expect(refusal(HistoryQuery(of: tenant("acme")), reviewer(["acme"], ["a"])) == .notFound, "a part proves nothing")
      #expect(refusal(HistoryQuery(of: tenant("globex")), reviewer(["acme"])) == .notFound)
      #expect(refusal(HistoryQuery(of: nil), reviewer(["acme"])) == .notAllowed)
      #expect(refusal(HistoryQuery(of: nil), reviewer(["*"])) == .notSigned)
    }
  }

  @Test func `Entries that are not as they were written are not shown, and the operator is told`() throws {
    try shop.running { service in
      try fill(service)
      let path = shop.logPath + "/" + LogNames.segment(epoch: 1, 0)
      #expect(refusal(service, Self.query(), by: reviewer(["*"])) == nil, "the control")
      try flip(path, at: 4096 + 300)
      guard case .log(.damaged(0, _))? = refusal(service, Self.query(), by: reviewer(["*"])) else {
        Issue.record("what was changed was shown")
        return
      }
      #expect(service.faults.last?.sentence.contains("segment 0") == true)
      #expect(try #require(refusal(service, Self.query(), by: reviewer(["*"]))).code == .corrupt)
      try flip(path, at: 4096 + 300)
    }
  }
}

private func flip(_ path: String, at offset: UInt64) throws {
  let file = try #require(FileHandle(forUpdatingAtPath: path))
  try file.seek(toOffset: offset)
  let byte = try #require(try file.read(upToCount: 1)?.first)
  try file.seek(toOffset: offset)
  try file.write(contentsOf: [byte ^ 1])
  try file.close()
}
