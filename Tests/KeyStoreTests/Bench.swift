import ChatelaineEnvelopes
import ChatelainePrimitives
import ChatelaineSecretMemory
import ChatelaineVocabulary
import Foundation
import GRDB
import Synchronization

@testable import ChatelaineKeyStore

/// A store in a directory that goes away with it. Keys are wrapped by whatever is at hand: the store
/// never opens them.
final class Bench: Sendable {
  let directory: URL
  private let sequence = Mutex<UInt64>(1)
  let storeKey: [UInt8]

  init(storeKey: [UInt8] = SecureRandom.bytes(32)) throws {
    self.storeKey = storeKey
    directory = FileManager.default.temporaryDirectory.appending(path: "chatelaine-" + UUID().uuidString)
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: directory) }

  var path: String { directory.appending(path: "store.db").path }

  func secret() -> SecretBytes {
    SecretBytes(count: 32) { output in for byte in storeKey { output.append(byte) } }
  }

  func create() throws -> KeyStore {
    let master = KeyReference(id: Identifier(high: 1, low: 1), version: 1)
    let created = WallTime(nanoseconds: 1_700_000_000_000_000_000)
    return try KeyStore.create(
      path: path,
      .init(
        storeID: Identifier(high: 3, low: 3), logID: Identifier(high: 4, low: 4), keyringID: master.id,
        master: MasterVersionRow(
          version: 1, keyCheckValue: Digest(1, 2, 3, 4), state: .inUse, created: created),
        created: created, logSequence: 0, logLeafHash: Digest(9, 9, 9, 9)),
      storeKey: secret(),
      wrappedStoreKey: try wrapped(.storeKey, as: KeyReference(id: Identifier(high: 3, low: 3), version: 1))
        .bytes)
  }

  func open(for use: KeyStore.Use = .serving) throws -> KeyStore {
    try KeyStore.open(path: path, for: use) { _ throws(KeyStoreError) in secret() }
  }

  func refusalToOpen() -> KeyStoreError? {
    do {
      try open().close()
      return nil
    } catch { return error as? KeyStoreError }
  }

  /// Puts rows as the next change.
  @discardableResult
  func put(_ store: KeyStore, _ rows: any StoreRow...) throws -> KeyStore.Head {
    let number = sequence.withLock { number in
      number += 1
      return number
    }
    return try store.change(intentSequence: number, intentLeafHash: Digest(0, 0, 0, number)) { change in
      for row in rows {
        switch row {
        case let row as TenantRow: change.put(row)
        case let row as TenantKeyRow: change.put(row)
        case let row as KeyVersionRow: change.put(row)
        case let row as MasterVersionRow: change.put(row)
        case let row as RotationRow: change.put(row)
        default: preconditionFailure("not a row that changes")
        }
      }
    }
  }

  /// Runs SQL as somebody with a shell would.
  func sql(_ statements: String...) throws {
    let database = try DatabaseQueue(path: path)
    try database.writeWithoutTransaction { for statement in statements { try $0.execute(sql: statement) } }
    try database.close()
  }

  func contents() throws -> [String: Data] {
    var files: [String: Data] = [:]
    for name in try FileManager.default.contentsOfDirectory(atPath: directory.path) {
      files[name] = try Data(contentsOf: directory.appending(path: name))
    }
    return files
  }
}

func wrapped(_ kind: WrappedKeyKind, as reference: KeyReference, by version: UInt32 = 1) throws -> WrappedKey {
  let wrapping = SecretBytes.random(count: 32).withBytes { DerivationKey($0) }
  return try KeyWrapper().wrap(
    .random(count: 32), kind: kind, as: reference, under: wrapping,
    wrappingKeyReference: KeyReference(id: Identifier(high: 1, low: 1), version: version), binding: .zero)
}

func tenant(_ name: String) -> TenantID {
  guard let id = try? TenantID(name) else { preconditionFailure("a test names tenants well") }
  return id
}

func key(_ name: String) -> KeyName {
  guard let name = try? KeyName(name) else { preconditionFailure("a test names keys well") }
  return name
}

extension TenantRow {
  static func sample(_ name: String) throws -> TenantRow {
    let root = KeyReference(id: SecureRandom.identifier(), version: 1)
    return TenantRow(
      id: tenant(name), root: root, state: .active, created: WallTime(nanoseconds: 7),
      wrappedRoot: try wrapped(.tenantRoot, as: root))
  }
}

extension TenantKeyRow {
  static func sample(_ owner: TenantID, _ name: KeyName) -> TenantKeyRow {
    TenantKeyRow(
      tenant: owner, name: name, id: SecureRandom.identifier(), purpose: .seal, suite: .aes256GCM,
      state: .enabled, created: WallTime(nanoseconds: 8), currentVersion: 1, floorVersion: 1,
      budgetMessages: 10,
      budgetBytes: 20)
  }

  func versionRow(_ version: UInt32) throws -> KeyVersionRow {
    KeyVersionRow(
      tenant: tenant, name: name, version: version, state: .enabled, created: WallTime(nanoseconds: 9),
      wrapped: try wrapped(.tenantKey, as: KeyReference(id: id, version: version)))
  }
}
