internal import Glibc

/// Which file is at a path: who has one open goes on using it when it was removed or replaced, and nobody else sees it.
package struct FilePlace: Sendable {
  private struct Identity: Equatable, Sendable {
    let device: UInt64
    let inode: UInt64
  }

  package let path: String
  private let identity: Identity?

  package init(_ path: String) {
    self.path = path
    identity = Self.identity(path)
  }

  /// Whether the file that was opened is still the one at its path.
  package var isHeld: Bool { identity != nil && Self.identity(path) == identity }

  private static func identity(_ path: String) -> Identity? {
    var facts = stat()
    guard unsafe stat(path, &facts) == 0 else { return nil }
    return Identity(device: UInt64(facts.st_dev), inode: UInt64(facts.st_ino))
  }
}
