import ChatelaineEnvelopes
import ChatelainePrimitives
import ChatelaineSecretMemory
import ChatelaineVocabulary
import Foundation
import Testing

@testable import ChatelaineKeyStore

/// `Tests/Vectors/rows.json`, made by an implementation in Python that shares no code with this one.
@Suite struct VectorTests {
  let file: RowVectors

  init() throws {
    let url = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    file = try JSONDecoder().decode(
      RowVectors.self, from: Data(contentsOf: url.appending(path: "Vectors/rows.json")))
  }

  // MUST: STORE-2
  @Test func `rows have the canonical bytes, the MACs and the buckets of the vectors`() throws {
    let authenticator = RowAuthenticator(storeKey: file.derivationKey())
    #expect(file.rows.count == 15)
    #expect(Set(file.rows.map(\.table)) == [1, 2, 3, 4, 5, 6])
    for vector in file.rows {
      let row = try vector.row()
      let canonical = [type(of: row).table.rawValue] + row.canonicalFields
      #expect(Hex.encode(canonical.span) == vector.canonical, "\(vector.name)")
      #expect((row.wrappedBytes != nil) == vector.hasWrapped, "\(vector.name)")
      #expect(authenticator.mac(of: row).hex == vector.mac, "\(vector.name)")
      #expect(Hex.encode(row.primaryKey.span) == vector.primaryKey, "\(vector.name)")
      if let bucket = vector.bucket {
        #expect(Bucket.number(type(of: row).table, row.primaryKey) == bucket, "\(vector.name)")
      }
    }
  }

  @Test func `another store key makes other MACs`() throws {
    let other = SecretBytes.random(count: 32).withBytes { RowAuthenticator(storeKey: DerivationKey($0)) }
    for vector in file.rows { #expect(other.mac(of: try vector.row()).hex != vector.mac) }
  }

  // MUST: STORE-4
  @Test func `a bucket's digest does not depend on the order of its rows`() throws {
    for bucket in file.buckets {
      let macs = bucket.macs.compactMap { Digest(hex: $0) }
      #expect(Bucket.digest(macs).hex == bucket.digest)
      #expect(Bucket.digest(macs.reversed()).hex == bucket.digest)
    }
    #expect(file.buckets.contains { $0.macs.count == 2 })
    #expect(Bucket.emptyDigest.hex == file.emptyBucketDigest)
  }

  // MUST: STORE-3
  @Test func `all rows of tables 2 to 6 add up to the root, destroyed and erased ones included`() throws {
    let authenticator = RowAuthenticator(storeKey: file.derivationKey())
    var buckets = [[Digest]](repeating: [], count: Bucket.count)
    for vector in file.rows where vector.table != 1 {
      let row = try vector.row()
      buckets[Bucket.number(type(of: row).table, row.primaryKey)].append(authenticator.mac(of: row))
    }
    #expect(BucketTree(digests: buckets.map { Bucket.digest($0) }).root.hex == file.root)
    #expect(file.rows.filter { $0.hasWrapped && $0.wrapped.isEmpty }.count == 2)
  }

  @Test func `the census counts each tenant that is not erased by the version that wraps it`() throws {
    let bench = try Bench()
    let store = try bench.create()
    try bench.put(store, MasterVersionRow(version: 2, keyCheckValue: .zero, state: .inUse, created: WallTime(nanoseconds: 7)))
    for vector in file.rows where vector.table == 3 {
      try bench.put(store, try #require(try vector.row() as? TenantRow))
    }
    let expected = Dictionary(uniqueKeysWithValues: file.census.map { ($0.masterVersion, $0.roots) })
    #expect(try store.countRoots().roots == expected)
    #expect(file.census.map(\.roots) == [1], "the control: two tenants, and one of them erased")
  }

  @Test func `a tree that grew bucket by bucket has the root of one made at once`() throws {
    let empty = [Digest](repeating: Bucket.emptyDigest, count: Bucket.count)
    var grown = BucketTree(digests: empty)
    #expect(grown.root.hex == file.emptyRoot)
    for bucket in file.buckets { grown.set(bucket.bucket, try #require(Digest(hex: bucket.digest))) }
    #expect(grown.root.hex == file.root)
    #expect(BucketTree(digests: grown.digests).root.hex == file.root)
    for bucket in file.buckets { grown.set(bucket.bucket, Bucket.emptyDigest) }
    #expect(grown.root.hex == file.emptyRoot)
  }
}

struct RowVectors: Decodable {
  let storeKey: String
  let rows: [RowVector]
  let emptyBucketDigest: String
  let emptyRoot: String
  let buckets: [BucketVector]
  let root: String
  let census: [CensusVector]

  struct CensusVector: Decodable {
    let masterVersion: UInt32
    let roots: Int
  }

  struct BucketVector: Decodable {
    let bucket: Int
    let macs: [String]
    let digest: String
  }

  func derivationKey() -> DerivationKey {
    let bytes = Hex.decode(storeKey) ?? []
    let secret = SecretBytes(count: 32) { output in for byte in bytes { output.append(byte) } }
    return secret.withBytes { DerivationKey($0) }
  }
}

struct RowVector: Decodable {
  let name: String
  let table: Int
  let fields: [String: Field]
  let hasWrapped: Bool
  let wrapped: String
  let canonical: String
  let mac: String
  let primaryKey: String
  let bucket: Int?

  /// A number, or a text that is a number, a name or hexadecimal.
  enum Field: Decodable {
    case text(String)

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      self = .text(try (try? container.decode(Int.self)).map(String.init) ?? container.decode(String.self))
    }
  }

  private func text(_ field: String) throws -> String {
    guard case .text(let text) = try #require(fields[field], "\(name): \(field)") else { return "" }
    return text
  }

  private func id(_ field: String) throws -> Identifier { try #require(Identifier(hex: text(field))) }
  private func digest(_ field: String) throws -> Digest { try #require(Digest(hex: text(field))) }
  private func number<Value: FixedWidthInteger>(_ field: String) throws -> Value {
    try #require(Value(text(field)))
  }
  private func created() throws -> WallTime { WallTime(nanoseconds: try number("createdNs")) }
  private func state<State: RawRepresentable>() throws -> State where State.RawValue == UInt8 {
    try #require(State(rawValue: number("state")))
  }

  private func wrappedKey() throws -> WrappedKey? {
    guard let bytes = Hex.decode(wrapped), !bytes.isEmpty else { return nil }
    return try WrappedKey(bytes.span)
  }

  func row() throws -> any StoreRow {
    switch table {
    case 1:
      return StoreHeadRow(
        storeID: try id("storeId"), logID: try id("logId"), created: try created(),
        generation: try number("generation"),
        root: try digest("storeRoot"), logSequence: try number("logSeq"),
        logLeafHash: try digest("logLeafHash"),
        keyringID: try id("keyringId"), primaryMasterVersion: try number("primaryMasterVersion"),
        wrappedStoreKey: try #require(try wrappedKey()))
    case 2:
      return MasterVersionRow(
        version: try number("version"), keyCheckValue: try digest("keyCheckValue"), state: try state(),
        created: try created())
    case 3:
      return TenantRow(
        id: tenant(try text("tenant")),
        root: KeyReference(id: try id("rootId"), version: try number("rootVersion")),
        state: try state(), created: try created(), wrappedRoot: try wrappedKey())
    case 4:
      return TenantKeyRow(
        tenant: tenant(try text("tenant")), name: key(try text("name")), id: try id("keyId"),
        purpose: try #require(Purpose(rawValue: number("purpose"))),
        suite: Suite(rawValue: try number("suite")),
        state: try state(), created: try created(), currentVersion: try number("currentVersion"),
        floorVersion: try number("floorVersion"), budgetMessages: try number("budgetMessages"),
        budgetBytes: try number("budgetBytes"))
    case 6:
      let finished: UInt64 = try number("finishedNs")
      return RotationRow(
        version: try number("version"), started: WallTime(nanoseconds: try number("startedNs")),
        cursor: try number("cursor"), rewrapped: try number("rewrapped"),
        finished: finished == 0 ? nil : WallTime(nanoseconds: finished))
    default:
      return KeyVersionRow(
        tenant: tenant(try text("tenant")), name: key(try text("name")), version: try number("version"),
        state: try state(), created: try created(), wrapped: try wrappedKey())
    }
  }
}
