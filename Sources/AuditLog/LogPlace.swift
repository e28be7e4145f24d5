internal import CLinux
internal import Glibc

/// Who may write where a log is: its service, and root.
enum LogPlace {
  /// Refuses a directory, a descriptor or a segment that is another user's, or that others may write. Whoever may only
  /// read is a reviewer.
  static func check(_ directory: Int32, path: String, _ names: [String]) throws(StorageFailure) {
    try check(directory, "", path: path)
    for name in names where LogNames.epochNumber(name) != nil { try check(directory, name, path: "\(path)/\(name)") }
  }

  private static func check(_ directory: Int32, _ name: String, path: String) throws(StorageFailure) {
    var (owner, mode) = (UInt32(0), UInt32(0))
    guard unsafe ch_owner_and_mode(directory, name, &owner, &mode) == 0 else {
      throw StorageFailure(.open, path: path, errno: errno)
    }
    // why: a link's mode says nothing, and it is refused when it is read.
    guard mode & S_IFMT != S_IFLNK else { return }
    guard owner == geteuid() || owner == 0 else { throw StorageFailure(.owner(owner, ours: geteuid()), path: path) }
    guard mode & 0o022 == 0 else { throw StorageFailure(.mode(mode & 0o7777), path: path) }
  }
}
