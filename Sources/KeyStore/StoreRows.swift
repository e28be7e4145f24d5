package import ChatelaineEnvelopes
package import ChatelaineVocabulary

/// A row of the store in its canonical form: what its MAC covers.
protocol StoreRow: Sendable {
  static var table: StoreTable { get }
  /// Fields in the order of the format, without table number and wrapped bytes.
  var canonicalFields: [UInt8] { get }
  /// What its wrapped-bytes hash covers; nil where the table has none, empty for a destroyed key.
  var wrappedBytes: [UInt8]? { get }
  var primaryKey: [UInt8] { get }
  /// For messages: what the record is.
  var description: String { get }
}

enum StoreTable: UInt8 {
  case store = 1
  case masterVersion = 2
  case tenant = 3
  case key = 4
  case keyVersion = 5
  case rotation = 6

  /// Those whose rows fall into buckets.
  static let inBuckets: [StoreTable] = [.masterVersion, .tenant, .key, .keyVersion, .rotation]
}

package struct MasterVersionRow: Equatable, StoreRow {
  /// A pending version is in the keyring and wraps nothing yet: its second copy is to be confirmed.
  package enum State: UInt8, Sendable { case inUse = 1, retired = 2, pending = 3 }

  package let version: UInt32
  package let keyCheckValue: Digest
  package var state: State
  package let created: WallTime

  package init(version: UInt32, keyCheckValue: Digest, state: State, created: WallTime) {
    self.version = version
    self.keyCheckValue = keyCheckValue
    self.state = state
    self.created = created
  }

  static let table = StoreTable.masterVersion
  var wrappedBytes: [UInt8]? { nil }
  var primaryKey: [UInt8] { Self.primaryKey(version) }
  var description: String { "master key version \(version)" }

  static func primaryKey(_ version: UInt32) -> [UInt8] {
    var writer = ByteWriter(capacity: 4)
    writer.u32(version)
    return writer.bytes
  }

  var canonicalFields: [UInt8] {
    var writer = ByteWriter(capacity: 64)
    writer.u32(version)
    writer.digest(keyCheckValue)
    writer.u8(state.rawValue)
    writer.u64(created.nanoseconds)
    return writer.bytes
  }
}

package struct TenantRow: Equatable, StoreRow {
  package enum State: UInt8, Sendable { case active = 1, frozen = 2, erased = 3 }

  package let id: TenantID
  package let root: KeyReference
  package var state: State
  package let created: WallTime
  /// nil once erased.
  package var wrappedRoot: WrappedKey?

  package init(id: TenantID, root: KeyReference, state: State, created: WallTime, wrappedRoot: WrappedKey?) {
    self.id = id
    self.root = root
    self.state = state
    self.created = created
    self.wrappedRoot = wrappedRoot
  }

  static let table = StoreTable.tenant
  var wrappedBytes: [UInt8]? { wrappedRoot?.bytes ?? [] }
  var primaryKey: [UInt8] { Self.primaryKey(id) }
  package var description: String { "tenant \(id.rawValue)" }

  static func primaryKey(_ id: TenantID) -> [UInt8] {
    var writer = ByteWriter(capacity: 66)
    writer.u16Prefixed(id.bytes)
    return writer.bytes
  }

  var canonicalFields: [UInt8] {
    var writer = ByteWriter(capacity: 128)
    writer.u16Prefixed(id.bytes)
    writer.identifier(root.id)
    writer.u32(root.version)
    writer.u8(state.rawValue)
    writer.u64(created.nanoseconds)
    return writer.bytes
  }

  /// What the tenant root is bound to in its wrapping.
  package var binding: Digest { BindingHash.record(.init(tenant: id, created: created)) }
}

package struct TenantKeyRow: Equatable, StoreRow {
  package enum State: UInt8, Sendable { case enabled = 1, disabled = 2 }

  package let tenant: TenantID
  package let name: KeyName
  package let id: Identifier
  package let purpose: Purpose
  /// nil for MAC and index keys.
  package let suite: Suite?
  package var state: State
  package let created: WallTime
  package var currentVersion: UInt32
  /// Versions below no longer decrypt; 1 where all do.
  package var floorVersion: UInt32
  package var budgetMessages: UInt64
  package var budgetBytes: UInt64

  package init(
    tenant: TenantID, name: KeyName, id: Identifier, purpose: Purpose, suite: Suite?, state: State, created: WallTime,
    currentVersion: UInt32, floorVersion: UInt32, budgetMessages: UInt64, budgetBytes: UInt64
  ) {
    self.tenant = tenant
    self.name = name
    self.id = id
    self.purpose = purpose
    self.suite = suite
    self.state = state
    self.created = created
    self.currentVersion = currentVersion
    self.floorVersion = floorVersion
    self.budgetMessages = budgetMessages
    self.budgetBytes = budgetBytes
  }

  static let table = StoreTable.key
  var wrappedBytes: [UInt8]? { nil }
  var primaryKey: [UInt8] { Self.primaryKey(tenant, name) }
  var description: String { "key \(tenant.rawValue)/\(name.rawValue)" }

  static func primaryKey(_ tenant: TenantID, _ name: KeyName) -> [UInt8] {
    var writer = ByteWriter(capacity: 132)
    writer.u16Prefixed(tenant.bytes)
    writer.u16Prefixed(name.bytes)
    return writer.bytes
  }

  var canonicalFields: [UInt8] {
    var writer = ByteWriter(capacity: 192)
    writer.raw(primaryKey)
    writer.identifier(id)
    writer.u8(purpose.rawValue)
    writer.u8(suite?.rawValue ?? 0)
    writer.u8(state.rawValue)
    writer.u64(created.nanoseconds)
    writer.u32(currentVersion)
    writer.u32(floorVersion)
    writer.u64(budgetMessages)
    writer.u64(budgetBytes)
    return writer.bytes
  }

  /// What a version of the key is bound to in its wrapping.
  package func binding(versionCreated: WallTime) -> Digest {
    BindingHash.record(
      .init(tenant: tenant, keyName: name, purpose: purpose, suite: suite, created: versionCreated))
  }
}

package struct KeyVersionRow: Equatable, StoreRow {
  package enum State: UInt8, Sendable { case enabled = 1, disabled = 2, pendingDestruction = 3, destroyed = 4 }

  package let tenant: TenantID
  package let name: KeyName
  package let version: UInt32
  package var state: State
  package let created: WallTime
  /// nil once destroyed.
  package var wrapped: WrappedKey?

  package init(
    tenant: TenantID, name: KeyName, version: UInt32, state: State, created: WallTime, wrapped: WrappedKey?
  ) {
    self.tenant = tenant
    self.name = name
    self.version = version
    self.state = state
    self.created = created
    self.wrapped = wrapped
  }

  static let table = StoreTable.keyVersion
  var wrappedBytes: [UInt8]? { wrapped?.bytes ?? [] }
  var primaryKey: [UInt8] { Self.primaryKey(tenant, name, version) }
  var description: String { "key \(tenant.rawValue)/\(name.rawValue) version \(version)" }

  static func primaryKey(_ tenant: TenantID, _ name: KeyName, _ version: UInt32) -> [UInt8] {
    var writer = ByteWriter(capacity: 136)
    writer.raw(TenantKeyRow.primaryKey(tenant, name))
    writer.u32(version)
    return writer.bytes
  }

  var canonicalFields: [UInt8] {
    var writer = ByteWriter(capacity: 160)
    writer.raw(primaryKey)
    writer.u8(state.rawValue)
    writer.u64(created.nanoseconds)
    return writer.bytes
  }
}

/// The one row that stands for the whole store: what the log's outcome entries carry is in it.
package struct StoreHeadRow: Equatable, StoreRow {
  package let storeID: Identifier
  package let logID: Identifier
  package let created: WallTime
  /// Raised by every change.
  package internal(set) var generation: UInt64
  /// RFC 6962 root over the digests of all buckets.
  package internal(set) var root: Digest
  /// The intent entry of the last change: `logPlace`, in one number.
  package internal(set) var logSequence: UInt64
  package var logPlace: EntryPlace { EntryPlace(stored: logSequence) }
  package internal(set) var logLeafHash: Digest
  package let keyringID: Identifier
  package internal(set) var primaryMasterVersion: UInt32
  package internal(set) var wrappedStoreKey: WrappedKey

  static let table = StoreTable.store
  var wrappedBytes: [UInt8]? { wrappedStoreKey.bytes }
  var primaryKey: [UInt8] { [] }
  var description: String { "the store" }

  var canonicalFields: [UInt8] {
    var writer = ByteWriter(capacity: 192)
    writer.identifier(storeID)
    writer.identifier(logID)
    writer.u64(created.nanoseconds)
    writer.u64(generation)
    writer.digest(root)
    writer.u64(logSequence)
    writer.digest(logLeafHash)
    writer.identifier(keyringID)
    writer.u32(primaryMasterVersion)
    return writer.bytes
  }

  /// What the store key is bound to in its wrapping.
  static func binding(created: WallTime) -> Digest { BindingHash.record(.init(created: created)) }
}
