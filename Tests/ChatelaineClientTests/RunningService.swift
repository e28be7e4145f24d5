import ChatelaineTestSupport
import Foundation
import Testing

/// A service of its own for a test: the real programs, as `swift build` made them.
final class RunningService {
  let directory: URL
  private var process = Process()

  var dataSocket: String { directory.path + "/d/run/data.sock" }

  /// Makes a service with tenant `acme` and key `k`, and one of `other`, and starts it.
  init() throws {
    directory = FileManager.default.temporaryDirectory.appending(path: "ch-\(UInt64.random(in: 0 ... .max))")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: false)
    try run(["init", "d"])
    try start()
    for tenant in ["acme", "other"] {
      try run(["tenant", "create", tenant, "--config", "d/chatelaine.yaml"])
      try run(["key", "create", tenant + "/k", "--config", "d/chatelaine.yaml"])
    }
  }

  /// Starts it, the first time or again.
  func start() throws {
    process = Process()
    process.executableURL = Self.program("chatelained")
    process.arguments = ["--config", "d/chatelaine.yaml", "--allow-root"]
    process.currentDirectoryURL = directory
    process.standardError = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    try process.run()
    for _ in 0..<200 {
      if (try? run(["status", "--config", "d/chatelaine.yaml"])) != nil { break }
      usleep(50_000)
    }
  }

  /// Stops it as an operator does.
  func stop() {
    process.terminate()
    process.waitUntilExit()
  }

  /// The public key that its heads are signed with.
  func logKey() throws -> String { try run(["signing-key", "show", "d/signing/log.key", "--log", "d/log"]) }

  deinit {
    if process.isRunning {
      process.terminate()
      process.waitUntilExit()
    }
    try? FileManager.default.removeItem(at: directory)
  }

  func kill() {
    Glibc.kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
  }

  /// What the command prints; throws where it fails.
  @discardableResult
  func run(_ arguments: [String]) throws -> String {
    let command = Process()
    let output = Pipe()
    command.executableURL = Self.program("chatelaine")
    command.arguments = arguments
    command.currentDirectoryURL = directory
    command.standardOutput = output
    command.standardError = FileHandle.nullDevice
    try command.run()
    let text = output.fileHandleForReading.readDataToEndOfFile()
    command.waitUntilExit()
    guard command.terminationStatus == 0 else { throw CommandFailed(arguments: arguments) }
    return String(decoding: text, as: UTF8.self)
  }

  struct CommandFailed: Error { let arguments: [String] }

  /// The build puts executables beside the test bundle.
  private static func program(_ name: String) -> URL {
    URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent().appending(
      path: name)
  }
}
