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
      Exit status: 0 valid; 65 changed, removed, inserted or cut in the middle: the first bad place is named;
      2 valid up to an interrupted write at the very end; 3 nothing to verify; 66 there is no log; 74 the files \
      cannot be read; 77 they may not be read; 78 a newer version wrote the place that is named.
      """)

  @OptionGroup var log: LogOption

  @Flag(help: "Print one line of JSON.")
  var json = false

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
    let progress = try ProgressLine(total: reader.totalBytes(), label: "verifying")
    let end = try readToEnd(&reader, storage, progress)
    progress.finish()
    let verifier = reader.verifier
    let report = VerifyReport(epoch: reader.epoch, verifier: verifier, end: end)
    print(json ? JSON.object(report.fields).text : report.lines)
    if case .torn = end.tail { throw ExitCode(2) }
    if verifier.nextSequence == 0 { throw ExitCode(3) }
  }

  /// Where a service is writing, its frame under way looks torn for a moment: then look again.
  private func readToEnd(
    _ reader: inout LogReader, _ storage: FileStorage, _ progress: ProgressLine
  ) throws -> LogReader.End {
    var end = try reader.readAvailable(visit: { _ in }, progress: progress.advance)
    for _ in 0..<20 {
      guard case .torn = end.tail, storage.isBeingWritten else { return end }
      usleep(50_000)
      end = try reader.readAvailable(visit: { _ in }, progress: progress.advance)
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

  private var result: String {
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
    return fields
  }

  var lines: String {
    var lines = [
      "log        \(epoch.name)/\(epoch.logID.hex)/\(epoch.epoch)",
      "entries    \(verifier.nextSequence) in \(end.segment + 1) segments",
      "tree root  \(verifier.tree.root.hex)",
    ]
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
