internal import Glibc

/// Which file is at a path: SQLite goes on writing to one that was removed or replaced, and nobody would see it again.
struct FilePlace {
  private struct Identity: Equatable {
    let device: UInt64
    let inode: UInt64
  }

  private let path: String
  private let identity: Identity?

  init(_ path: String) {
    self.path = path
    identity = Self.identity(path)
  }

  /// Whether the file that was opened is still the one at its path.
  var isHeld: Bool { identity != nil && Self.identity(path) == identity }

  private static func identity(_ path: String) -> Identity? {
    var facts = stat()
    guard unsafe stat(path, &facts) == 0 else { return nil }
    return Identity(device: UInt64(facts.st_dev), inode: UInt64(facts.st_ino))
  }
}
