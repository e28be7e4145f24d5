import ChatelaineEnvelopes
import ChatelaineVocabulary
import Foundation
import Synchronization
import Testing

@testable import ChatelaineKeyStore

/// What is gone from a list leaves no trace in the list itself.
@Suite struct ListTests {
  private let bench: Bench
  private let store: KeyStore
  private let acme = tenant("acme")

  init() throws {
    bench = try Bench()
    store = try bench.create()
    for name in ["acme", "beta", "gamma"] {
      let keys = ["k1", "k2"].map { TenantKeyRow.sample(tenant(name), key($0)) }
      try bench.put(store, TenantRow.sample(name))
      for row in keys { try bench.put(store, row, try row.versionRow(1)) }
    }
  }

  private func tenants(_ store: KeyStore) throws -> [String] { try store.tenantIDs(limit: 10).map(\.rawValue) }

  @Test(arguments: [true, false])
  func `tenants that were deleted are missed by every page`(isOpen: Bool) throws {
    #expect(try tenants(store) == ["acme", "beta", "gamma"])
    if !isOpen { try store.close() }
    try bench.sql(
      "DELETE FROM key_versions WHERE tenant = 'acme'", "DELETE FROM tenant_keys WHERE tenant = 'acme'",
      "DELETE FROM tenants WHERE id = 'acme'")
    let found = isOpen ? store : try bench.open()
    for after in [nil, acme, tenant("gamma")] {
      let refusal = #expect(throws: KeyStoreError.self) { try found.tenantIDs(after: after, limit: 1) }
      guard case .tampered(let record) = refusal else { return #expect(Bool(false), "\(String(describing: refusal))") }
      #expect(record.contains("bucket"))
    }
    #expect(throws: KeyStoreError.self) { try found.keyNames(of: tenant("beta")) }
  }

  @Test(arguments: [
    "DELETE FROM tenant_keys WHERE tenant = 'acme' AND name = 'k2'",
    "UPDATE tenant_keys SET tenant = 'beta', name = 'k3' WHERE tenant = 'acme' AND name = 'k2'",
  ])
  func `a key that was deleted, or given to another tenant, is missed`(edit: String) throws {
    #expect(try store.keyNames(of: acme) == [key("k1"), key("k2")])
    try bench.sql(edit)
    #expect(throws: KeyStoreError.self) { try store.keyNames(of: acme) }
  }

  @Test func `an edit between two changes is not forgotten for the changes`() throws {
    #expect(try tenants(store).count == 3)
    try bench.put(store, TenantRow.sample("delta"))
    try bench.sql("DELETE FROM tenants WHERE id = 'beta'")
    try bench.put(store, TenantRow.sample("epsilon"))
    #expect(throws: KeyStoreError.self) { try tenants(store) }
  }

  @Test func `lists follow the changes of the service, and need not look at every record again`() throws {
    #expect(try tenants(store).count == 3)
    #expect(store.state.withLock { $0.swept[.tenant] } == StoreFiles.stamp(bench.path))
    for name in ["delta", "epsilon"] { try bench.put(store, TenantRow.sample(name)) }
    #expect(store.state.withLock { $0.swept[.tenant] } == StoreFiles.stamp(bench.path))
    #expect(try tenants(store) == ["acme", "beta", "delta", "epsilon", "gamma"])
    #expect(try store.tenantIDs(after: tenant("beta"), limit: 2).map(\.rawValue) == ["delta", "epsilon"])
    #expect(try store.keyNames(of: tenant("gamma")).count == 2)
    #expect(try store.keyNames(of: tenant("nobody")).isEmpty)
  }

  @Test func `pages of keys are in order, whole, and the tenant's own, and read every record once`() throws {
    let more = ["k0", "k10", "z", "a.b", "a-b", "a_b"].map { TenantKeyRow.sample(acme, key($0)) }
    for row in more { try bench.put(store, row, try row.versionRow(1)) }
    let all = try store.keyNames(of: acme)
    #expect(all.map(\.rawValue) == ["a-b", "a.b", "a_b", "k0", "k1", "k10", "k2", "z"])
    let stamp = store.state.withLock { $0.swept[.key] }
    var (pages, after): ([[KeyName]], KeyName?) = ([], nil)
    repeat {
      pages.append(try store.keyNames(of: acme, after: after, limit: 3))
      after = pages.last?.last
    } while pages.last?.count == 3
    #expect(pages.map(\.count) == [3, 3, 2] && Array(pages.joined()) == all)
    #expect(stamp != nil && store.state.withLock { $0.swept[.key] } == stamp)
    try bench.sql("DELETE FROM tenant_keys WHERE tenant = 'acme' AND name = 'a-b'")
    for after in [nil, key("k0"), key("z")] {
      #expect(throws: KeyStoreError.self) { try store.keyNames(of: acme, after: after, limit: 3) }
    }
  }
}
