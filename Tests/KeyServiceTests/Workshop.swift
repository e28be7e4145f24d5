import ChatelaineAccessPolicy
import ChatelaineAuditLog
import ChatelaineAuditTrail
import ChatelaineEnvelopes
import ChatelainePrimitives
import ChatelaineVocabulary
import Foundation
import GRDB

@testable import ChatelaineCustody
@testable import ChatelaineKeyService
@testable import ChatelaineKeyStore

/// A store, its log and its master key in a directory that goes away with it.
final class Workshop: Sendable {
  let directory: URL
  let masterKeys: MasterKeySet
  let options: LogOptions
  /// May do everything.
  let caller = Caller.command(uid: 1000, pid: 77, grants: .all)

  /// As the daemon says it of a keyring that it may write.
  let makesVersions: Bool

  init(masterKeys: MasterKeySet = .random(), makesVersions: Bool = true) throws {
    self.makesVersions = makesVersions
    directory = FileManager.default.temporaryDirectory.appending(path: "chatelaine-" + UUID().uuidString)
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    self.masterKeys = masterKeys
    var options = LogOptions()
    options.firstSegmentBytes = 1 << 18
    options.segmentBytes = 1 << 18
    options.frameBytesMax = 1 << 17
    options.alignment = 512
    self.options = options
  }

  deinit { try? FileManager.default.removeItem(at: directory) }

  var storePath: String { directory.appending(path: "store.db").path }
  var logPath: String { directory.appending(path: "log").path }

  func storage() throws -> FileStorage { try FileStorage(path: logPath, exclusively: true) }

  /// Makes log and store.
  func initialize() throws {
    try FileManager.default.createDirectory(
      atPath: logPath, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    try KeyService.initialize(
      storePath: storePath, log: storage(), logName: "test", options: options, masterKeys: masterKeys,
      caller: caller, tags: tags)
  }

  func open(
    _ keys: MasterKeySet? = nil, on storage: (any LogStorage)? = nil
  ) throws -> (KeyService, StartReport) {
    let found = hasRing && keys == nil ? try Keyring(at: ringPath).openEach(passphrase: nil) : nil
    return try KeyService.open(
      storePath: storePath, log: try storage ?? self.storage(), options: options,
      masterKeys: keys ?? found?.keys ?? masterKeys, refusedFiles: keys == nil ? found?.refused ?? [:] : [:],
      keyring: keyring)
  }

  // MARK: A keyring, for those who rotate it

  var ringPath: String { directory.appending(path: "keyring").path }

  /// A workshop whose master key is in a keyring.
  static func withKeyring(passphrase: Passphrase? = nil, makesVersions: Bool = true) throws -> Workshop {
    let elsewhere = FileManager.default.temporaryDirectory.appending(path: "chatelaine-" + UUID().uuidString).path
    let seal: KeyringFile.Seal = passphrase == nil ? .file : .passphrase
    let new = Keyring.NewVersion(seal: seal, cost: cheap, created: WallTime(nanoseconds: 9))
    _ = try Keyring.create(at: elsewhere, .init(), new, passphrase: passphrase)
    let keys = try Keyring(at: elsewhere).open(passphrase: passphrase)
    let shop = try Workshop(masterKeys: keys, makesVersions: makesVersions)
    try FileManager.default.moveItem(atPath: elsewhere, toPath: shop.ringPath)
    return shop
  }

  static var cheap: Argon2Cost { Argon2Cost(memoryKiB: 8192, passes: 1) ?? .standard }

  private var hasRing: Bool { FileManager.default.fileExists(atPath: ringPath) }

  var keyring: ServiceKeyring? {
    hasRing ? ServiceKeyring(KeyringPlace(path: ringPath), makesVersions: makesVersions) : nil
  }

  func keysOnDisk(passphrase: Passphrase? = nil) throws -> MasterKeySet {
    hasRing ? try Keyring(at: ringPath).open(passphrase: passphrase) : masterKeys
  }

  /// Opens, works, closes.
  @discardableResult
  func running<Value>(_ body: (KeyService) throws -> Value) throws -> Value {
    let service = try open().0
    defer { service.close() }
    return try body(service)
  }

  /// The error of a start that must be refused, or nil where it was not.
  func refusalToOpen(_ keys: MasterKeySet? = nil) -> StartError? {
    do {
      try open(keys).0.close()
      return nil
    } catch let error as StartError { return error } catch { return nil }
  }

  /// Every entry of the log, as an auditor reads it.
  func entries() throws -> [(entry: AuditEntry, leafHash: Digest)] {
    var reader = try LogReader(FileStorage(path: logPath, exclusively: false))
    var entries: [(AuditEntry, Digest)] = []
    _ = try reader.readAvailable { bytes in
      if let entry = try? AuditEntry(parsing: bytes) { entries.append((entry, AuditEntry.leafHash(bytes))) }
    }
    return entries
  }

  /// Runs SQL on the closed store as somebody with a shell would.
  func sql(_ statements: String...) throws {
    let database = try DatabaseQueue(path: storePath)
    try database.writeWithoutTransaction { for statement in statements { try $0.execute(sql: statement) } }
    try database.close()
  }

  /// The same records as a store of the first schema has them.
  func putBackSchema1() throws {
    let old = try DatabaseQueue(path: storePath + ".1")
    try old.writeWithoutTransaction { database in
      try Schema.migrate(database, to: 1)
      try database.execute(sql: "ATTACH ? AS new", arguments: [storePath])
      for table in ["store", "master_versions", "tenants", "tenant_keys", "key_versions", "buckets"] {
        let columns = try database.columns(in: table).map(\.name).joined(separator: ", ")
        try database.execute(sql: "INSERT INTO \(table) (\(columns)) SELECT \(columns) FROM new.\(table)")
      }
      try database.execute(sql: "DETACH new")
    }
    try old.close()
    try FileManager.default.removeItem(atPath: storePath)
    try FileManager.default.moveItem(atPath: storePath + ".1", toPath: storePath)
    try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: storePath)
  }

  /// Every row of every table, as text.
  func rows() throws -> [String] {
    let database = try DatabaseQueue(path: storePath)
    defer { try? database.close() }
    return try database.read { database in
      try ["store", "master_versions", "tenants", "tenant_keys", "key_versions", "buckets"].flatMap { table in
        try Row.fetchAll(database, sql: "SELECT * FROM \(table)").map { "\(table) \($0.debugDescription)" }
      }
    }
  }

  /// Every row of a table as text, whoever has the store open.
  func rowsWhileOpen(_ table: String) throws -> [String] {
    var configuration = Configuration()
    configuration.readonly = true
    let database = try DatabaseQueue(path: storePath, configuration: configuration)
    defer { try? database.close() }
    return try database.read { try Row.fetchAll($0, sql: "SELECT * FROM \(table)").map(\.debugDescription) }
  }

  // MARK: Copies

  /// A copy of all files, with the same keys.
  func copy() throws -> Workshop {
    let copy = try Workshop(masterKeys: masterKeys)
    try FileManager.default.removeItem(at: copy.directory)
    try FileManager.default.copyItem(at: directory, to: copy.directory)
    return copy
  }

  /// Puts the store of an earlier copy back.
  func restoreStore(of other: Workshop) throws {
    try FileManager.default.removeItem(atPath: storePath)
    try FileManager.default.copyItem(atPath: other.storePath, toPath: storePath)
  }

  func restoreLog(of other: Workshop) throws {
    try FileManager.default.removeItem(atPath: logPath)
    try FileManager.default.copyItem(atPath: other.logPath, toPath: logPath)
  }

  /// Name and bytes of every file of a directory.
  static func contents(_ directory: URL) throws -> [String: Data] {
    var files: [String: Data] = [:]
    for name in try FileManager.default.subpathsOfDirectory(atPath: directory.path) {
      files[name] = try? Data(contentsOf: directory.appending(path: name))
    }
    return files
  }
}

extension MasterKeySet {
  static func random(id: Identifier = SecureRandom.identifier(), versions: ClosedRange<UInt32> = 1...1)
    -> MasterKeySet
  {
    MasterKeySet(
      versions.map { .random(as: KeyReference(id: id, version: $0), created: WallTime(nanoseconds: 9)) })
  }
}

/// What every request of these tests says of itself.
let tags = RequestTags(requestID: Identifier(high: 5, low: 6))

extension Grants {
  /// Everything that any role may do.
  static let all = allowing(Role.allCases.map { .init(role: $0) })

  static func allowing(_ rules: [TestRule]) -> Grants {
    let made = rules.enumerated().map { index, rule in
      PolicyRule(
        name: "rule-\(index)", role: rule.role, principals: [.uid(1000)], tenants: rule.tenants.map(pattern),
        keys: rule.keys.map(pattern), permissions: rule.permissions ?? rule.role.permissions)
    }
    guard let policy = try? AccessPolicy(rules: made, combinedRoles: true) else {
      preconditionFailure("a test makes good rules")
    }
    return policy.grants(to: Principal(uid: 1000, gid: 1000))
  }

  private static func pattern(_ text: String) -> NamePattern {
    guard let pattern = try? NamePattern(text) else { preconditionFailure("a test makes good patterns") }
    return pattern
  }
}

struct TestRule {
  var role = Role.application
  var tenants = ["*"]
  var keys = ["*"]
  var permissions: Set<Permission>?
}

func tenant(_ name: String) -> TenantID {
  guard let id = try? TenantID(name) else { preconditionFailure("a test names tenants well") }
  return id
}

func key(_ name: String) -> KeyName {
  guard let name = try? KeyName(name) else { preconditionFailure("a test names keys well") }
  return name
}
