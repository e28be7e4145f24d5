import Foundation

/// Runs `hardening-probe`, which closes itself up, and returns what it said.
struct Probe {
  var status: Int32 = 0
  var output = ""
  var errors = ""

  var lines: [Substring] { output.split(separator: "\n") }

  func says(_ line: String) -> Bool { lines.contains { $0 == line || $0.hasPrefix(line + " ") } }

  /// `launcher` is a command that starts the probe, such as `prlimit --memlock=65536`.
  static func run(_ arguments: [String], launcher: [String] = [], environment: [String: String] = [:]) throws
    -> Probe
  {
    let command = launcher + [path] + arguments
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = command
    var variables = ProcessInfo.processInfo.environment
    for name in ["LD_BIND_NOW", "LD_PRELOAD", "CHATELAINE_RESTARTED"] { variables[name] = nil }
    process.environment = variables.merging(environment) { $1 }
    let output = Pipe()
    let errors = FileManager.default.temporaryDirectory.appending(path: "probe-\(UUID()).stderr")
    try Data().write(to: errors)
    defer { try? FileManager.default.removeItem(at: errors) }
    process.standardOutput = output
    process.standardError = try FileHandle(forWritingTo: errors)
    try process.run()
    let said = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return Probe(
      status: process.terminationStatus, output: String(decoding: said, as: UTF8.self),
      errors: String(decoding: try Data(contentsOf: errors), as: UTF8.self))
  }

  /// Starts the probe as a user whom RLIMIT_MEMLOCK binds.
  static let asUser = geteuid() == 0 ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] : []

  /// A build below a directory that only root may enter cannot be started by anybody else.
  static let userCanStart = ((try? run(["free"], launcher: asUser + ["env"]))?.says("wipes")) == true

  /// The probe is built next to the test bundle, which runs as a program here.
  private static let path: String = {
    let bundle = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
    return URL(filePath: bundle).deletingLastPathComponent().appending(path: "hardening-probe").path
  }()
}
