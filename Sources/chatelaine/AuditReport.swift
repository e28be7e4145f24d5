internal import ArgumentParser
internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineCustody
internal import ChatelaineExits
internal import ChatelaineVocabulary

/// `chatelaine audit report`: what a log says, on one page for people, with the result of its verification.
struct AuditReport: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report", abstract: "Writes one self-contained HTML page about the log. Needs no key and no service.",
    discussion: """
      The whole log is verified on the way; a page is written also where it was tampered with, and says so: its figures \
      are then those of the entries before the first bad place. Exit status: as of `audit verify`.
      """)

  @OptionGroup var log: LogOption

  @Option(help: "The page's file.", completion: .file())
  var out: String

  func run() throws {
    let file = try OutputFile(out, isSecret: false)
    var reader = try LogReader(try log.open())
    var summary = LogSummary()
    var histories = TenantHeadsCheck()
    let progress = try ProgressLine(total: reader.totalBytes(), label: "reading")
    var result = ReportPage.Result.valid
    var failure: LogError?
    do throws(LogError) {
      let end = try reader.readAvailable(
        visit: { bytes in
          histories.take(bytes)
          if let entry = try? AuditEntry(parsing: bytes) { summary.add(entry) }
        },
        progress: progress.advance)
      if case .torn(let count, _) = end.tail { result = .torn("\(count) bytes in \(end.segmentFile)") }
      if reader.verifier.nextSequence == 0 { result = .empty }
      if let reason = histories.verdict.reason { result = .tampered(reason) }
    } catch {
      guard case .corrupt(let fault, let file) = error else { throw error }
      let entry = fault.sequence.map { ", entry \($0)" } ?? ""
      result = .tampered("\(file) at offset \(fault.offset)\(entry): \(fault.sentence)")
      failure = error
    }
    progress.finish()
    let page = ReportPage(
      origin: "\(reader.epoch.name)/\(reader.epoch.logID.hex)/\(reader.epoch.epoch)", result: result, summary: summary,
      entries: reader.verifier.nextSequence, root: reader.verifier.tree.root, lastLeaf: reader.verifier.previousLeaf)
    try file.write(Array(page.html.utf8))
    try file.finish()
    print("\(printable(out)): \(reader.verifier.nextSequence) entries")
    if let failure { throw failure }
    if histories.wrong != nil { throw EvidenceFailure(histories.verdict, of: log.directory) }
    if case .torn = result { throw ExitCode(2) }
    if case .empty = result { throw ExitCode(3) }
  }
}
