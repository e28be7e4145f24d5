internal import ArgumentParser
internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineVocabulary

/// `chatelaine audit verify`: recomputes every link, tree hash, trailer and seal from the raw bytes.
struct AuditVerify: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Recomputes the whole log from its bytes. Needs no key and no service.",
    discussion: """
      Exit status: 0 valid; 65 changed, removed, inserted or cut in the middle, or an entry commits to other histories \
      of the tenants than the log has: the first bad place is named; \
      2 valid up to an interrupted write at the very end; 3 nothing to verify; 66 there is no log; 74 the files \
      cannot be read; 77 they may not be read; 78 a newer version wrote the place that is named. With --key also: 4 the \
      log ends before a signed head: it was cut off, or an old copy was put back; 5 it has other entries than a head was \
      signed over; 6 the heads are of another key; 8 witnesses that were asked for did not cosign. Epochs of the log are \
      verified one after the other; a loss that was acknowledged between two of them is named, and no fault. All cores \
      that the process may use work on it.
      """)

  @OptionGroup var log: LogOption

  @Option(help: "Check signed heads under this public key, or the one in this file: the newest beside the log, and every published one.")
  var key: String?

  @Option(help: "And this one, in a file, that was kept elsewhere.")
  var head: String?

  @OptionGroup var witness: WitnessOption

  @Flag(help: "Print one line of JSON.")
  var json = false

  func validate() throws {
    guard witness.given.isEmpty || head != nil else {
      throw ValidationError("What witnesses cosigned is a head that was kept: give --head.")
    }
    guard head == nil || key != nil else { throw ValidationError("A head is checked under a key: give --key.") }
  }

  func run() throws {
    do { try verify() } catch let error as LogError {
      if json {
        switch error {
        case .corrupt(let fault, let file): print(JSON.object(fault.fields("tampered", in: file)).text)
        case .unsupported(let fault, let file): print(JSON.object(fault.fields("newer", in: file)).text)
        case .noLog, .storage: break
        }
      }
      throw error
    }
  }

  private func verify() throws {
    let storage = try log.open()
    let epochs = try LogEpochs(storage)
    let heads = try key.map { try HeadsOfEpochs(storage, epochs, key: readPublicKey($0), kept: head, witness: witness) }
    let progress = try ProgressLine(total: epochs.totalBytes(storage), label: "verifying")
    var histories = TenantHeadsCheck()
    let readings: [EpochReading]
    do {
      readings = try epochs.readAll(
        storage, ahead: .allCores, prepare: { try heads?.watch(&$0) }, visit: { histories.take($1) }, progress: progress.advance)
    } catch let error as LogError {
      // why: an entry that lies stands before whatever ended the reading, and a frame behind it must not hide it.
      guard let wrong = histories.wrong else { throw error }
      if json { print(JSON.object(histories.fields(of: wrong)).text) }
      throw EvidenceFailure(histories.verdict, of: log.directory)
    }
    progress.finish()
    let verdict = histories.wrong == nil ? try heads?.verdict(readings) : histories.verdict
    let report = VerifyReport(readings: readings, heads: heads, histories: histories, verdict: verdict)
    print(json ? JSON.object(report.fields).text : report.lines)
    if let verdict, verdict != .valid { throw EvidenceFailure(verdict, of: log.directory) }
    if case .torn = report.end.tail { throw ExitCode(2) }
    if report.verifier.nextSequence == 0 { throw ExitCode(3) }
  }
}

extension LogFault {
  /// What `--json` says of a log that is not as it was written.
  fileprivate func fields(_ result: String, in file: String) -> [(String, JSON)] {
    let place: [(String, JSON)] = [
      ("result", .string(result)), ("file", .string(file)), ("segment", .number(segment)), ("offset", .number(offset)),
    ]
    return place + (sequence.map { [("sequence", .number($0))] } ?? []) + [("reason", .string(sentence))]
  }
}

extension TenantHeadsCheck {
  /// What `--json` says where the log cannot be read to its end behind it.
  fileprivate func fields(of wrong: UInt64) -> [(String, JSON)] {
    [("result", .string(verdict.word)), ("sequence", .number(wrong))] + (verdict.reason.map { [("reason", .string($0))] } ?? [])
  }
}

/// What a verification found.
private struct VerifyReport {
  /// Of every epoch, oldest first.
  let readings: [EpochReading]
  /// Where signed heads were held against it, and what came of it.
  let heads: HeadsOfEpochs?
  let histories: TenantHeadsCheck
  let verdict: EvidenceVerdict?

  private var newest: EpochReading { readings[readings.count - 1] }
  private var epoch: EpochDescriptor { newest.epoch }
  var verifier: ChainVerifier { newest.reader.verifier }
  var end: LogReader.End { newest.end }

  private var result: String {
    if let verdict, verdict != .valid { return verdict.word }
    if case .torn = end.tail { return "torn" }
    return verifier.nextSequence == 0 ? "empty" : "valid"
  }

  var fields: [(String, JSON)] {
    var fields: [(String, JSON)] = [
      ("result", .string(result)), ("logId", .string(epoch.logID.hex)), ("name", .string(epoch.name)),
      ("epoch", .number(UInt64(epoch.epoch))), ("entries", .number(verifier.nextSequence)),
      ("segments", .number(end.segment + 1)), ("treeRoot", .string(verifier.tree.root.hex)),
      ("lastLeafHash", .string(verifier.previousLeaf.hex)),
    ]
    if case .torn(let count, let fault) = end.tail {
      fields += [
        ("tornFile", .string(end.segmentFile)), ("tornOffset", .number(end.offset)), ("tornBytes", .number(count)),
        ("tornReason", .string(fault.sentence)),
      ]
    }
    if let heads {
      fields += [
        ("headsChecked", .number(heads.checked)), ("headEntries", .number(heads.newest)), ("headsLost", .number(heads.lost)),
      ]
    }
    fields.append(("epochs", .array(readings.map { .object($0.fields) })))
    fields.append(("tenantHeadsChecked", .number(histories.checked)))
    if let wrong = histories.wrong { fields.append(("sequence", .number(wrong))) }
    if let reason = verdict?.reason { fields.append(("reason", .string(reason))) }
    return fields
  }

  var lines: String {
    var lines = ["log        \(epoch.origin)"] + readings.dropLast().map(\.line) + readings.compactMap(\.lossLine) + [
      "entries    \(verifier.nextSequence) in \(end.segment + 1) segments",
      "tree root  \(verifier.tree.root.hex)",
    ]
    if let heads { lines.append("heads      \(heads.checked) hold, the newest over \(heads.newest) entries") }
    if let lost = heads?.lost, lost > 0 { lines.append("heads      \(lost) over entries that are lost") }
    if histories.checked > 0 { lines.append("histories  \(histories.checked) commitments to all tenants' histories hold") }
    if let verdict, verdict != .valid { return lines.joined(separator: "\n") }
    switch end.tail {
    case .clean:
      lines.append(verifier.nextSequence == 0 ? "EMPTY: there is nothing to verify" : valid)
    case .torn(let count, let fault):
      let last = verifier.nextSequence == 0 ? "no entry" : "entry \(verifier.nextSequence - 1)"
      lines.append(
        "VALID up to \(last), then an interrupted write: \(count) bytes in \(end.segmentFile) at offset \(end.offset) (\(fault.sentence))")
    }
    return lines.joined(separator: "\n")
  }
  private var valid: String {
    readings.count == 1
      ? "VALID: every entry is as it was written"
      : "VALID but for what is lost, which was acknowledged: every entry that is there is as it was written"
  }
}

extension EpochReading {
  /// An epoch that another one follows.
  fileprivate var line: String {
    let root = reader.verifier.tree.root.hex
    guard case .torn(let count, _) = end.tail else { return "epoch \(epoch.epoch)    \(entries) entries, tree root \(root)" }
    return "epoch \(epoch.epoch)    \(entries) entries, then an interrupted write of \(count) bytes, tree root \(root)"
  }

  fileprivate var lossLine: String? {
    guard let link, let acknowledgement else { return nil }
    let who = EntryText.escaped(acknowledgement.principal)
    return "lost       \(link.lost.words): acknowledged by \(who) at \(acknowledgement.wall.rfc3339)"
  }

  fileprivate var fields: [(String, JSON)] {
    var fields: [(String, JSON)] = [
      ("epoch", .number(UInt64(epoch.epoch))), ("treeSize", .number(entries)),
      ("treeRoot", .string(reader.verifier.tree.root.hex)),
    ]
    guard let link, let acknowledgement else { return fields }
    fields += [
      ("lost", .string(link.lost.text)), ("acknowledgedBy", .string(EntryText.escaped(acknowledgement.principal))),
      ("acknowledgedAt", .string(acknowledgement.wall.rfc3339)),
    ]
    return fields
  }
}
