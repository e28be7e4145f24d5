internal import ArgumentParser
internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineVocabulary
internal import Glibc

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
      signed over; 6 the heads are of another key.
      """)

  @OptionGroup var log: LogOption

  @Option(help: "Check signed heads under this public key, or the one in this file: all that lie beside the log.")
  var key: String?

  @Option(help: "And this one, in a file, that was kept elsewhere.")
  var head: String?

  @Flag(help: "Print one line of JSON.")
  var json = false

  func validate() throws {
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
    var reader = try LogReader(storage)
    let heads = try key.map { try HeadsAgainstLog(storage, key: readPublicKey($0), kept: head) }
    heads?.watch(&reader)
    let progress = try ProgressLine(total: reader.totalBytes(), label: "verifying")
    var histories = TenantHeadsCheck()
    let end = try readToEnd(&reader, storage, progress, &histories)
    progress.finish()
    let verifier = reader.verifier
    var verdict = heads?.verdict(entries: verifier.nextSequence)
    if verdict ?? .valid == .valid, histories.wrong != nil { verdict = histories.verdict }
    let report = VerifyReport(
      epoch: reader.epoch, verifier: verifier, end: end, heads: heads, histories: histories, verdict: verdict)
    print(json ? JSON.object(report.fields).text : report.lines)
    if let verdict, verdict != .valid { throw EvidenceFailure(verdict, of: log.directory) }
    if case .torn = end.tail { throw ExitCode(2) }
    if verifier.nextSequence == 0 { throw ExitCode(3) }
  }

  /// Where a service is writing, its frame under way looks torn for a moment: then look again.
  private func readToEnd(
    _ reader: inout LogReader, _ storage: FileStorage, _ progress: ProgressLine, _ histories: inout TenantHeadsCheck
  ) throws -> LogReader.End {
    var end = try reader.readAvailable(visit: { histories.take($0) }, progress: progress.advance)
    for _ in 0..<20 {
      guard case .torn = end.tail, storage.isBeingWritten else { return end }
      usleep(50_000)
      end = try reader.readAvailable(visit: { histories.take($0) }, progress: progress.advance)
    }
    return end
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

/// What a verification found.
private struct VerifyReport {
  let epoch: EpochDescriptor
  let verifier: ChainVerifier
  let end: LogReader.End
  /// Where signed heads were held against it, and what came of it.
  let heads: HeadsAgainstLog?
  let histories: TenantHeadsCheck
  let verdict: EvidenceVerdict?

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
    if let heads { fields += [("headsChecked", .number(heads.checked)), ("headEntries", .number(heads.newest))] }
    fields.append(("tenantHeadsChecked", .number(histories.checked)))
    if let wrong = histories.wrong { fields.append(("sequence", .number(wrong))) }
    if let reason = verdict?.reason { fields.append(("reason", .string(reason))) }
    return fields
  }

  var lines: String {
    var lines = [
      "log        \(epoch.name)/\(epoch.logID.hex)/\(epoch.epoch)",
      "entries    \(verifier.nextSequence) in \(end.segment + 1) segments",
      "tree root  \(verifier.tree.root.hex)",
    ]
    if let heads { lines.append("heads      \(heads.checked) hold, the newest over \(heads.newest) entries") }
    if histories.checked > 0 { lines.append("histories  \(histories.checked) commitments to all tenants' histories hold") }
    if let verdict, verdict != .valid { return lines.joined(separator: "\n") }
    switch end.tail {
    case .clean:
      lines.append(verifier.nextSequence == 0 ? "EMPTY: there is nothing to verify" : "VALID: every entry is as it was written")
    case .torn(let count, let fault):
      let last = verifier.nextSequence == 0 ? "no entry" : "entry \(verifier.nextSequence - 1)"
      lines.append(
        "VALID up to \(last), then an interrupted write: \(count) bytes in \(end.segmentFile) at offset \(end.offset) (\(fault.sentence))")
    }
    return lines.joined(separator: "\n")
  }
}
