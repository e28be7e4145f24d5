import ChatelaineAccessPolicy
import ChatelaineAuditLog
import ChatelaineAuditTrail
import ChatelaineKeyStore
import ChatelainePrimitives
import ChatelaineVocabulary
import GRDB
import Testing

@testable import ChatelaineKeyService

/// What an operator does, looks at or fails to do, and the entry of each.
@Suite struct AdminTests {
  let shop: Workshop
  let acme = tenant("acme")

  init() throws {
    shop = try Workshop()
    try shop.initialize()
    try shop.running { service in
      for name in ["acme", "globex"] {
        _ = try service.createTenant(tenant(name), by: shop.caller, tags)
        for other in ["a", "b"] {
          _ = try service.createKey(key(other), of: tenant(name), by: shop.caller, tags)
        }
      }
    }
  }

  private func newEntries(_ body: (KeyService) throws -> Void) throws -> [AuditEntry] {
    let before = try shop.entries().count
    try shop.running(body)
    return try shop.entries().dropFirst(before).map(\.entry).filter {
      $0.operation != .serviceStart && $0.operation != .serviceStop
    }
  }

  @Test func `a change of a key that is not there leaves one entry with the true reason`() throws {
    let entries = try newEntries { service in
      for (owner, name) in [("acme", "none"), ("nobody", "a")] {
        #expect(throws: ServiceError.notFound) {
          try service.rotateKey(key(name), of: tenant(owner), by: shop.caller, tags)
        }
        for state in [TenantKeyRow.State.enabled, .disabled] {
          #expect(throws: ServiceError.notFound) {
            try service.setKeyState(state, key(name), of: tenant(owner), by: shop.caller, tags)
          }
        }
      }
    }
    #expect(
      entries.map(\.operation) == [.keyRotate, .keyEnable, .keyDisable, .keyRotate, .keyEnable, .keyDisable])
    #expect(entries.allSatisfy { $0.entryClass == .refusal && $0.outcome == .denied && !$0.rule.isEmpty })
    let reasons: [Reason] = [.noSuchKey, .noSuchKey, .noSuchKey, .noSuchTenant, .noSuchTenant, .noSuchTenant]
    #expect(entries.map(\.reason) == reasons)
    #expect(entries.map { $0.keyName?.rawValue } == ["none", "none", "none", "a", "a", "a"])
  }

  @Test func `who lost a race of rotations is told so`() {
    #expect(ServiceError.conflict.code == .conflict)
    #expect(
      ServiceError.conflict.sentence
        == "Another rotation came first: the key's current version has changed, look and try again.")
  }

  @Test func `looking leaves an entry, and shows what the caller may know of`() throws {
    var caller = shop.caller
    caller.grants = .allowing([.init(role: .operator, tenants: ["acme"], keys: ["b*"])])
    let entries = try newEntries { service in
      #expect(
        try service.tenants(limit: 10, by: shop.caller, tags).rows.map(\.id.rawValue) == ["acme", "globex"])
      let page = try service.tenants(limit: 1, by: shop.caller, tags)
      #expect(page.rows.map(\.id) == [acme] && page.next == acme)
      let next = try service.tenants(after: acme, limit: 5, by: shop.caller, tags)
      #expect(next.rows.map(\.id.rawValue) == ["globex"] && next.next == nil)
      #expect(try service.tenants(limit: 10, by: caller, tags).rows.map(\.id) == [acme])
      #expect(try service.keys(of: acme, by: shop.caller, tags).rows.map(\.name.rawValue) == ["a", "b"])
      #expect(try service.keys(of: acme, by: caller, tags).rows.map(\.name.rawValue) == ["b"])
      for owner in ["globex", "nobody"] {
        #expect(throws: ServiceError.notFound) { try service.keys(of: tenant(owner), by: caller, tags) }
      }
      #expect(throws: ServiceError.notFound) { try service.keys(of: tenant("nobody"), by: shop.caller, tags) }
      let status = try service.status(by: caller, tags)
      #expect(
        status.storeHead == service.storeHead && status.changesHaltedBy == nil && status.policyRules == 0)
    }
    var operations = [ChatelaineAuditTrail.Operation](repeating: .readTenants, count: 4)
    operations += [.readKeys, .readKeys, .readKeys, .readKeys, .readKeys, .readStatus]
    #expect(entries.map(\.operation) == operations)
    #expect(entries.map(\.entryClass.word).filter { $0 == "service" }.count == 7)
    #expect(entries.filter { $0.entryClass == .refusal }.map(\.reason) == [.policy, .policy, .noSuchTenant])
    #expect(entries.allSatisfy { $0.requestID == tags.requestID })
  }

  @Test func `a list names nothing that its caller may not know of, neither in its rows nor as what comes next`() throws {
    try shop.running { service in
      for number in 100..<110 { _ = try service.createTenant(tenant("t\(number)"), by: shop.caller, tags) }
      for number in 100..<110 { _ = try service.createKey(key("k\(number)"), of: acme, by: shop.caller, tags) }
    }
    var caller = shop.caller
    caller.grants = .allowing([.init(role: .operator, tenants: ["acme", "t105"], keys: ["k107"])])
    try shop.running { service in
      for limit in [1, 2, 3, 1000] {
        let tenants = try allTenants(service, limit, caller)
        #expect(tenants.rows == ["acme", "t105"] && Set(tenants.told).isSubset(of: ["acme", "t105"]))
        let keys = try allKeys(service, limit, caller)
        #expect(keys.rows == ["k107"] && Set(keys.told).isSubset(of: ["k107"]))
        // The control: who may see all is told where every page ends.
        let all = try allTenants(service, limit, shop.caller)
        #expect(all.rows.count == 12 && all.rows == all.rows.sorted())
        #expect(limit > 1 || all.told == all.rows)
        #expect(try allKeys(service, limit, shop.caller).rows.count == 12)
      }
      for after in ["globex", "nobodys"] {
        let page = try service.tenants(after: tenant(after), limit: 1, by: caller, tags)
        #expect(page.rows.map(\.id.rawValue) == ["t105"] && page.next?.rawValue == "t105")
      }
      for (after, found) in [("k106", ["k107"]), ("k1060", ["k107"]), ("k108", []), ("k1080", [])] {
        let page = try service.keys(of: acme, after: key(after), limit: 1, by: caller, tags)
        #expect(page.rows.map(\.name.rawValue) == found && page.next?.rawValue == found.first)
      }
    }
  }

  private func allTenants(_ service: KeyService, _ limit: Int, _ caller: Caller) throws -> (rows: [String], told: [String]) {
    var (rows, told, next) = ([String](), [String](), TenantID?.none)
    repeat {
      let page = try service.tenants(after: next, limit: limit, by: caller, tags)
      #expect(page.rows.count <= limit)
      (rows, next) = (rows + page.rows.map(\.id.rawValue), page.next)
      if let next { told.append(next.rawValue) }
    } while next != nil
    return (rows, told)
  }

  private func allKeys(_ service: KeyService, _ limit: Int, _ caller: Caller) throws -> (rows: [String], told: [String]) {
    var (rows, told, next) = ([String](), [String](), KeyName?.none)
    repeat {
      let page = try service.keys(of: acme, after: next, limit: limit, by: caller, tags)
      #expect(page.rows.count <= limit)
      (rows, next) = (rows + page.rows.map(\.name.rawValue), page.next)
      if let next { told.append(next.rawValue) }
    } while next != nil
    return (rows, told)
  }

  @Test func `an act tells where its entry is, be it a change or a refusal, and one that was not noted does not`() throws {
    let storage = WatchedStorage(try shop.storage())
    let service = try shop.open(on: storage).0
    defer { service.close() }
    func noted(_ act: (RequestTags) throws -> Void) -> AppendedEntry? {
      var tags = tags
      tags.noted = NotedEntry()
      do { try act(tags) } catch {}
      return tags.noted?.last
    }
    let entries = [
      noted { _ = try service.createKey(key("noted"), of: acme, by: shop.caller, $0) },
      noted { _ = try service.rotateKey(key("noted"), of: acme, by: shop.caller, $0) },
      noted { _ = try service.createKey(key("noted"), of: acme, by: shop.caller, $0) },
      noted { _ = try service.rotateKey(key("nobodys"), of: acme, by: shop.caller, $0) },
    ]
    let all = try shop.entries()
    for entry in entries {
      let found = try #require(all.first { $0.entry.sequence == entry?.sequence })
      #expect(found.leafHash == entry?.leafHash && found.entry.requestID == tags.requestID)
    }
    let words = entries.compactMap { one in all.first { $0.entry.sequence == one?.sequence }?.entry.outcome.word }
    #expect(words == ["ok", "ok", "failed", "denied"])
    storage.fail(.write, from: 1, errno: 28)
    #expect(noted { _ = try service.rotateKey(key("noted"), of: acme, by: shop.caller, $0) } == nil)
    storage.watch(nil)
  }

  @Test func `a new policy is noted before it holds, and doors see that there is one`() throws {
    let rule = PolicyRule(
      name: "new", role: .reviewer, principals: [.uid(1000)], permissions: [.status])
    let policy = try AccessPolicy(rules: [rule])
    let principal = Principal(uid: 1000, gid: 1)
    let entries = try newEntries { service in
      let epoch = service.policyEpoch
      #expect(service.policy.grants(to: principal).grant(.status) == nil)
      _ = try service.reloadPolicy(policy, file: [1, 2], by: .service, tags)
      #expect(service.policyEpoch != epoch)
      #expect(service.policy.grants(to: principal).grant(.status)?.rule == Array("new".utf8))
    }
    #expect(entries.map(\.operation) == [.policyReload])
    #expect(
      entries.allSatisfy { $0.entryClass == .service && $0.principalKind == .service && $0.outcome == .ok })
    #expect(entries[0].detail(.count) == ByteWriter.u64Bytes(1))
    #expect(entries[0].detail(.policyHash) == SHA256.hash([1, 2]).bytes)
  }

  @Test func `a policy that is refused is noted with its file's hash, and the old one stays`() throws {
    let entries = try newEntries { service in
      let epoch = service.policyEpoch
      _ = try service.noteRefusedPolicy(file: [1, 2], by: .service, tags)
      _ = try service.noteRefusedPolicy(file: nil, by: .service, tags)
      #expect(service.policyEpoch == epoch)
    }
    #expect(entries.map(\.operation) == [.policyReload, .policyReload])
    #expect(entries.allSatisfy { $0.entryClass == .service && $0.outcome == .failed })
    #expect(entries.map(\.reason) == [.malformed, .store])
    #expect(entries.map { $0.detail(.policyHash) } == [SHA256.hash([1, 2]).bytes, nil])
    #expect(entries.allSatisfy { $0.detail(.count) == nil })
  }

  @Test func `a policy that the log does not take does not hold`() throws {
    let storage = WatchedStorage(try shop.storage())
    let service = try shop.open(on: storage).0
    defer { service.close() }
    storage.fail(.write, from: 1, errno: 28)
    let rule = PolicyRule(name: "new", role: .reviewer, principals: [.uid(1000)], permissions: [.status])
    let policy = try AccessPolicy(rules: [rule])
    let epoch = service.policyEpoch
    #expect(throws: ServiceError.auditUnavailable) { try service.reloadPolicy(policy, file: [1, 2], by: .service, tags) }
    #expect(service.policy.rules.isEmpty && service.policyEpoch == epoch)
    #expect(throws: ServiceError.auditUnavailable) { try service.keys(of: acme, by: shop.caller, tags) }
    storage.watch(nil)
    _ = try service.reloadPolicy(policy, file: [1, 2], by: .service, tags)
    #expect(service.policy.rules == [rule])
  }

  @Test func `a store that somebody else has locked refuses a change, and takes it afterwards`() throws {
    let entries = try newEntries { service in
      var configuration = Configuration()
      configuration.allowsUnsafeTransactions = true
      let other = try DatabaseQueue(path: shop.storePath, configuration: configuration)
      try other.writeWithoutTransaction { try $0.execute(sql: "BEGIN IMMEDIATE") }
      let head = service.storeHead
      let refusal = #expect(throws: ServiceError.self) {
        try service.rotateKey(key("a"), of: acme, by: shop.caller, tags)
      }
      #expect(refusal == .storeBusy && refusal?.code == .busy && service.storeHead == head)
      try other.writeWithoutTransaction { try $0.execute(sql: "ROLLBACK") }
      try other.close()
      #expect(try service.rotateKey(key("a"), of: acme, by: shop.caller, tags) == 2)
      #expect(try service.checkStore() > 4)
    }
    let outcomes = entries.filter { $0.entryClass == .outcome }
    #expect(outcomes.map(\.outcome) == [.failed, .ok] && outcomes.map(\.reason) == [.busy, .none])
  }
}
