internal import ArgumentParser
internal import ChatelaineMeasures
internal import Foundation

/// The whole measurement, or a part of it.
struct RunCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Measures, and prints a table (what happens without a subcommand).")

  @Flag(help: "Under a minute, for a first look.")
  var quick = false

  @Option(help: "A directory on the disk to measure; the log's own is best.")
  var directory = "."

  @Option(help: "Only this part: envelope, bulk, log or service.")
  var only: Part?

  @Option(help: "Write everything that was measured to this file, as JSON.")
  var json: String?

  @Option(help: "Draw the loads into this file, as SVG.")
  var svg: String?

  @Option(help: "Compare with a run that was saved with --json: better, worse, or the same within the spread.")
  var against: String?

  @Option(
    help: ArgumentHelp(
      "A chatelained that was built with CHATELAINE_TEST_BUILD=unlogged, to run beside the real one.",
      valueName: "chatelained"))
  var unlogged: String?

  @Option(help: "The example keyring, for --unlogged.")
  var exampleKeys = "keys-example"

  enum Part: String, ExpressibleByArgument, CaseIterable { case envelope, bulk, log, service }

  func run() throws {
    let before = try against.map(saved)
    let scratch = try ScratchFolder(in: directory, "run")
    var report = Report(machine: .here(disk: scratch.path), run: ["quick": "\(quick)", "only": only?.rawValue ?? "all"])
    try measure(into: &report, scratch)
    print(report.text)
    if let json { try write(report.json(), to: json) }
    if let svg { try write(Data(Plot(report, loads: ServicePart.plotted).svg.utf8), to: svg) }
    if let before { print("\n" + Comparison(before: before, after: report).text) }
  }

  private func measure(into report: inout Report, _ scratch: ScratchFolder) throws {
    let scale = quick ? 1 : 10
    func has(_ part: Part) -> Bool { only == nil || only == part }
    if has(.service) {
      try ServicePart(isQuick: quick, unlogged: unlogged, exampleKeys: exampleKeys).run(into: &report, scratch)
    }
    let rounds = quick ? 3 : 5
    if has(.envelope) { try EnvelopeBench(rounds: rounds, operations: 20_000 * scale).run(into: &report) }
    if has(.bulk) { try BulkBench(rounds: rounds, operations: 400 * scale).run(into: &report) }
    if has(.log) { try LogBench(folder: scratch.path + "/log-bench", rounds: rounds, batches: 100 * scale).run(into: &report) }
  }

  private func saved(_ path: String) throws -> Report {
    do { return try Report(json: Data(contentsOf: URL(fileURLWithPath: path))) } catch {
      throw BenchError("\(path) is not a run that --json of this version saved.")
    }
  }

  private func write(_ bytes: Data, to path: String) throws {
    do { try bytes.write(to: URL(fileURLWithPath: path)) } catch { throw BenchError("\(path) cannot be written.") }
  }
}

extension Machine {
  /// What there is to say of this one.
  static func here(disk path: String) -> Machine {
    var machine = Machine()
    func lines(_ file: String) -> [Substring] {
      ((try? String(contentsOfFile: file, encoding: .utf8)) ?? "").split(separator: "\n")
    }
    func value(_ line: Substring?) -> String {
      line.map { $0.drop { $0 != ":" }.dropFirst().trimmingCharacters(in: .whitespaces) } ?? ""
    }
    machine.processor = value(lines("/proc/cpuinfo").first { $0.hasPrefix("model name") })
    machine.cores = ProcessInfo.processInfo.activeProcessorCount
    machine.memoryGiB = Double(ProcessInfo.processInfo.physicalMemory) / Double(1 << 30)
    machine.kernel = lines("/proc/sys/kernel/osrelease").first.map(String.init) ?? ""
    machine.disk = mount(of: path)
    for (name, program) in [("openssl", "/usr/bin/openssl"), ("go", "/usr/bin/go")] {
      let words = (try? output(of: program, ["version"]))?.split(whereSeparator: \.isWhitespace) ?? []
      let version = words.lazy.map { $0.drop { !$0.isNumber } }.first { !$0.isEmpty }
      if let version { machine.versions[name] = String(version) }
    }
    return machine
  }

  /// Device and filesystem of the deepest mount above a path.
  private static func mount(of path: String) -> String {
    let whole = URL(fileURLWithPath: path).resolvingSymlinksInPath().path + "/"
    let mounts = ((try? String(contentsOfFile: "/proc/mounts", encoding: .utf8)) ?? "").split(separator: "\n")
      .map { $0.split(separator: " ") }.filter { $0.count > 2 }
    let holding = mounts.filter { whole.hasPrefix($0[1] == "/" ? "/" : $0[1] + "/") }
    guard let deepest = holding.max(by: { $0[1].count < $1[1].count }) else { return "" }
    return "\(deepest[2]) on \(deepest[0])"
  }
}
