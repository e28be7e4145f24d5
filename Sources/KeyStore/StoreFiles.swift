internal import CLinux
internal import Glibc
internal import Synchronization

/// The files of a store: the database and what SQLite keeps beside it.
enum StoreFiles {
  private static let suffixes = [""] + journalSuffixes + ["-journal"]
  /// The journal of changes that the database does not have yet, and its index, which is there for all who have the
  /// database open and holds their locks.
  static let journalSuffixes = ["-wal", "-shm"]

  /// Refuses links and what is no regular file: opening a fifo would wait for somebody to write to it.
  static func checkKinds(_ path: String) throws(KeyStoreError) {
    for file in present(path) {
      let kind = file.status.st_mode & S_IFMT
      guard kind != S_IFLNK else { throw .place(path: file.path, .symlink) }
      guard kind == S_IFREG else { throw .place(path: file.path, .notAFile) }
    }
  }

  /// Refuses files that are another user's, or open to others: it holds no plain key, and is nobody else's to copy or
  /// to change.
  static func checkOwner(_ path: String) throws(KeyStoreError) {
    for file in present(path) {
      guard file.status.st_uid == geteuid() else {
        throw .place(path: file.path, .owner(file.status.st_uid, ours: geteuid()))
      }
      let mode = file.status.st_mode & 0o7777
      guard mode & 0o077 == 0 else { throw .place(path: file.path, .mode(mode)) }
    }
  }

  /// Refuses a rollback journal with anything in it: a store is made with the other kind, and SQLite would play this one
  /// back, into the database alone, as soon as it is opened.
  static func checkNoRollback(_ path: String) throws(KeyStoreError) {
    let path = path + "-journal"
    var status = stat()
    guard unsafe lstat(path, &status) == 0 else {
      guard errno == ENOENT else { throw .database(code: 10, doing: "looking for a rollback journal") }
      return
    }
    guard status.st_size == 0 else { throw .rollbackJournal(path: path) }
  }

  /// Whether there is something in the journal that the database does not have yet.
  static func hasJournal(_ path: String) -> Bool {
    var status = stat()
    return unsafe stat(path + "-wal", &status) == 0 && status.st_size > 0
  }

  /// What SQLite's index of a journal takes, twice.
  private static let roomNeeded = 65_536

  /// Another process that has the database open; 0 where none is found.
  static func indexHolder(_ path: String) -> Int32 { unsafe ch_index_holder(path + "-shm") }

  /// Whether there is no room beside a file: tried, with a file that has no name.
  static func isDiskFull(_ path: String) -> Bool {
    let slash = path.utf8.lastIndex(of: UInt8(ascii: "/"))
    let above = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    let directory = unsafe open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard directory >= 0 else { return false }
    defer { _ = close(directory) }
    let file = ch_open_unnamed(directory, 0o600)
    guard file >= 0 else { return isOfRoom(errno) }
    defer { _ = close(file) }
    return isOfRoom(posix_fallocate(file, 0, off_t(roomNeeded)))
  }

  private static func isOfRoom(_ number: Int32) -> Bool { number == ENOSPC || number == EDQUOT }

  /// When, and as what, the files that hold records were last written: whoever writes one through SQLite changes it.
  struct Stamp: Equatable, Sendable { fileprivate let files: [[Int64]] }

  static func stamp(_ path: String) -> Stamp {
    Stamp(
      files: ["", "-wal"].map { suffix in
        var status = stat()
        guard unsafe stat(path + suffix, &status) == 0 else { return [] }
        return [
          Int64(bitPattern: UInt64(status.st_ino)), Int64(status.st_size), Int64(status.st_ctim.tv_sec),
          Int64(status.st_ctim.tv_nsec),
        ]
      })
  }

  private static func present(_ path: String) -> [(path: String, status: stat)] {
    suffixes.compactMap { suffix in
      var status = stat()
      return unsafe lstat(path + suffix, &status) == 0 ? (path + suffix, status) : nil
    }
  }
}

/// The lock that one service holds on a store: on the database itself, so that no other name, no second configuration
/// and no `rm` of a lock's file leads past it.
final class StoreLock: Sendable {
  private let file: Mutex<Int32>

  /// why: SQLite's own locks are lost when any descriptor of the file is closed, so call this before SQLite opens it,
  /// and let go after it has closed it.
  init(_ path: String) throws(KeyStoreError) {
    let file = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
    self.file = Mutex(file)
    guard file >= 0 else {
      guard errno == EACCES else { throw .database(code: 14, doing: "opening the store") }
      try StoreFiles.checkOwner(path)
      throw .place(path: path, .unreadable(ours: geteuid()))
    }
    guard ch_lock_exclusively(file) == 0 else { throw .inUse(path: path, holder: ch_lock_holder(file)) }
  }

  deinit { release() }

  func release() {
    file.withLock { file in
      if file >= 0 { _ = close(file) }
      file = -1
    }
  }
}
