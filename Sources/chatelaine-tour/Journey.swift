internal import ArgumentParser
internal import ChatelaineAccessPolicy
internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineCustody
internal import ChatelaineKeyService
internal import ChatelaineKeyStore
internal import ChatelainePrimitives
internal import ChatelaineSecretMemory
internal import ChatelaineVocabulary
internal import Glibc

/// The service of the tour, and what is done with it.
final class Journey {
  struct Tenant {
    let id: TenantID
    let key: KeyName
    let suite: Suite
  }

  /// Calls whose entries become durable together.
  private static let batch = 256

  let acme: Tenant
  let globex: Tenant
  private(set) var lastRate = ""
  private let service: KeyService
  private let path: DataPath
  private let caller: Caller

  init(directory: String) throws {
    acme = Tenant(id: try TenantID("acme"), key: try KeyName("documents"), suite: .aes256GCM)
    globex = Tenant(id: try TenantID("globex"), key: try KeyName("fields"), suite: .xchacha20Poly1305)
    caller = try Self.makeCaller()
    try KeyService.selfTest()
    for folder in ["/log", "/store"] {
      guard unsafe mkdir(directory + folder, 0o700) == 0 else {
        throw ValidationError("\(directory)\(folder) cannot be made: give an empty directory")
      }
    }
    let rules = Keyring.Rules(storePath: directory + "/store")
    let master = try Keyring.create(
      at: directory + "/keyring", rules, .init(seal: .file, created: LogClock.system.wall()), passphrase: nil)
    let keys = try Keyring(at: directory + "/keyring", rules).open(passphrase: nil)
    precondition(keys.newest.keyCheckValue == master.keyCheckValue, "the keyring gives back another key")
    let storage = try FileStorage(path: directory + "/log", exclusively: true)
    let store = directory + "/store/keys.sqlite"
    try KeyService.initialize(
      storePath: store, log: storage, logName: "tour", masterKeys: keys, caller: caller)
    service = try KeyService.open(storePath: store, log: storage, masterKeys: keys).0
    path = try DataPath(service)
  }

  var generation: UInt64 { service.storeHead.generation }

  func makeTenants() throws {
    for tenant in [acme, globex] {
      _ = try service.createTenant(tenant.id, by: caller, RequestTags())
      _ = try service.createKey(tenant.key, of: tenant.id, suite: tenant.suite, by: caller, RequestTags())
    }
  }

  func rotate(_ tenant: Tenant) throws -> UInt32 {
    try service.rotateKey(tenant.key, of: tenant.id, by: caller, RequestTags())
  }

  func close() { service.close() }

  /// Encrypts each text; nothing of a batch is used before its entries are durable.
  func encrypt(_ texts: [[UInt8]], for tenant: Tenant) throws -> [[UInt8]] {
    var envelopes: [[UInt8]] = []
    try timed(texts) { batch in
      var attempts: [DataPath.Attempt] = []
      var results: [[UInt8]] = []
      for text in batch {
        results.append(
          [UInt8](rawCapacity: text.count + 96) { output in
            attempts.append(
              encrypt(text, for: tenant, into: &output))
          })
      }
      try note(attempts)
      if let failure = attempts.lazy.compactMap(\.failure).first { throw failure }
      envelopes += results
    }
    return envelopes
  }

  private func encrypt(_ text: [UInt8], for tenant: Tenant, into output: inout OutputRawSpan)
    -> DataPath.Attempt
  {
    while true {
      let turn = unsafe path.encrypt(
        text.span.bytes, under: tenant.key, of: tenant.id, context: .empty, by: caller, RequestTags(),
        appendingTo: &output)
      switch turn {
      case .done(let attempt): return attempt
      case .needs(let request): path.keep(service.load(request))
      }
    }
  }

  /// Decrypts each envelope and compares it with its text.
  func expect(_ envelopes: [[UInt8]], toOpenTo texts: [[UInt8]], for tenant: Tenant) throws {
    var index = 0
    try timed(envelopes) { batch in
      var attempts: [DataPath.Attempt] = []
      for envelope in batch {
        let secret = SecretBytes(count: max(1, envelope.count - 96)) { output in
          attempts.append(decrypt(envelope, for: tenant, into: &output))
          if envelope.count == 96 { unsafe output.append(0, as: UInt8.self) }
        }
        let text = texts[index].isEmpty ? [0] : texts[index]
        guard secret.withBytes({ constantTimeEqual(Span(_bytes: $0), text.span) }) else {
          fatalError("another plaintext")
        }
        index += 1
      }
      try note(attempts)
    }
  }

  private func decrypt(
    _ envelope: [UInt8], for tenant: Tenant, into output: inout OutputRawSpan
  ) -> DataPath.Attempt {
    while true {
      let turn = path.decrypt(
        envelope.span, of: tenant.id, context: .empty, by: caller, RequestTags(), appendingTo: &output)
      switch turn {
      case .done(let attempt): return attempt
      case .needs(let request): path.keep(service.load(request))
      }
    }
  }

  /// The code that a tenant gets for an envelope that is not its own.
  func refusal(_ envelope: [UInt8], for tenant: Tenant) throws -> String {
    var attempts: [DataPath.Attempt] = []
    let opened = [UInt8](rawCapacity: envelope.count) { output in
      attempts.append(decrypt(envelope, for: tenant, into: &output))
    }
    try note(attempts)
    guard opened.isEmpty, let failure = attempts[0].failure else {
      fatalError("another tenant's envelope was opened")
    }
    return failure.code.rawValue
  }

  private func note(_ attempts: [DataPath.Attempt]) throws { _ = try service.append(attempts.map(\.draft)) }

  private func timed(_ inputs: [[UInt8]], _ body: (ArraySlice<[UInt8]>) throws -> Void) throws {
    let start = LogClock.system.bootNanoseconds()
    for first in stride(from: 0, to: inputs.count, by: Self.batch) {
      try body(inputs[first..<min(first + Self.batch, inputs.count)])
    }
    path.scrub()
    let seconds = Double(LogClock.system.bootNanoseconds() - start) / 1e9
    let bytes = inputs.reduce(0) { $0 + $1.count }
    lastRate =
      "\(bytes / 1024) KiB, \(Int(Double(inputs.count) / seconds)) a second, each durable in the log first"
  }

  /// Whoever runs the tour may do everything.
  private static func makeCaller() throws -> Caller {
    let everyone = PrincipalPattern.uid(getuid())
    let rules = [Role.application, .operator].map { role in
      PolicyRule(name: role.rawValue, role: role, principals: [everyone], permissions: role.permissions)
    }
    let policy = try AccessPolicy(rules: rules, combinedRoles: true)
    return .command(
      uid: getuid(), pid: UInt32(getpid()), grants: policy.grants(to: Principal(uid: getuid(), gid: getgid()))
    )
  }
}
