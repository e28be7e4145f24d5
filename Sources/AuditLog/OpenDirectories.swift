internal import Glibc

/// Directories in which others could put something in the place of what lies there.
package enum OpenDirectories {
  /// Refuses a directory that has one of the bits `forbidden` in its mode, and one above it that is open to everybody.
  /// What is not there yet is told by whoever needs it.
  package static func check(_ directory: String, forbidden: UInt32) throws(StorageFailure) {
    guard let real = unsafe realpath(directory, nil) else { return }
    defer { unsafe free(real) }
    var path = unsafe String(cString: real)
    try checkOne(path, forbidden: forbidden)
    while path != "/" {
      path = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "/"
      try checkOne(path, forbidden: 0o002)
    }
  }

  /// Names in a directory with the sticky bit are their owners' alone.
  private static func checkOne(_ path: String, forbidden: UInt32) throws(StorageFailure) {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else { return }
    let mode = UInt32(status.st_mode & 0o7777)
    guard mode & forbidden != 0, mode & 0o1000 == 0 else { return }
    throw StorageFailure(.mode(mode), path: path)
  }
}
