internal import Dispatch
internal import Foundation
internal import Synchronization

/// What a run must undo, however it ends: programs that it started, folders that it made.
enum Ending {
  private static let acts = Mutex<[@Sendable () -> Void]>([])
  private static let isCancelled = Atomic<Bool>(false)

  static func add(_ act: @escaping @Sendable () -> Void) { acts.withLock { $0.append(act) } }

  /// Undoes everything, the newest first; what was undone is not undone again.
  static func now() {
    while let act = acts.withLock({ $0.popLast() }) { act() }
    // why: the thread that took the signal says how the program ends.
    while isCancelled.load(ordering: .acquiring) { sleep(1) }
  }

  /// Ctrl-C and its like end the run and leave nothing behind.
  static func onSignals() -> [any DispatchSourceSignal] {
    [SIGINT, SIGTERM, SIGHUP].map { number in
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler {
        say("\nchatelaine-bench: stopping what was started …")
        isCancelled.store(true, ordering: .releasing)
        while let act = acts.withLock({ $0.popLast() }) { act() }
        Foundation.exit(128 + number)
      }
      source.resume()
      return source
    }
  }
}

/// A line for who watches; standard output is for results.
func say(_ line: String) { FileHandle.standardError.write(Data((line + "\n").utf8)) }

/// Says how far a run is: one line that changes on a terminal, else a line a step.
struct ProgressLines {
  private let isTerminal = isatty(2) == 1

  func show(_ text: String) {
    guard isTerminal else { return say(text) }
    FileHandle.standardError.write(Data("\r\u{1b}[K\(text.prefix(110))".utf8))
  }

  func end() { if isTerminal { FileHandle.standardError.write(Data("\r\u{1b}[K".utf8)) } }
}

/// A folder that is there for as long as the run is.
struct ScratchFolder {
  let path: String

  init(in directory: String, _ name: String) throws {
    let path = directory + "/chatelaine-bench-\(name)-\(getpid())"
    do { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) } catch {
      throw BenchError("The folder \(path) cannot be made: name another with --directory.")
    }
    Ending.add { try? FileManager.default.removeItem(atPath: path) }
    self.path = path
  }
}
