internal import ArgumentParser
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

  init(directory: String) throws {
    acme = Tenant(id: try TenantID("acme"), key: try KeyName("documents"), suite: .aes256GCM)
    globex = Tenant(id: try TenantID("globex"), key: try KeyName("fields"), suite: .xchacha20Poly1305)
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
    try KeyService.initialize(storePath: store, log: storage, logName: "tour", masterKeys: keys, caller: Self.caller())
    service = try KeyService.open(storePath: store, log: storage, masterKeys: keys).0
    path = try DataPath(service)
  }

  var generation: UInt64 { service.storeHead.generation }

  func makeTenants() throws {
    for tenant in [acme, globex] {
      _ = try service.createTenant(tenant.id, by: Self.caller())
      _ = try service.createKey(tenant.key, of: tenant.id, suite: tenant.suite, by: Self.caller())
    }
  }

  func rotate(_ tenant: Tenant) throws -> UInt32 {
    try service.rotateKey(tenant.key, of: tenant.id, by: Self.caller())
  }

  func close() { service.close() }

  /// Encrypts each text; an envelope leaves its `Withheld` only with the receipt of its batch.
  func encrypt(_ texts: [[UInt8]], for tenant: Tenant) throws -> [[UInt8]] {
    var envelopes: [[UInt8]] = []
    try timed(texts) { batch in
      let prepared = batch.map { text in
        text.span.withRawSpan { text in
          Call(path.encrypt(text, under: tenant.key, of: tenant.id, context: .empty, by: Self.caller()))
        }
      }
      let receipt = try service.append(prepared.map(\.draft))
      for call in prepared { envelopes.append(try call.release(receipt).get()) }
    }
    return envelopes
  }

  /// Decrypts each envelope and compares it with its text.
  func expect(_ envelopes: [[UInt8]], toOpenTo texts: [[UInt8]], for tenant: Tenant) throws {
    var index = 0
    try timed(envelopes) { batch in
      let prepared = batch.map { envelope in
        Call(path.decrypt(envelope.span, of: tenant.id, context: .empty, by: Self.caller()))
      }
      let receipt = try service.append(prepared.map(\.draft))
      for call in prepared {
        switch call.release(receipt) {
        case .plaintext(let plaintext): guard matches(plaintext, texts[index]) else { fatalError("another plaintext") }
        case .refused(let error): throw error
        }
        index += 1
      }
    }
  }

  /// The code that a tenant gets for an envelope that is not its own.
  func refusal(_ envelope: [UInt8], for tenant: Tenant) throws -> String {
    let prepared = path.decrypt(envelope.span, of: tenant.id, context: .empty, by: Self.caller())
    let receipt = try service.append([prepared.draft])
    switch prepared.release(receipt) {
    case .plaintext: fatalError("another tenant's envelope was opened")
    case .refused(let error): return error.code.rawValue
    }
  }

  private func matches(_ plaintext: consuming SecretBytes?, _ text: [UInt8]) -> Bool {
    guard let secret = consume plaintext else { return text.isEmpty }
    return secret.withBytes { constantTimeEqual(Span(_bytes: $0), text.span) }
  }

  private func timed(_ inputs: [[UInt8]], _ body: (ArraySlice<[UInt8]>) throws -> Void) throws {
    let start = LogClock.system.bootNanoseconds()
    for first in stride(from: 0, to: inputs.count, by: Self.batch) {
      try body(inputs[first..<min(first + Self.batch, inputs.count)])
    }
    path.scrub()
    let seconds = Double(LogClock.system.bootNanoseconds() - start) / 1e9
    let bytes = inputs.reduce(0) { $0 + $1.count }
    lastRate = "\(bytes / 1024) KiB, \(Int(Double(inputs.count) / seconds)) a second, each durable in the log first"
  }

  private static func caller() -> Caller {
    .command(uid: getuid(), pid: UInt32(getpid()), requestID: SecureRandom.identifier())
  }
}

/// A prepared call, to be kept in an array until its receipt is there.
private final class Call<Value: ~Copyable> {
  let draft: EntryDraft
  private var prepared: DataPath.Prepared<Value>?

  init(_ prepared: consuming DataPath.Prepared<Value>) {
    draft = prepared.draft
    self.prepared = consume prepared
  }

  func release(_ receipt: borrowing AuditReceipt) -> Value {
    guard let value = prepared.take() else { preconditionFailure("released twice") }
    return value.release(receipt)
  }
}
