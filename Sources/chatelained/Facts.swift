internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineConfiguration
internal import ChatelaineCustody
internal import ChatelaineDoors
internal import ChatelaineHardening
internal import ChatelaineKeyService
internal import ChatelaineKeyStore
internal import ChatelaineVocabulary
internal import Glibc
internal import Synchronization

/// What status says of the process and its disk.
final class Facts: Sendable {
  private let facts: Mutex<StatusFacts>
  /// Why the policy's file was not taken at the last reload; nil where it was.
  private let policyRefusal = Mutex<String?>(nil)
  /// The same of what doors on TCP are made of.
  private let tlsRefusal = Mutex<String?>(nil)
  private let service: KeyService
  private let logDirectory: FilePlace

  init(
    _ settings: ServiceConfiguration, _ keyringID: Identifier, _ measures: [Measure], _ service: KeyService,
    _ budget: DescriptorBudget
  ) throws {
    var now = StatusFacts(
      softwareVersion: Chatelained.version, started: LogClock.system.wall(), processID: UInt32(getpid()),
      keyringID: keyringID, measures: measures)
    now.warnings = Self.warnings(settings)
    if let bound = budget.sentence(settings) { now.warnings.append(bound) }
    facts = Mutex(now)
    self.service = service
    logDirectory = FilePlace(settings.log.directory)
  }

  func note(_ measure: Measure) { facts.withLock { $0.measures.append(measure) } }

  func notePolicy(refusedBecause sentence: String?) {
    let time = LogClock.system.wall().rfc3339
    let warning = sentence.map { "The policy in force is not the file's, which was refused at \(time): \($0)" }
    policyRefusal.withLock { $0 = warning }
  }

  func noteTLS(refusedBecause sentence: String?) {
    let time = LogClock.system.wall().rfc3339
    let warning = sentence.map { "The certificates in force are not the files', which were refused at \(time): \($0)" }
    tlsRefusal.withLock { $0 = warning }
  }

  func now() -> StatusFacts {
    var facts = facts.withLock { $0 }
    if let refusal = policyRefusal.withLock({ $0 }) { facts.warnings.append(refusal) }
    if let refusal = tlsRefusal.withLock({ $0 }) { facts.warnings.append(refusal) }
    let head = service.logHead
    facts.diskFreeBytes = Self.freeBytes(logDirectory.path)
    if let gone = goneFromPlace(head) { facts.warnings.append(gone) }
    facts.warnings += headWarnings()
    let now = LogClock.system.wall()
    if let log = try? FileStorage(path: logDirectory.path, for: .reading) {
      facts.growth = LogGrowth(log, upTo: head, now: now)
    }
    facts.logBytesPerDay = facts.growth?.bytesPerDay(until: now) ?? 0
    return facts
  }

  /// What of the log's heads does not go as it should.
  private func headWarnings() -> [String] {
    guard let heads = service.signedHeads else {
      return ["The log's heads are not signed: name a key in the configuration (log.signing-key)."]
    }
    var warnings: [String] = []
    if heads.areHistoriesBroken {
      warnings.append(
        "The log's older segments are not as they were written, or cannot be read: no tenants' histories are committed to. Run `chatelaine audit verify`, then restart.")
    }
    if let problem = heads.problem { warnings.append("The log's heads are not signed now: \(problem).") }
    if let failure = heads.anchorProblem {
      warnings.append("The anchor \(failure.path) cannot be written (\(failure.reason)): the newest head is in the log's directory only.")
    }
    return warnings
  }

  /// What was moved away while it is written to, and would be missed only at the next start.
  private func goneFromPlace(_ head: AuditLog.Head) -> String? {
    let path = printable(logDirectory.path)
    guard logDirectory.isHeld else {
      return "The log's directory is no longer at \(path), and entries go where nobody looks: put it back, and restart."
    }
    let segment = LogNames.segment(epoch: head.epoch.epoch, head.segment)
    guard unsafe access(logDirectory.path + "/" + segment, F_OK) != 0 else { return nil }
    return "The log's newest segment \(segment) is no longer in \(path): put it back, and restart."
  }

  private static func warnings(_ settings: ServiceConfiguration) -> [String] {
    var warnings: [String] = []
    if settings.insecureExampleKeys { warnings.append(Keyring.exampleWarning) }
    if isSameDisk(settings.keyring.directory, settings.storeDirectory) {
      warnings.append("The keyring is on the store's filesystem: a copy of that disk has both.")
    }
    return warnings
  }

  private static func isSameDisk(_ a: String, _ b: String) -> Bool {
    var (one, other) = (stat(), stat())
    return unsafe stat(a, &one) == 0 && stat(b, &other) == 0 && one.st_dev == other.st_dev
  }

  private static func freeBytes(_ path: String) -> UInt64 {
    var disk = statvfs()
    guard unsafe statvfs(path, &disk) == 0 else { return 0 }
    return UInt64(disk.f_bavail) * UInt64(disk.f_frsize)
  }
}
