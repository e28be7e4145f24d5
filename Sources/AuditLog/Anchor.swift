internal import CLinux
internal import ChatelaineAuditTrail
internal import Glibc
internal import Synchronization

/// The file outside the log's directory that the newest published head is written to, best on another filesystem: a copy
/// that whoever cuts the log back has to reach too.
package enum AnchorFile {
  /// What is there; nil where there is nothing.
  package static func read(_ path: String) throws(StorageFailure) -> [UInt8]? {
    let file = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
    guard file >= 0 else {
      guard errno != ENOENT else { return nil }
      throw StorageFailure(.open, path: path, errno: errno)
    }
    defer { close(file) }
    guard ch_is_regular(file) == 1 else { throw StorageFailure(.open, path: path, errno: EINVAL) }
    let limit = SignedNote.byteCountMax + 1
    var failed: Int32 = 0
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
      while count < limit {
        let got = unsafe Glibc.read(file, buffer.baseAddress! + count, limit - count)
        if got < 0, errno == EINTR { continue }
        if got < 0 { failed = errno }
        guard got > 0 else { return }
        count += got
      }
    }
    guard failed == 0 else { throw StorageFailure(.read, path: path, errno: failed) }
    return bytes
  }

  /// Puts a head there, whole and durable or not at all.
  static func write(_ head: SignedHead, to path: String) throws(StorageFailure) {
    let bytes = head.note.encoded
    let temporary = path + ".new"
    let file = unsafe open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0o644)
    guard file >= 0 else { throw StorageFailure(.create, path: temporary, errno: errno) }
    defer { close(file) }
    // why: a head is for everybody, whatever the service's umask is.
    guard fchmod(file, 0o644) == 0 else { throw StorageFailure(.create, path: temporary, errno: errno) }
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(file, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw StorageFailure(.write, path: temporary, errno: count < 0 ? errno : ENOSPC) }
      rest = rest.dropFirst(count)
    }
    guard fsync(file) == 0 else { throw StorageFailure(.sync, path: temporary, errno: errno) }
    guard unsafe rename(temporary, path) == 0 else { throw StorageFailure(.rename, path: path, errno: errno) }
    try syncDirectory(of: path)
  }

  private static func syncDirectory(of path: String) throws(StorageFailure) {
    let slash = path.lastIndex(of: "/")
    let above = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    let directory = unsafe open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard directory >= 0 else { throw StorageFailure(.open, path: above, errno: errno) }
    defer { close(directory) }
    guard fsync(directory) == 0 else { throw StorageFailure(.sync, path: above, errno: errno) }
  }
}

/// Writes heads to an anchor on a thread of its own: its disk may stand still, and nothing waits for it.
final class Anchor: Sendable {
  private struct State {
    var waiting: SignedHead?
    var failure: StorageFailure?
  }

  private final class Shared: Sendable {
    let state = Mutex(State())
    let signal = Signal()
    let done = Signal()

    func writeWaiting(to path: String) {
      guard let head = state.withLock({ $0.waiting.take() }) else { return }
      var failure: StorageFailure?
      do throws(StorageFailure) { try AnchorFile.write(head, to: path) } catch { failure = error }
      state.withLock { $0.failure = failure }
    }
  }

  private let shared = Shared()

  init(path: String) {
    let shared = self.shared
    _ = WorkThread(name: "audit-anchor") {
      while true {
        shared.signal.wait()
        shared.writeWaiting(to: path)
        if shared.signal.isClosed { return shared.done.raise() }
      }
    }
  }

  /// The newest is written; those that it overtakes are not.
  func write(_ head: SignedHead) {
    shared.state.withLock { $0.waiting = head }
    shared.signal.raise()
  }

  /// Why the last write failed, if it did.
  var failure: StorageFailure? { shared.state.withLock { $0.failure } }

  /// Writes what waits, for as long as that may take.
  func close(milliseconds: Int) {
    shared.signal.close()
    shared.done.wait(milliseconds: milliseconds)
  }
}
