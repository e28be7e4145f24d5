import ChatelaineEnvelopes
import ChatelaineVocabulary
import Foundation
import GRDB
import Testing

@testable import ChatelaineKeyStore

/// Tenants' roots moved in batches, and the cursor with them.
@Suite struct RewrappingTests {
  private let bench: Bench
  private let store: KeyStore
  private let tenants = (0..<200).map { tenant("tenant-\($0)") }

  init() throws {
    bench = try Bench()
    store = try bench.create()
    for tenant in tenants { try bench.put(store, try TenantRow.sample(tenant.rawValue)) }
    let master = MasterVersionRow(
      version: 2, keyCheckValue: Digest(4, 3, 2, 1), state: .inUse, created: WallTime(nanoseconds: 5))
    try bench.put(store, master, RotationRow(version: 2, started: WallTime(nanoseconds: 5)))
  }

  private func batch(_ store: KeyStore, from start: Int, rowsMax: Int) throws(KeyStoreError) -> RewrapBatch {
    try store.rewrapBatch(to: 2, from: start, rowsMax: rowsMax) { (rows) throws(KeyStoreError) in
      do { return try rows.map { try wrapped(.tenantRoot, as: $0.root, by: 2) } } catch { throw .busy }
    }
  }

  /// One batch; what it moved. `made` counts those that had to be made while the store was held.
  private func step(
    _ store: KeyStore, ahead: RewrapBatch? = nil, rowsMax: Int, made: inout Int
  ) throws -> KeyStore.Rewrapped {
    let rotation = try #require(try store.rotation(to: 2))
    let head = store.head
    let done = try store.rewrapTenants(
      rotation, ahead: ahead, now: WallTime(nanoseconds: 7), intentSequence: head.logSequence + 2,
      intentLeafHash: Digest(1, 1, 1, head.logSequence)
    ) { (start) throws(KeyStoreError) in
      made += 1
      return try self.batch(store, from: start, rowsMax: rowsMax)
    }
    #expect(done.head.generation == head.generation + 1 && done.head.root != head.root)
    return done
  }

  private func step(_ store: KeyStore, rowsMax: Int) throws -> KeyStore.Rewrapped {
    var made = 0
    return try step(store, rowsMax: rowsMax, made: &made)
  }

  @Test func `batches that were made ahead are written as they are, but not over what changed since`() throws {
    var (made, changed, batches) = (0, 0, 0)
    repeat {
      let cursor = try #require(try store.rotation(to: 2)).cursor
      let ahead = try batch(store, from: Int(cursor), rowsMax: 20)
      if batches % 3 == 1, let last = ahead.updates.last {
        var row = try #require(try store.tenant(last.row.id))
        row.state = .frozen
        try bench.put(store, row)
        changed += 1
      }
      _ = try step(store, ahead: ahead, rowsMax: 20, made: &made)
      batches += 1
      #expect(made == changed)
    } while try store.rotation(to: 2)?.finished == nil
    #expect(changed >= 3)
    #expect(try store.census().roots == [2: 200])
    #expect(try store.verifyAll() == 203)
    let frozen = try tenants.filter { try store.tenant($0)?.state == .frozen }
    #expect(frozen.count == changed)
  }

  @Test func `a batch of another rotation, or of another place in it, is made anew`() throws {
    var made = 0
    let first = try batch(store, from: 0, rowsMax: 50)
    let later = try batch(store, from: first.end, rowsMax: 50)
    _ = try step(store, ahead: later, rowsMax: 50, made: &made)
    #expect(made == 1)
    #expect(try store.rotation(to: 2)?.cursor == UInt32(first.end))
    _ = try step(store, ahead: first, rowsMax: 50, made: &made)
    #expect(made == 2)
    let cursor = try #require(try store.rotation(to: 2)).cursor
    _ = try step(store, ahead: try batch(store, from: Int(cursor), rowsMax: 50), rowsMax: 50, made: &made)
    #expect(made == 2)
    #expect(try store.verifyAll() == 203)
  }

  // MUST: STORE-8
  @Test(arguments: [1, 7, 64, 199, 200, 1000])
  func `batches of any size move every root once, and the store holds after each`(rowsMax: Int) throws {
    var (moved, batches) = (0, 0)
    repeat {
      let done = try step(store, rowsMax: rowsMax)
      (moved, batches) = (moved + done.count, batches + 1)
      #expect(try done.rotation == store.rotation(to: 2) && done.rotation.rewrapped == UInt64(moved))
      let census = try store.census()
      #expect(census[1] == 200 - moved && census[2] == moved && census.total == 200)
      if batches % 64 == 1 { try holds() }
    } while try store.rotation(to: 2)?.finished == nil
    #expect(moved == 200 && batches >= 200 / rowsMax)
    try holds()
    let head = store.head
    try store.close()
    let again = try bench.open()
    #expect(try again.head == head && again.census()[2] == 200)
    for tenant in tenants { #expect(try again.tenant(tenant)?.wrappedRoot?.wrappingKey.version == 2) }
  }

  /// Every row and bucket; and no tenant before the cursor is on the old version.
  private func holds() throws {
    #expect(try store.verifyAll() == 203)
    let cursor = try #require(try store.rotation(to: 2)).cursor
    for tenant in tenants {
      let row = try #require(try store.tenant(tenant))
      #expect(row.bucket >= Int(cursor) || row.wrappedRoot?.wrappingKey.version == 2)
    }
  }

  @Test func `tenants that come meanwhile are counted, and rows left behind are found at the end`() throws {
    _ = try store.census()
    _ = try step(store, rowsMax: 150)
    let cursor = try #require(try store.rotation(to: 2)).cursor
    // One behind the cursor, as no one should put it there.
    let behind = try #require((0..<10_000).lazy.map { tenant("late-\($0)") }.first { id in
      Bucket.number(.tenant, TenantRow.primaryKey(id)) < Int(cursor)
    })
    try bench.put(store, try TenantRow.sample(behind.rawValue))
    #expect(try store.census()[1] == 200 - Int(try #require(try store.rotation(to: 2)).rewrapped) + 1)
    repeat { _ = try step(store, rowsMax: 150) } while try store.rotation(to: 2)?.finished == nil
    #expect(try store.tenant(behind)?.wrappedRoot?.wrappingKey.version == 2)
    #expect(try store.census().roots == [2: 201])
  }

  @Test func `a tenant's row that was edited ends the batch by name, and nothing is moved`() throws {
    try bench.sql("UPDATE tenants SET created = created + 1 WHERE id = 'tenant-9'")
    let head = store.head
    #expect(throws: KeyStoreError.tampered(record: "tenant tenant-9")) { try step(store, rowsMax: 1000) }
    #expect(try store.head == head && store.rotation(to: 2)?.cursor == 0)
  }

  @Test func `a batch does not vouch for a row that a trigger puts back`() throws {
    try bench.sql(
      """
      CREATE TRIGGER back AFTER UPDATE ON tenants WHEN new.id = 'tenant-9'
      BEGIN UPDATE tenants SET wrapped = old.wrapped, row_mac = old.row_mac WHERE id = old.id; END
      """)
    let head = store.head
    #expect(throws: KeyStoreError.self) { try step(store, rowsMax: 1000) }
    #expect(try store.head == head && store.tenant(tenants[0])?.wrappedRoot?.wrappingKey.version == 1)
  }

  @Test func `a prepared tree is the one that setting bucket by bucket makes`() {
    var grown = BucketTree(digests: [Digest](repeating: Bucket.emptyDigest, count: Bucket.count))
    var prepared = grown
    let digests = Dictionary(
      uniqueKeysWithValues: [0, 1, 2, 77, 4096, 65_534, 65_535].map { ($0, Digest(1, 2, 3, UInt64($0))) })
    for (bucket, digest) in digests { grown.set(bucket, digest) }
    let change = prepared.preparing(digests)
    #expect(change.root == grown.root && prepared.root != grown.root)
    prepared.apply(change)
    #expect(prepared.root == grown.root && prepared.digests == grown.digests)
    #expect(prepared.preparing([:]).root == grown.root)
    grown.set(5, .zero)
    #expect(prepared.preparing([5: .zero]).root == grown.root)
  }

  @Test func `a store of schema 1 opens as what it was, with its rows in the order of their buckets`() throws {
    let new = try Bench()
    let store = try new.create()
    let records = TenantKeyRow.sample(tenants[1], key("records"))
    try new.put(store, try TenantRow.sample("tenant-1"), records, try records.versionRow(1))
    let head = store.head
    try store.close()
    let old = try new.copyOfSchema1()
    let opened = try old.open()
    #expect(try opened.head == head && opened.verifyAll() == 4)
    #expect(try opened.keyNames(of: tenants[1]) == [key("records")])
    try opened.close()
    #expect(try old.open().head == head)
  }
}
