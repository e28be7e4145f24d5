internal import CLinux
internal import Glibc

/// What keeps a second writer out of a log's directory for as long as the value lives.
///
/// The file `lock` is locked: it is its owner's alone, so nobody who may only read the log can hold it. It can be
/// deleted, though, and then another makes a new one; so the newest segment is held open for writing, and whoever finds
/// it open for writing (see `ch_is_open_for_writing`) stays out. Where the filesystem has no leases, the file is all.
final class WriterLock: Sendable {
  /// An open descriptor, or -1.
  private struct Held: ~Copyable {
    let number: Int32

    init(_ number: Int32) { self.number = number }

    deinit { if number >= 0 { close(number) } }
  }

  private static let name = "lock"
  private static let flags = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK
  /// Who only asks whether a log is being written is in the way for less.
  private static let tries = 5
  private static let pauseMicroseconds: UInt32 = 20_000

  private let file: Held
  private let claim: Held
  private let label: Held

  /// `names` are the directory's.
  init(_ directory: Int32, path: String, _ names: [String], for use: FileStorage.Use) throws(StorageFailure) {
    file = try Self.lockFile(directory, path: path, for: use)
    let epoch = names.filter { LogNames.parseEpoch($0) != nil }.max()
    label = Held(epoch.map { unsafe openat(directory, $0, O_RDONLY | Self.flags) } ?? -1)
    let segment = names.filter { LogNames.parseSegment($0) != nil }.max()
    claim = try Self.claim(segment, directory, path: path, label: label)
    // why: the file may have been deleted before the segment was open, and another writer may stand where we stand.
    guard unsafe file.number < 0 || ch_is_at(file.number, directory, Self.name) == 1 else {
      throw Self.failure(path, holder: 0)
    }
    // why: only for /proc/locks to tell who we are; whoever may read can have it, and it keeps nobody out.
    if label.number >= 0 { _ = ch_lock_exclusively(label.number) }
  }

  /// Locks the file that is at its place once it is locked.
  private static func lockFile(
    _ directory: Int32, path: String, for use: FileStorage.Use
  ) throws(StorageFailure) -> Held {
    var holder: Int32 = 0
    for _ in 0..<tries {
      let file = Held(open(directory, for: use))
      guard file.number >= 0 else {
        // why: "another service has it" is only said where one has.
        if use == .checking, errno == ENOENT { return file }
        throw StorageFailure(.create, path: "\(path)/\(name)", errno: errno)
      }
      if ch_lock_exclusively(file.number) == 0 {
        if unsafe ch_is_at(file.number, directory, name) == 1 {
          if use == .writing { try keepOthersOut(file, path: path) }
          return file
        }
      } else {
        holder = ch_lock_holder(file.number)
        usleep(pauseMicroseconds)
      }
    }
    throw failure(path, holder: holder)
  }

  private static func open(_ directory: Int32, for use: FileStorage.Use) -> Int32 {
    guard use == .checking else { return unsafe openat(directory, name, O_RDWR | O_CREAT | flags, 0o600) }
    let file = unsafe openat(directory, name, O_RDWR | flags)
    // why: a check needs no place to write.
    return file < 0 && errno == EROFS ? unsafe openat(directory, name, O_RDONLY | flags) : file
  }

  private static func keepOthersOut(_ file: borrowing Held, path: String) throws(StorageFailure) {
    var (owner, mode) = (UInt32(0), UInt32(0))
    guard unsafe ch_owner_and_mode(file.number, "", &owner, &mode) == 0 else { return }
    guard mode & 0o077 == 0 || fchmod(file.number, 0o600) == 0 else {
      throw StorageFailure(.mode(mode & 0o7777), path: "\(path)/\(name)")
    }
  }

  /// Opens the newest segment for writing where nobody else has. What cannot be opened is named by who reads it.
  private static func claim(
    _ segment: String?, _ directory: Int32, path: String, label: borrowing Held
  ) throws(StorageFailure) -> Held {
    guard let segment else { return Held(-1) }
    for _ in 0..<tries {
      let reading = Held(unsafe openat(directory, segment, O_RDONLY | flags))
      guard reading.number >= 0, ch_is_regular(reading.number) == 1 else { return Held(-1) }
      if ch_is_open_for_writing(reading.number) != 1 {
        let claim = unsafe openat(directory, segment, O_RDWR | flags)
        // why: while another asks the same, opening would have to wait.
        if claim >= 0 || errno != EWOULDBLOCK { return Held(claim) }
      }
      usleep(pauseMicroseconds)
    }
    throw failure(path, holder: label.number >= 0 ? ch_lock_holder(label.number) : 0)
  }

  private static func failure(_ path: String, holder: Int32) -> StorageFailure {
    StorageFailure(.lock, path: path, errno: EWOULDBLOCK, holder: holder)
  }

  /// Whether a writer has the lock; also where it may not be opened and the kernel does not tell.
  static func isHeld(in directory: Int32) -> Bool {
    let place = Held(unsafe ch_open_place(directory, name))
    guard place.number >= 0 else { return false }
    if ch_lock_holder(place.number) > 0 { return true }
    let file = Held(unsafe openat(directory, name, O_RDONLY | flags))
    guard file.number >= 0 else { return errno == EACCES }
    return flock(file.number, LOCK_SH | LOCK_NB) != 0
  }
}
