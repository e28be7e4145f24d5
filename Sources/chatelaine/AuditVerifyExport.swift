internal import ArgumentParser
internal import ChatelaineAuditTrail
internal import ChatelaineCustody
internal import ChatelaineExits
internal import ChatelaineVocabulary
internal import Glibc

/// `chatelaine audit verify-export`: whether an export has all of a tenant's entries, with nothing but the public key.
struct AuditVerifyExport: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify-export",
    abstract: "Checks that an export has every entry of its tenant, with the public key and nothing else.",
    discussion: evidenceCodesHelp)

  @Argument(help: "The export's directory.", completion: .directory)
  var directory: String

  @OptionGroup var key: PublicKeyOption

  @Option(help: "It must be the history of this tenant.")
  var tenant: String?

  @Flag(help: "Print one line of JSON.")
  var json = false

  @Flag(help: "Once everything holds, print the entries, as 'audit show' does.")
  var show = false

  func validate() throws {
    guard !json || !show else { throw ValidationError("--json and --show do not go together.") }
  }

  func run() throws {
    let key = try key.read()
    var (verdict, cover) = try verdict(under: key) { _ in }
    if show, verdict == .valid {
      let output = LineBuffer()
      // why: what is printed is checked, too: the files may be others by now.
      (verdict, cover) = try self.verdict(under: key) { line in
        guard let entry = HistoryLine.decode(line), let parsed = try? AuditEntry(parsing: entry.span) else { return }
        output.append(parsed.line())
      }
      output.flush()
      if output.hasFailed { throw outputFailure }
    }
    if json {
      let reason: [(String, JSON)] = verdict.reason.map { [("reason", .string($0))] } ?? []
      print(JSON.object([("result", .string(verdict.word))] + reason + (verdict == .valid ? cover?.fields ?? [] : [])).text)
    } else if verdict == .valid, let cover {
      print(cover.lines)
    }
    guard verdict == .valid else { throw EvidenceFailure(verdict, of: directory) }
  }

  private func verdict(
    under key: NoteKey, visit: ([UInt8]) -> Void
  ) throws -> (EvidenceVerdict, HistoryCheck.Cover?) {
    if let missing = try missing() { return (missing, nil) }
    let bytes = try InputFile(directory + "/" + HistoryFiles.proof).readAll(atMost: HistoryProof.byteCountMax)
    guard let bytes else { return (ProofMalformed.tooLong.verdict, nil) }
    var check: HistoryCheck
    do {
      check = try HistoryCheck(HistoryProof(parsing: bytes), key: key)
    } catch let error as ProofMalformed { return (error.verdict, nil) } catch let error as HistoryFault {
      return (error.verdict, nil)
    }
    let isWhole = try readEntries(&check, visit)
    let verdict = check.verdict(isWhole: isWhole)
    let cover = check.cover
    if verdict == .valid, let tenant, !tenant.utf8.elementsEqual(cover.tenant) {
      return (.tampered("it is the history of tenant \(cover.tenantText)"), cover)
    }
    return (verdict, cover)
  }

  private func missing() throws(Failure) -> EvidenceVerdict? {
    var status = stat()
    guard unsafe stat(directory, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
      throw Failure(.noInput, "\(printable(directory)): there is no such directory: name that of an export")
    }
    switch (HistoryFiles.has(HistoryFiles.proof, in: directory), HistoryFiles.has(HistoryFiles.entries, in: directory)) {
    case (true, true): return nil
    case (true, false): return .truncated("it has no \(HistoryFiles.entries)")
    case (false, true): return .truncated("it was not finished: it has no \(HistoryFiles.proof)")
    case (false, false): return .nothing
    }
  }

  /// Whether the last line ends in a newline.
  private func readEntries(_ check: inout HistoryCheck, _ visit: ([UInt8]) -> Void) throws -> Bool {
    let file = try InputFile(directory + "/" + HistoryFiles.entries)
    let progress = ProgressLine(total: file.byteCount ?? 0, label: "verifying")
    var reader = LineReader(file, lineBytesMax: HistoryLine.byteCountMax)
    var isWhole = true
    while let batch = try reader.next() {
      // why: what is too long for a line is none, however it ends; another that was cut says nothing.
      isWhole = batch.isTerminated || batch.isTooLong
      for (index, line) in batch.lines.dropLast(isWhole ? 0 : 1).enumerated() {
        check.take(line, number: batch.firstNumber + index)
        visit(line)
      }
      progress.advance(UInt64(batch.byteCount))
    }
    progress.finish()
    return isWhole
  }
}

extension HistoryCheck.Cover {
  fileprivate var tenantText: String { String(decoding: tenant, as: UTF8.self) }

  fileprivate var fields: [(String, JSON)] {
    [
      ("tenant", .string(tenantText)), ("entries", .number(entries)), ("lastSequence", .number(lastSequence)),
      ("completeBelow", .number(size)), ("commitment", .number(commitment)), ("committed", .string(committed.rfc3339)),
      ("origin", .string(head.origin)), ("headEntries", .number(head.size)),
    ]
  }

  fileprivate var lines: String {
    """
    VALID: these \(entries) entries are all that tenant \(tenantText) has up to entry \(size - 1) of log \(head.origin)
    last       entry \(lastSequence)
    committed  by entry \(commitment), at \(committed.rfc3339) by the service's clock
    head       over \(head.size) entries
    """
  }
}
