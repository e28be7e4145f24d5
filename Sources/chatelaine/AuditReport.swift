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
    let storage = try log.open()
    let epochs = try LogEpochs(storage)
    var reader = try LogReader(storage, epoch: epochs.all[0].epoch)
    var readings: [EpochReading] = []
    var summary = LogSummary()
    let progress = try ProgressLine(total: epochs.totalBytes(storage), label: "reading")
    var histories = TenantHeadsCheck()
    var result = ReportPage.Result.valid
    var failure: LogError?
    do throws(LogError) {
      for epoch in epochs.all {
        reader = try LogReader(storage, epoch: epoch.epoch, ahead: .allCores)
        readings.append(
          try reader.readLinked(
            after: readings.last, liveIn: epoch == epochs.newest ? storage : nil,
            visit: { _, bytes in
              histories.take(bytes)
              if let entry = try? AuditEntry(parsing: bytes) { summary.add(entry) }
            }, progress: progress.advance))
      }
      if case .torn(let count, _)? = readings.last?.end.tail {
        result = .torn("\(count) bytes in \(readings[readings.count - 1].end.segmentFile)")
      }
      if summary.entries == 0 { result = .empty }
      if let reason = histories.verdict.reason { result = .tampered(reason) }
    } catch {
      guard case .corrupt(let fault, let file) = error else { throw error }
      let entry = fault.sequence.map { ", entry \($0)" } ?? ""
      result = .tampered("\(file) at offset \(fault.offset)\(entry): \(fault.sentence)")
      failure = error
    }
    progress.finish()
    let page = ReportPage(
      origin: reader.epoch.origin, result: result, summary: summary, entries: summary.entries,
      root: reader.verifier.tree.root, lastLeaf: reader.verifier.previousLeaf)
    try file.write(Array(page.html.utf8))
    try file.finish()
    print("\(printable(out)): \(summary.entries) entries")
    if let failure { throw failure }
    if histories.wrong != nil { throw EvidenceFailure(histories.verdict, of: log.directory) }
    if case .torn = result { throw ExitCode(2) }
    if case .empty = result { throw ExitCode(3) }
  }
}
