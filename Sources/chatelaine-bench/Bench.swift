internal import ArgumentParser

/// Measures Chatelaine against floors in the same run: interleaved rounds, medians with their spread.
@main struct Bench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "chatelaine-bench",
    abstract: "Measures Chatelaine against floors in the same run.",
    discussion: "Figures of different runs or machines say nothing together; ratios of one run do.")

  @Flag(help: "A tenth of the time, for a first look.")
  var quick = false

  @Flag(help: "Print JSON.")
  var json = false

  @Option(help: "Only this part: envelope, bulk, log or service.")
  var only: Part?

  @Option(help: "A directory on the disk to measure; the log's own is best.")
  var directory = "."

  func run() throws {
    let scale = quick ? 1 : 10
    var table = Table()
    if only ?? .envelope == .envelope { try EnvelopeBench(rounds: 5, operations: 20_000 * scale).run(into: &table) }
    if only ?? .bulk == .bulk { try BulkBench(rounds: 5, operations: 400 * scale).run(into: &table) }
    if only ?? .log == .log {
      try LogBench(directory: directory, rounds: 5, batches: 100 * scale).run(into: &table)
    }
    if only ?? .service == .service {
      try ServiceBench(directory: directory, rounds: quick ? 3 : 5, seconds: quick ? 1 : 2).run(into: &table)
    }
    print(json ? table.json : table.text)
  }

  enum Part: String, ExpressibleByArgument, CaseIterable { case envelope, bulk, log, service }
}
