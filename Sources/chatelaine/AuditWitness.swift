internal import ArgumentParser
internal import ChatelaineAuditTrail
internal import ChatelaineCustody
internal import ChatelaineExits
internal import ChatelaineOutside
internal import Glibc

/// `chatelaine audit witness`: has outside witnesses cosign the newest signed head.
struct AuditWitness: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "witness",
    abstract: "Submits the newest signed head to outside witnesses and keeps their cosignatures. Has no key.",
    discussion: """
      Each witness remembers the newest head that it cosigned and cosigns only what leads on from it (C2SP tlog-witness, \
      tlog-cosignature), so a log that was cut, put back or rewritten is found, whoever has its signing key. The policy (C2SP \
      tlog-policy) names witnesses, their public keys and submission prefixes, and how many are enough: 'witness NAME KEY \
      URL', 'group NAME 2 A B C', 'quorum NAME'. The directory gets 'cosigned', the newest head that enough have \
      cosigned, for 'audit verify --head' and whoever checks; a file for each witness; and 'alarm', as long as one stands.
      Exit status: 0 enough witnesses cosigned the newest head; 4 the log is shorter than what a witness cosigned, or it says \
      so; 5 it is another log than a witness cosigned; 9 it is longer than --alarm-after that enough witnesses cosigned the newest \
      head; 69 this time not enough did; others as with 'audit head'. With --watch it goes on whatever is found.
      """)

  @OptionGroup var log: LogOption
  @OptionGroup var key: PublicKeyOption

  @Option(help: "The policy: who the witnesses are, and how many are enough.")
  var policy: String

  @Option(help: "An existing directory that this command keeps its files in.")
  var out: String

  @Flag(help: "Go on until a signal ends it, instead of asking once.")
  var watch = false

  @Option(help: "Seconds between two rounds of --watch.")
  var interval = 60

  @Option(help: "Seconds after which a head without enough cosignatures is an alarm.")
  var alarmAfter = 900

  @Option(help: "Seconds that one question may take.")
  var timeout = 15

  @Option(help: "Trust these certificates (PEM) for https, instead of the system's.")
  var caFile: String?

  @Flag(help: "Print one line of JSON for each round.")
  var json = false

  func validate() throws {
    guard (1...86_400).contains(interval), (1...600).contains(timeout), (0...31_536_000).contains(alarmAfter) else {
      throw ValidationError("--interval takes 1 to 86400 seconds, --timeout 1 to 600, --alarm-after up to 31536000.")
    }
  }

  func run() throws {
    let (policy, asked) = try readPolicy()
    let key = try key.read()
    let lock = try WitnessFolder.lock(out)
    defer { _ = close(lock) }
    let started = wallSeconds()
    var said: [String] = []
    while true {
      let report = try round(policy, asked, key, started: started)
      try tell(report, &said)
      guard watch else {
        guard report.code == .success else { throw report.code }
        return
      }
      sleep(UInt32(interval))
    }
  }

  private func readPolicy() throws -> (WitnessPolicy, [Int: AskedWitness]) {
    let policy = try readWitnesses(self.policy)
    var asked: [Int: AskedWitness] = [:]
    for (index, witness) in policy.witnesses.enumerated() {
      guard let url = witness.url else { continue }
      do throws(WebAddress.Malformed) {
        asked[index] = AskedWitness(key: witness.key, address: try WebAddress(parsing: url))
      } catch { throw Failure(.configuration, "\(printable(self.policy)): \(printable(url)): \(error.words)") }
    }
    guard policy.quorum != .none, policy.isSatisfied(by: { asked[$0] != nil }) else {
      throw Failure(
        .configuration,
        "\(printable(self.policy)): its quorum cannot be filled by witnesses with an address: add the submission prefix behind their keys, and no 'quorum none'")
    }
    return (policy, asked)
  }

  /// With --watch what cannot be read now is a failure of this round, and no end.
  private func round(
    _ policy: WitnessPolicy, _ asked: [Int: AskedWitness], _ key: NoteKey, started: UInt64
  ) throws -> WitnessReport {
    do { return try ask(policy, asked, key, started: started) } catch {
      guard watch else { throw error }
      let sentence = (error as? EvidenceFailure)?.sentence ?? failure(error)?.sentence
      guard let sentence else { throw error }
      let verdict = (error as? EvidenceFailure)?.verdict
      return WitnessReport(failures: verdict == nil ? [sentence] : [], alarms: verdict == nil ? [] : [(sentence, nil)])
    }
  }

  private func ask(
    _ policy: WitnessPolicy, _ asked: [Int: AskedWitness], _ key: NoteKey, started: UInt64
  ) throws -> WitnessReport {
    let storage = try log.open()
    let epoch = try EpochOption.descriptor(nil, in: storage)
    let key = key.named(for: epoch)
    guard policy.logs.isEmpty || policy.logs.contains(key) else {
      throw Failure(.configuration, "\(printable(self.policy)): it names other logs than \(printable(key.name)): add a line 'log \(key.text)'")
    }
    let folder = WitnessFolder(out, key: key, epoch: epoch.epoch)
    let round = WitnessRound(
      head: try newestHead(storage, epoch, key: key, of: log.directory), storage: storage, epoch: epoch, log: log,
      folder: folder, trust: caFile, timeoutSeconds: timeout)
    if let before = try folder.cosigned(), let verdict = try round.contradiction(of: before, "Witnesses") {
      // why: what they cosigned stays where it is, the best evidence there is.
      return WitnessReport(alarms: [("\(printable(folder.cosignedPath)): \(verdict.sentence)", verdict)])
    }
    var outcomes: [Int: WitnessOutcome] = [:]
    for (index, witness) in asked.sorted(by: { $0.key < $1.key }) { outcomes[index] = try round.ask(witness) }
    let cosigned = try keepQuorum(round.head, policy, folder, outcomes)
    return WitnessReport(
      policy, outcomes, head: round.head, cosigned: cosigned,
      unanchoredMax: UInt64(alarmAfter), since: watch ? started : 0)
  }

  /// Puts together who cosigned this head, and keeps it where they are enough; gives the newest that enough cosigned.
  private func keepQuorum(
    _ head: SignedHead, _ policy: WitnessPolicy, _ folder: WitnessFolder, _ outcomes: [Int: WitnessOutcome]
  ) throws -> SignedHead? {
    var whole = head
    for (index, witness) in policy.witnesses.enumerated() {
      guard case .cosigned = outcomes[index], let state = try folder.state(of: witness.key) else { continue }
      whole = whole.adding(cosignaturesOf: witness.key, from: state) ?? whole
    }
    guard policy.time(whole) != nil else { return try folder.cosigned() }
    try folder.keep(cosigned: whole)
    return whole
  }

  // MARK: Telling

  private func tell(_ report: WitnessReport, _ said: inout [String]) throws {
    let isNew = try WitnessFolder.show(alarm: report.alarms.map(\.sentence), in: out)
    if json { print(JSON.object(report.fields).text) } else if !watch || report.lines != said { print(report.lines.joined(separator: "\n")) }
    fflush(nil)
    if report.lines != said || !watch { report.failures.forEach { printError("chatelaine: \($0)") } }
    if isNew, report.alarms.isEmpty { printError("chatelaine: the alarm is over") }
    if isNew || !watch { report.alarms.forEach { printError("chatelaine: ALARM: \($0.sentence)") } }
    said = report.lines
  }
}
