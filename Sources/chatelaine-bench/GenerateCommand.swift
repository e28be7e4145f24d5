internal import ArgumentParser
internal import ChatelaineAccessPolicy
internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineConfiguration
internal import ChatelaineCustody
internal import ChatelaineKeyService
internal import ChatelaineMeasures
internal import ChatelainePrimitives
internal import ChatelaineVocabulary
internal import Foundation

/// Makes a service's directory with many tenants and a long log, through the code that a service writes them with.
struct GenerateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "generate",
    abstract: "Makes a service's directory with many tenants and a long log.",
    discussion: """
      Each tenant has a root and one key, 'bench'; tenants are t-0000000 and so on. What an interrupted run left is \
      gone on with, if the numbers are the same.
      """)

  @Option(help: "A directory that does not exist, or one that this made.")
  var directory: String

  @Option(help: "How many tenants, each with a root and a key.")
  var tenants = 1_000_000

  @Option(help: "How many entries the log has in the end.")
  var entries = 10_000_000

  @Option(help: "Tenants of one transaction.")
  var batch = 100_000

  func validate() throws {
    guard (0...9_999_999).contains(tenants), (1...1_000_000).contains(batch), entries >= 0 else {
      throw ValidationError("At most 9,999,999 tenants, in batches of 1 to 1,000,000.")
    }
  }

  func run() throws {
    if !FileManager.default.fileExists(atPath: directory) { try output(of: Beside.command, ["init", directory]) }
    let house = try OwnHouse(at: directory)
    let start = now()
    try house.makeTenants(tenants, batch: batch)
    let middle = now()
    let written = try house.writeEntries(upTo: UInt64(entries))
    print(
      """
      \(tenants) tenants in \(short(Double(middle - start) / 1e9)) s, \(written) entries in \
      \(short(Double(now() - middle) / 1e9)) s: \(directory)
      """)
  }
}

/// A service's directory, opened here without its doors. It is never closed, so that the next start finds what a crash
/// under load leaves: no entry that says it stopped.
struct OwnHouse {
  private let service: KeyService

  init(at directory: String) throws {
    let file = directory + "/chatelaine.yaml"
    let settings = try ServiceConfiguration(ConfigurationFile.read(file), file: file, accounts: .system())
    let ring = try Keyring(at: settings.keyring.directory, .init(storePath: settings.storeDirectory))
    let policy = try PolicyFile.parse(
      ConfigurationFile.read(settings.policy), file: settings.policy, accounts: .system())
    let log = try FileStorage(path: settings.log.directory, exclusively: true)
    var options = LogOptions()
    // why: entries come faster here than the next segment is filled ahead of time; without this, all stay small.
    options.firstSegmentBytes = options.segmentBytes
    service = try KeyService.open(
      storePath: settings.store, log: log, options: options, masterKeys: ring.open(passphrase: nil), policy: policy
    ).0
  }

  /// `t-0000042`: of one length, so that requests for any of them are.
  static func tenant(_ number: Int) -> String {
    let digits = String(number)
    return "t-" + String(repeating: "0", count: 7 - digits.count) + digits
  }

  func makeTenants(_ count: Int, batch: Int) throws {
    let grants = service.grants(to: Principal(uid: getuid(), gid: getgid()))
    let caller = Caller.command(uid: getuid(), pid: UInt32(getpid()), grants: grants)
    let key = try KeyName(Requests.key)
    let progress = ProgressLines()
    for first in stride(from: 0, to: count, by: batch) {
      let ids = try (first..<min(first + batch, count)).map { try TenantID(Self.tenant($0)) }
      // why: a batch is there whole or not at all, so its last tenant tells.
      if let last = ids.last, (try? service.openKey(key, of: last)) != nil { continue }
      _ = try service.createTenants(ids, eachWithKey: key, by: caller, RequestTags())
      progress.show("\(short(Double(first + ids.count))) of \(short(Double(count))) tenants")
    }
    progress.end()
  }

  /// Entries as uses of keys leave them, until the log has `count`. Gives how many were written.
  func writeEntries(upTo count: UInt64) throws -> UInt64 {
    let drafts = (0..<Limits.frameEntriesMax).map { EntryDraft(Self.use($0)) }
    let progress = ProgressLines()
    let first = service.logHead.nextSequence
    var (next, told) = (first, first)
    while next < count {
      let receipt = try service.append(Array(drafts.prefix(Int(clamping: count - next))))
      next = receipt.firstSequence + UInt64(receipt.leafHashes.count)
      guard next >= told + 500_000 else { continue }
      told = next
      progress.show("\(short(Double(told))) of \(short(Double(count))) entries")
    }
    progress.end()
    return next - first
  }

  private static func use(_ number: Int) -> AuditEntry {
    var entry = AuditEntry(.keyUse, number.isMultiple(of: 3) ? .decrypt : .encrypt)
    entry.outcome = .ok
    entry.wall = LogClock.system.wall()
    entry.bootNanoseconds = LogClock.system.bootNanoseconds()
    entry.door = .data
    entry.tenant = try? TenantID(tenant(number))
    entry.keyName = try? KeyName(Requests.key)
    entry.keyVersion = 1
    entry.masterVersion = 1
    entry.keyID = SecureRandom.identifier()
    entry.requestID = SecureRandom.identifier()
    entry.principalKind = .uid
    entry.principal = Array("uid:1000".utf8)
    entry.rule = Array("applications".utf8)
    entry.role = Array("application".utf8)
    entry.items = [.init(outcome: .ok, byteCount: 100, contextDigest: .zero)]
    return entry
  }
}
