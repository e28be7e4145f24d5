internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineVocabulary
internal import Glibc

/// Drives a log for the fault tests: appends from several threads and says on stdout what was
/// acknowledged, so that a script can hold it against what a disk kept.
///
///     chatelaine-drill --log DIR [--create] [--threads 8] [--entries N | --seconds S]
///                      [--segment-bytes N] [--first-segment-bytes N]
///     chatelaine-drill --verify DIR
///     chatelaine-drill --list DIR
///
/// Exits 0 done or valid, 2 torn, 64 usage, 65 corrupt, 69 the log took nothing more at the end,
/// 74 poisoned or unreadable, 75 locked by another writer.
@main
enum Drill {
  static func main() {
    // why: a write over RLIMIT_FSIZE is to fail with EFBIG, a closed pipe with EPIPE.
    _ = signal(SIGXFSZ, SIG_IGN)
    _ = signal(SIGPIPE, SIG_IGN)
    let options = DrillOptions(CommandLine.arguments.dropFirst())
    switch options?.mode {
    case .append(let path): DrillAppend(path, options!).run()
    case .verify(let path): verify(path, listing: false)
    case .list(let path): verify(path, listing: true)
    case nil: stop(.usage, "usage: chatelaine-drill --log DIR [...] | --verify DIR | --list DIR")
    }
  }

  enum Status: Int32 {
    case done = 0
    case torn = 2
    case usage = 64
    case corrupt = 65
    case unavailable = 69
    case failed = 74
    case locked = 75
  }

  /// Leaves at once: other threads may be in the middle of anything.
  static func stop(_ status: Status, _ message: String) -> Never {
    put("\(message)\n", to: STDERR_FILENO)
    _exit(status.rawValue)
  }

  static func stop(_ error: LogError) -> Never {
    switch error {
    case .corrupt(let fault, let file):
      let sequence = fault.sequence.map(String.init) ?? "-"
      stop(
        .corrupt, "corrupt: \(fault.sentence) (file \(file), offset \(fault.offset), sequence \(sequence))")
    case .unsupported(let fault, let file): stop(.corrupt, "unsupported: \(fault.sentence) (file \(file))")
    case .noLog(let path): stop(.failed, "failed: no log in \(path)")
    case .storage(let failure): stop(failure)
    }
  }

  static func stop(_ failure: StorageFailure) -> Never {
    let status: Status = failure.call == .lock && failure.errno == EWOULDBLOCK ? .locked : .failed
    stop(
      status,
      "\(status == .locked ? "locked" : "failed"): \(failure.call) \(failure.path): \(failure.reason)")
  }

  /// One write(2) where it fits the pipe.
  static func put(_ text: String, to descriptor: Int32) {
    let bytes = Array(text.utf8)
    var start = 0
    while start < bytes.count {
      let count = unsafe bytes.withUnsafeBytes {
        unsafe write(descriptor, $0.baseAddress! + start, $0.count - start)
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return }
      start += count
    }
  }

  /// Reads everything and says what it is.
  private static func verify(_ path: String, listing: Bool) {
    let storage: FileStorage
    do throws(StorageFailure) { storage = try FileStorage(path: path, exclusively: false) } catch {
      stop(error)
    }
    do throws(LogError) {
      var reader = try LogReader(storage)
      var lines: [String] = []
      let end = try reader.readAvailable(visit: { entry in
        if listing { lines.append("\(lines.count) \(AuditEntry.leafHash(entry).hex)\n") }
      })
      let summary = "\(reader.verifier.tree.size) \(reader.verifier.tree.root.hex)"
      var verdict = "valid \(summary)\n"
      if case .torn(let count, _) = end.tail {
        verdict = "torn \(summary) \(end.segmentFile) \(end.offset) \(count)\n"
      }
      put(listing ? lines.joined() : verdict, to: STDOUT_FILENO)
      if end.tail != .clean { _exit(Status.torn.rawValue) }
    } catch {
      if case .corrupt(let fault, let file) = error {
        let sequence = fault.sequence.map(String.init) ?? "-"
        put("tampered \(sequence) \(file) \(fault.offset)\n", to: STDOUT_FILENO)
      }
      stop(error)
    }
  }
}
