internal import Foundation

/// A program that runs beside this one until the run ends.
final class Program: Sendable {
  let processID: Int32
  private let process: Process
  /// Held so that a floor ends with this process, whatever ends it.
  private let input: Pipe?

  /// `output` is a file that gets what it says.
  init(_ path: String, _ arguments: [String], output: String, endsWithInput: Bool = false) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: path)
    process.arguments = arguments
    _ = FileManager.default.createFile(atPath: output, contents: nil)
    let file = FileHandle(forWritingAtPath: output) ?? FileHandle.nullDevice
    process.standardError = file
    process.standardOutput = file
    input = endsWithInput ? Pipe() : nil
    process.standardInput = input ?? FileHandle.nullDevice
    do { try process.run() } catch { throw BenchError("\(path) cannot be started: build it first, the same way.") }
    self.process = process
    processID = process.processIdentifier
    // why: kept until then, or a program whose last user is gone would go on for ever.
    Ending.add { self.end() }
  }

  /// Waits until somebody answers at a socket.
  func waitForSocket(_ path: String, seconds: Double = 60) throws {
    let end = now() + UInt64(seconds * 1e9)
    while now() < end {
      guard process.isRunning else { break }
      if (try? LoadSession(path, .ttrpc, connections: 1, depth: 1, frame: [0])) != nil { return }
      usleep(2_000)
    }
    throw BenchError("Nothing answers at \(path).")
  }

  /// User and system time of all its threads so far.
  var cpuNanoseconds: UInt64 {
    let tasks = "/proc/\(processID)/task"
    let threads = (try? FileManager.default.contentsOfDirectory(atPath: tasks)) ?? []
    return threads.reduce(0) { sum, thread in
      let text = (try? String(contentsOfFile: "\(tasks)/\(thread)/schedstat", encoding: .utf8)) ?? ""
      return sum + (text.split(separator: " ").first.flatMap { UInt64($0) } ?? 0)
    }
  }

  /// Resident memory, MiB: all of it, and the part that is the process's own.
  var residentMiB: (all: Double, own: Double) {
    let text = (try? String(contentsOfFile: "/proc/\(processID)/status", encoding: .utf8)) ?? ""
    func kibibytes(_ field: String) -> Double {
      let line = text.split(separator: "\n").first { $0.hasPrefix(field) }
      return line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Double($0) } ?? 0
    }
    return (kibibytes("VmRSS:") / 1024, kibibytes("RssAnon:") / 1024)
  }

  func end() {
    try? input?.fileHandleForWriting.close()
    guard process.isRunning else { return }
    process.terminate()
    process.waitUntilExit()
  }
}

/// Programs that lie beside this one.
enum Beside {
  static let folder = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent().path
  static var bench: String { folder + "/chatelaine-bench" }
  static var service: String { folder + "/chatelained" }
  static var command: String { folder + "/chatelaine" }
}

/// Runs a program to its end, and gives what it printed.
@discardableResult
func output(of path: String, _ arguments: [String]) throws -> String {
  let process = Process()
  let (standard, errors) = (Pipe(), Pipe())
  process.executableURL = URL(fileURLWithPath: path)
  process.arguments = arguments
  process.standardOutput = standard
  process.standardError = errors
  process.standardInput = FileHandle.nullDevice
  do { try process.run() } catch { throw BenchError("\(path) cannot be started: is it installed, or built the same way?") }
  let text = String(decoding: standard.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
  let complaint = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
  process.waitUntilExit()
  guard process.terminationStatus == 0 else {
    throw BenchError("\(path) \(arguments.joined(separator: " ")) failed: \(complaint.prefix(300))")
  }
  return text
}
