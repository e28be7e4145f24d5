import ChatelaineVocabulary
import Foundation
import GRDB
import Testing

@testable import ChatelaineKeyStore

@Suite struct ChangeTests {
  // MUST: STORE-5
  @Test func `each change raises the generation by one and stores the new root with its rows`() throws {
    let bench = try Bench()
    let store = try bench.create()
    #expect(store.head.generation == 1)
    var roots = [store.head.root]
    for number in 1...5 {
      let head = try bench.put(store, TenantRow.sample("tenant-\(number)"))
      #expect(head.generation == UInt64(number + 1))
      #expect(head == store.head)
      #expect(!roots.contains(head.root))
      roots.append(head.root)
    }
    try store.close()
    let again = try bench.open()
    #expect(again.head.generation == 6)
    #expect(again.head.root == roots.last)
  }

  // MUST: STORE-5
  @Test func `a change that fails half way changes nothing`() throws {
    let bench = try Bench()
    let store = try bench.create()
    try bench.put(store, TenantRow.sample("acme"))
    let head = store.head
    #expect(throws: KeyStoreError.taken(record: "x")) {
      try store.change(intentSequence: 9, intentLeafHash: .zero) { (change) throws(KeyStoreError) in
        change.put(TenantKeyRow.sample(tenant("acme"), key("k")))
        throw .taken(record: "x")
      }
    }
    #expect(store.head == head)
    #expect(try store.key(tenant("acme"), key("k")) == nil)
    try bench.put(store, TenantRow.sample("globex"))
    #expect(try store.verifyAll() == 3)
  }

  @Test func `a change may read the store that it changes`() throws {
    let bench = try Bench()
    let store = try bench.create()
    let row = try TenantRow.sample("acme")
    try bench.put(store, row)
    _ = try store.change(intentSequence: 9, intentLeafHash: .zero) { (change) throws(KeyStoreError) in
      guard var found = try store.tenant(row.id) else { throw .taken(record: "it is there") }
      found.state = .frozen
      change.put(found)
    }
    #expect(try store.tenant(row.id)?.state == .frozen)
  }

  @Test func `changes from many threads all land, each in its own generation`() throws {
    let bench = try Bench()
    let store = try bench.create()
    DispatchQueue.concurrentPerform(iterations: 24) { number in
      _ = try? bench.put(store, TenantRow.sample("tenant-\(number % 12)"))
      _ = try? store.tenant(tenant("tenant-\(number % 12)"))
    }
    #expect(store.head.generation == 25)
    #expect(try store.verifyAll() == 13)
    #expect(try store.tenantIDs(limit: 100).count == 12)
  }

  @Test func `a read-only database leaves the store unsure until it is opened again`() throws {
    let bench = try Bench()
    let store = try bench.create()
    try bench.put(store, TenantRow.sample("acme"))
    let head = store.head
    try store.pool.writeWithoutTransaction { try $0.execute(sql: "PRAGMA query_only = ON") }
    let first = #expect(throws: KeyStoreError.self) { try bench.put(store, TenantRow.sample("globex")) }
    #expect(first == .database(code: 8, doing: "writing the store"))
    try store.pool.writeWithoutTransaction { try $0.execute(sql: "PRAGMA query_only = OFF") }
    #expect(throws: KeyStoreError.self) { try bench.put(store, TenantRow.sample("globex")) }
    #expect(store.head == head)
    try store.close()
    let again = try bench.open()
    #expect(again.head == head)
    try bench.put(again, TenantRow.sample("globex"))
    #expect(try again.verifyAll() == 3)
  }

  @Test func `a full disk leaves what was committed`() throws {
    let bench = try Bench()
    let store = try bench.create()
    try bench.put(store, TenantRow.sample("acme"))
    let head = store.head
    try store.pool.writeWithoutTransaction { database in
      let pages = try Int.fetchOne(database, sql: "PRAGMA page_count") ?? 0
      try database.execute(sql: "PRAGMA max_page_count = \(pages)")
    }
    let rows = try (1...40).map { try TenantRow.sample("tenant-\($0)") }
    let refusal = #expect(throws: KeyStoreError.self) {
      try store.change(intentSequence: 3, intentLeafHash: .zero) { change in
        for row in rows { change.put(row) }
      }
    }
    #expect(refusal == .full)
    #expect(store.head == head)
    #expect(try store.verifyAll() == 2)
    // With space it goes on.
    try store.pool.writeWithoutTransaction { try $0.execute(sql: "PRAGMA max_page_count = 1000000") }
    try bench.put(store, TenantRow.sample("globex"))
    try store.close()
    let again = try bench.open()
    #expect(again.head.generation == head.generation + 1)
    #expect(try again.verifyAll() == 3)
  }
}
