package import ChatelaineEnvelopes
internal import ChatelaineVocabulary
internal import GRDB
internal import Synchronization

/// The next tenants of a rotation, read, checked and rewrapped: what is left is to write them.
package struct RewrapBatch: Sendable {
  /// A tenant's row as it will be.
  struct Update {
    let row: TenantRow
    let bucket: Int
    let mac: Digest
    let oldVersion: UInt32?
  }

  let version: UInt32
  /// The first bucket.
  let start: Int
  /// The first bucket after, where the next batch begins.
  package let end: Int
  let updates: [Update]
  /// The digests of the buckets that a tenant of it lies in, as they were and as they will be.
  let found: [Int: Digest]
  var digests: [Int: Digest]
  /// As they will be.
  var macs: BucketMACs

  package var isLast: Bool { end == Bucket.count }

  func isNext(of rotation: RotationRow) -> Bool { version == rotation.version && start == Int(rotation.cursor) }
}

extension KeyStore {
  /// Reads the tenants from a bucket on that another version wraps, about `rowsMax` rows and whole buckets, and has them
  /// rewrapped. Keeps nobody from anything: see `rewrapTenants`.
  ///
  /// `rewrap` gives the new wrapping of each root.
  package func rewrapBatch(
    to version: UInt32, from start: Int, rowsMax: Int, _ rewrap: ([TenantRow]) throws(KeyStoreError) -> [WrappedKey]
  ) throws(KeyStoreError) -> RewrapBatch {
    let found = try translating("reading tenants to rewrap") {
      try pool.read { try self.find($0, version: version, start: start, rowsMax: rowsMax) }
    }
    let wrapped = try rewrap(found.tenants.map(\.row))
    precondition(wrapped.count == found.tenants.count, "every root is rewrapped")
    var macs = found.macs
    var updates: [RewrapBatch.Update] = []
    updates.reserveCapacity(wrapped.count)
    for (tenant, wrapped) in zip(found.tenants, wrapped) {
      var row = tenant.row
      row.wrappedRoot = wrapped
      let mac = authenticator.mac(of: row)
      try macs.replace(tenant.mac, by: mac, in: tenant.bucket, of: .tenant)
      updates.append(.init(row: row, bucket: tenant.bucket, mac: mac, oldVersion: tenant.version))
    }
    return RewrapBatch(
      version: version, start: start, end: found.end, updates: updates, found: found.macs.digests,
      digests: macs.digests, macs: macs)
  }

  private struct Tenant {
    let row: TenantRow
    let bucket: Int
    let mac: Digest
    /// Of the master key that wraps its root; nil once that is erased.
    let version: UInt32?
  }

  /// Tenants that another version wraps, the row MACs of every bucket that one lies in, and the first bucket after.
  private func find(
    _ database: Database, version: UInt32, start: Int, rowsMax: Int
  ) throws -> (tenants: [Tenant], macs: BucketMACs, end: Int) {
    let (all, end) = try tenants(database, from: start, rowsMax: rowsMax)
    let tenants = all.filter { $0.version != nil && $0.version != version }
    let buckets = BucketNumbers(tenants.map(\.bucket))
    let macs = all.filter { buckets.contains($0.bucket) }.map { BucketMACs.Element(bucket: $0.bucket, mac: $0.mac) }
    return (tenants, try BucketMACs(buckets, tenants: macs, database), end)
  }

  /// All tenants of some whole buckets, and the first bucket after them.
  private func tenants(_ database: Database, from start: Int, rowsMax: Int) throws -> ([Tenant], Int) {
    let statement = try database.cachedStatement(
      sql: "SELECT * FROM tenants WHERE bucket >= ? ORDER BY bucket, id LIMIT ?")
    statement.arguments = [start, rowsMax + 1]
    let tenants = try read(statement)
    guard tenants.count > rowsMax else { return (tenants, Bucket.count) }
    let last = tenants.last?.bucket ?? start
    let whole = tenants.prefix { $0.bucket < last }
    guard whole.isEmpty else { return (Array(whole), last) }
    let one = try database.cachedStatement(sql: "SELECT * FROM tenants WHERE bucket = ?")
    one.arguments = [last]
    return (try read(one), last + 1)
  }

  /// Rows whose MACs are right.
  private func read(_ statement: Statement) throws -> [Tenant] {
    let columns = StatementColumns(statement)
    let rows = try Row.fetchCursor(statement)
    var tenants: [Tenant] = []
    while try rows.next() != nil { tenants.append(try tenant(RowReader(columns, record: "a tenant"))) }
    return tenants
  }

  private func tenant(_ reader: RowReader) throws(KeyStoreError) -> Tenant {
    let tenant = try TenantRow(reader)
    let (mac, bucket) = (try reader.digest("row_mac"), tenant.bucket)
    guard try reader.integer("bucket") == bucket, authenticator.mac(of: tenant) == mac else {
      throw .tampered(record: tenant.description)
    }
    return Tenant(row: tenant, bucket: bucket, mac: mac, version: tenant.wrappedRoot?.wrappingKey.version)
  }
}

