internal import ChatelaineEnvelopes
internal import ChatelaineVocabulary
internal import GRDB
internal import Synchronization

/// How many tenant roots each master version wraps.
package struct Census: Equatable, Sendable {
  /// No version without a root.
  package private(set) var roots: [UInt32: Int] = [:]

  package init() {}

  package subscript(version: UInt32) -> Int { roots[version] ?? 0 }

  package var total: Int { roots.values.reduce(0, +) }

  mutating func move(from old: UInt32?, to new: UInt32) {
    add(-1, to: old)
    add(1, to: new)
  }

  mutating func add(_ count: Int, to version: UInt32?) {
    guard let version, count != 0 else { return }
    let sum = self[version] + count
    roots[version] = sum == 0 ? nil : sum
  }
}

extension KeyStore {
  /// Counted once by reading every tenant's row, a second for a million; then kept by every change.
  package func census() throws(KeyStoreError) -> Census {
    if let census = state.withLock({ $0.census }) { return census }
    let result = changing.withLock { _ in Result { () throws(KeyStoreError) in try self.countRoots() } }
    return try result.get()
  }

  /// Counts anew, whatever was kept: inside a change, or where none can be made meanwhile.
  func countRoots() throws(KeyStoreError) -> Census {
    let census = try translating("counting tenant roots") {
      try pool.read { database in
        let versions = try UInt32.fetchAll(database, sql: "SELECT version FROM master_versions")
        return try Self.countRoots(by: versions, database)
      }
    }
    state.withLock { $0.census = census }
    return census
  }

  /// One pass over the table; SQLite looks at the wrapping version where it stands in the bytes.
  private static func countRoots(by versions: [UInt32], _ database: Database) throws -> Census {
    let sums = versions.map { "total(substr(wrapped, 41, 4) = x'\(Hex.encode(MasterVersionRow.primaryKey($0).span))')" }
    let row = try Row.fetchOne(
      database, sql: "SELECT count(*), total(wrapped = x''), \(sums.joined(separator: ", ")) FROM tenants")
    var census = Census()
    for (index, version) in versions.enumerated() { census.add(Int(row?[index + 2] as Double? ?? 0), to: version) }
    let erased = Int(row?[1] as Double? ?? 0)
    guard census.total + erased == row?[0] as Int? else { throw KeyStoreError.tampered(record: "a tenant") }
    return census
  }

  /// The version in a wrapped root's header; nil where the tenant is erased.
  static func wrappingVersion(_ row: Row) throws(KeyStoreError) -> UInt32? {
    try RowReader(row: row, record: "a tenant").wrappedKey("wrapped")?.wrappingKey.version
  }
}

extension KeyStore.Change {
  /// Counts the roots that a master version wraps, from the rows themselves.
  package func countRoots(wrappedBy version: UInt32) throws(KeyStoreError) -> Int { try recount()[version] }
}
