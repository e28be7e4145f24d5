import ChatelaineAccessPolicy
import ChatelaineAuditLog
import ChatelaineAuditTrail
import ChatelaineEnvelopes
import ChatelainePrimitives
import ChatelaineSecretMemory
import ChatelaineVocabulary
import Foundation
import GRDB

@testable import ChatelaineKeyService
@testable import ChatelaineKeyStore

/// A closed store of 3 tenants × 2 keys (one a suite) × 3 versions, with an envelope sealed under each
/// version; and what becomes of the envelopes when somebody edits the database.
final class Vault: Sendable {
  struct Sealed: Sendable {
    let tenant: TenantID
    let name: KeyName
    let version: UInt32
    let suite: Suite
    let plaintext: [UInt8]
    let envelope: [UInt8]

    var record: String { "\(tenant.rawValue)/\(name.rawValue) version \(version)" }
  }

  /// What one edit led to.
  struct Verdict {
    var right = 0
    var wrong = 0
    /// What refused: the start, or each record on its own, and the check of everything.
    var start: KeyStoreError?
    var records: [ServiceError] = []
    var check: ServiceError?

    var isNoticed: Bool { start != nil || check != nil }
  }

  let shop: Workshop
  let sealed: [Sealed]
  /// The log of a service that goes on meanwhile: what the edits are about is the store alone.
  private let log: AuditLog
  private let logFiles: FileStorage

  init() throws {
    let shop = try Workshop()
    self.shop = shop
    try shop.initialize()
    sealed = try shop.running { service in try Self.fill(service, shop.caller) }
    let elsewhere = try Workshop()
    try FileManager.default.createDirectory(atPath: elsewhere.logPath, withIntermediateDirectories: true)
    let storage = try elsewhere.storage()
    _ = try LogWriter.create(in: storage, name: "aside", options: shop.options)
    logFiles = storage
    log = AuditLog(try LogWriter.open(in: storage, options: shop.options).0)
  }

  deinit { log.close() }

  private static func fill(_ service: KeyService, _ caller: Caller) throws -> [Sealed] {
    var sealed: [Sealed] = []
    for tenant in ["acme", "globex", "initech"].map({ tenant($0) }) {
      _ = try service.createTenant(tenant, by: caller, tags)
      for suite in Suite.allCases {
        let name = key(suite == .aes256GCM ? "aes" : "xchacha")
        _ = try service.createKey(name, of: tenant, suite: suite, by: caller, tags)
        sealed.append(try seal(name, tenant, service))
        for _ in 2...3 {
          _ = try service.rotateKey(name, of: tenant, by: caller, tags)
          sealed.append(try seal(name, tenant, service))
        }
      }
    }
    _ = try service.change(.init(operation: .masterRewrap), by: caller, tags) { (change) throws(Refusal) in
      change.put(
        RotationRow(
          version: 1, started: WallTime(nanoseconds: 9), cursor: 5, rewrapped: 6, finished: WallTime(nanoseconds: 7)))
    }
    return sealed
  }

  private static func seal(_ name: KeyName, _ tenant: TenantID, _ service: KeyService) throws -> Sealed {
    let key = try service.openKey(name, of: tenant)
    guard let suite = key.row.suite else { preconditionFailure("a sealing key has a suite") }
    let plaintext = Array("\(tenant.rawValue)/\(name.rawValue)/\(key.version)".utf8)
    let selector = Envelope.Selector(suite: suite, kind: .tenantKey, key: key.reference)
    let cipher = try EnvelopeCipher()
    let salt = SecureRandom.bytes(24)
    let envelope = [UInt8](rawCapacity: plaintext.count + Envelope.overheadByteCount) { output in
      plaintext.span.withRawSpan { bytes in
        cipher.seal(
          bytes, as: selector, key: key.key, contextHash: BindingHash.context(tenant: tenant),
          salt: salt.span,
          appendingTo: &output)
      }
    }
    return Sealed(
      tenant: tenant, name: name, version: key.version, suite: suite, plaintext: plaintext, envelope: envelope
    )
  }

  // MARK: After an edit

  /// A copy of the store alone, to be edited.
  func storeCopy() throws -> Workshop {
    let copy = try Workshop(masterKeys: shop.masterKeys)
    try FileManager.default.copyItem(atPath: shop.storePath, toPath: copy.storePath)
    return copy
  }

  /// Opens the store as a start does, then every envelope, then checks every record.
  func judge(_ edited: Workshop) -> Verdict {
    var verdict = Verdict()
    let store: KeyStore
    do throws(KeyStoreError) { store = try KeyService.examineStore(edited.storePath, shop.masterKeys).open() } catch {
      verdict.start = error
      return verdict
    }
    defer { try? store.close() }
    let service = KeyService(
      store: store, log: log, logFiles: logFiles, masterKeys: shop.masterKeys, policy: .empty, clock: .system)
    for one in sealed {
      do throws(ServiceError) {
        if try open(one, service) == one.plaintext { verdict.right += 1 } else { verdict.wrong += 1 }
      } catch { verdict.records.append(error) }
    }
    do throws(ServiceError) { _ = try service.checkStore() } catch { verdict.check = error }
    return verdict
  }

  private func open(_ sealed: Sealed, _ service: KeyService) throws(ServiceError) -> [UInt8] {
    let key = try service.openKey(sealed.name, of: sealed.tenant, version: sealed.version)
    let plaintext = try? [UInt8](rawCapacity: sealed.plaintext.count) {
      (output) throws(CommittingAEAD.Refusal) in
      guard let cipher = try? EnvelopeCipher() else { preconditionFailure("the tests have libcrypto") }
      try cipher.open(
        sealed.envelope.span,
        as: Envelope.Selector(suite: sealed.suite, kind: .tenantKey, key: key.reference), key: key.key,
        contextHash: BindingHash.context(tenant: sealed.tenant), appendingTo: &output)
    }
    // why: a key that opens nothing is no wrong plaintext, but nobody should have been given it either.
    return plaintext ?? []
  }
}
