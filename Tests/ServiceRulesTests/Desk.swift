import ChatelaineAccessPolicy
import ChatelaineAuditLog
import ChatelaineAuditTrail
import ChatelaineCustody
import ChatelaineKeyService
import ChatelainePrimitives
import ChatelaineSecretMemory
import ChatelaineVocabulary
import Foundation
import GRDB

/// Keyring, store and log of one test, on real files that go away with it.
final class Desk {
  let directory: URL
  let tenant: TenantID
  let key: KeyName
  private let masterKeys: MasterKeySet

  /// With tenant `acme` and its key `records`.
  init() throws {
    directory = FileManager.default.temporaryDirectory.appending(path: "chatelaine-\(UUID().uuidString)")
    for name in ["log", "store"] {
      try FileManager.default.createDirectory(
        at: directory.appending(path: name), withIntermediateDirectories: true)
    }
    (tenant, key) = (try TenantID("acme"), try KeyName("records"))
    let ring = directory.appending(path: "keyring").path
    _ = try Keyring.create(
      at: ring, .init(), .init(seal: .file, created: .init(nanoseconds: 7)), passphrase: nil)
    masterKeys = try Keyring(at: ring).open(passphrase: nil)
    try KeyService.initialize(
      storePath: path("store/db"), log: storage(), logName: "rules", options: Self.options,
      masterKeys: masterKeys, caller: Self.caller())
    try running { service in
      _ = try service.createTenant(tenant, by: Self.caller(), RequestTags())
      _ = try service.createKey(key, of: tenant, by: Self.caller(), RequestTags())
    }
  }

  deinit { try? FileManager.default.removeItem(at: directory) }

  static var options: LogOptions {
    var options = LogOptions()
    (options.firstSegmentBytes, options.segmentBytes) = (1 << 18, 1 << 18)
    (options.frameBytesMax, options.alignment) = (1 << 17, 512)
    return options
  }

  /// May do everything.
  static func caller() -> Caller {
    let rules = Role.allCases.map { role in
      PolicyRule(name: role.rawValue, role: role, principals: [.uid(1000)], permissions: role.permissions)
    }
    let policy = (try? AccessPolicy(rules: rules, combinedRoles: true)) ?? .empty
    return .command(uid: 1000, pid: 1, grants: policy.grants(to: Principal(uid: 1000, gid: 1000)))
  }

  func path(_ name: String) -> String { directory.appending(path: name).path }

  func storage() throws -> FileStorage { try FileStorage(path: path("log"), exclusively: true) }

  /// Opens the service, works with it, closes it.
  func running<Value>(_ body: (KeyService) throws -> Value) throws -> Value {
    let (service, _) = try KeyService.open(
      storePath: path("store/db"), log: storage(), options: Self.options, masterKeys: masterKeys)
    defer { service.close() }
    return try body(service)
  }

  /// Why the service does not start, or nil where it does.
  func refusalToStart() -> StartError? {
    do {
      try running { _ in }
      return nil
    } catch { return error as? StartError }
  }

  /// Runs SQL on the closed store as somebody with a shell would.
  func sql(_ statements: String...) throws {
    let database = try DatabaseQueue(path: path("store/db"))
    try database.writeWithoutTransaction { for statement in statements { try $0.execute(sql: statement) } }
    try database.close()
  }

  /// Puts a copy of the directory `store` or `log` aside, or back.
  func copy(_ name: String, to newName: String) throws {
    try? FileManager.default.removeItem(atPath: path(newName))
    try FileManager.default.copyItem(atPath: path(name), toPath: path(newName))
  }

  /// Every file below the log's directory that holds something.
  func logFiles() throws -> [String: Data] {
    var files: [String: Data] = [:]
    for name in try FileManager.default.subpathsOfDirectory(atPath: path("log")) {
      if let data = try? Data(contentsOf: URL(filePath: path("log/" + name))), !data.isEmpty {
        files[name] = data
      }
    }
    return files
  }

  /// The log's entries, as an auditor reads them.
  func entries() throws -> [AuditEntry] {
    var reader = try LogReader(FileStorage(path: path("log"), exclusively: false))
    var entries: [AuditEntry] = []
    _ = try reader.readAvailable { bytes in
      if let entry = try? AuditEntry(parsing: bytes) { entries.append(entry) }
    }
    return entries
  }
}

extension DataPath {
  func encrypt(
    _ text: String, for desk: Desk, under key: KeyName? = nil, _ context: EncryptionContext = .empty,
    in service: KeyService
  ) throws -> [UInt8] {
    let bytes = Array(text.utf8)
    return try answer(room: bytes.count + 96, in: service) { output in
      bytes.span.withRawSpan {
        encrypt(
          $0, under: key ?? desk.key, of: desk.tenant, context: context, by: Desk.caller(), RequestTags(),
          appendingTo: &output)
      }
    }.get()
  }

  /// The refusal of an envelope, or nil where it opens.
  func refusal(
    _ envelope: [UInt8], for desk: Desk, _ context: EncryptionContext = .empty, in service: KeyService
  ) throws -> ServiceError? {
    let answer = try answer(room: envelope.count, in: service) { output in
      decrypt(
        envelope.span, of: desk.tenant, context: context, by: Desk.caller(), RequestTags(),
        appendingTo: &output)
    }
    guard case .failure(let error) = answer else { return nil }
    return error
  }

  /// Makes a call until its key is at hand, and waits for its entry.
  private func answer(
    room: Int, in service: KeyService, _ call: (inout OutputRawSpan) -> Turn
  ) throws -> Result<[UInt8], ServiceError> {
    while true {
      var turn: Turn?
      let output = [UInt8](rawCapacity: room) { turn = call(&$0) }
      switch turn {
      case .needs(let request): keep(service.load(request))
      case .done(let attempt):
        _ = try service.append([attempt.draft])
        return attempt.failure.map { .failure($0) } ?? .success(output)
      case nil: preconditionFailure("not called")
      }
    }
  }
}
