internal import CLinux
internal import Glibc

/// Refuses a keyring in the store's directory and a store in the keyring, either of which may not
/// exist yet.
///
/// Looked at twice: by resolved paths, and by walking up from each directory, which also sees one
/// directory mounted in two places.
func checkApart(keyring: String, store: String) throws(KeyringError) {
  let store = withoutTrailingSlashes(store)
  let keyringPath = try ResolvedPath(keyring)
  let storePath = try ResolvedPath(store)
  if keyringPath.lies(in: storePath) { throw .insideStore(path: keyring, store: store) }
  if storePath.lies(in: keyringPath) { throw .storeInside(path: keyring, store: store) }
}

/// A path without symbolic links; what does not exist of it stays as it was written.
private struct ResolvedPath {
  /// The longest part that exists, resolved.
  let existing: String
  /// The names after it.
  let missing: [Substring]

  init(_ path: String) throws(KeyringError) {
    var names = path.split(separator: "/", omittingEmptySubsequences: true)
    let isAbsolute = path.utf8.first == UInt8(ascii: "/")
    var missing: [Substring] = []
    while true {
      let candidate = (isAbsolute ? "/" : "./") + names.joined(separator: "/")
      if let resolved = unsafe realpath(candidate, nil) {
        defer { unsafe free(resolved) }
        existing = unsafe String(cString: resolved)
        self.missing = missing
        return
      }
      guard errno == ENOENT, let last = names.popLast() else { throw .unreadable(path: path, errno: errno) }
      missing.insert(last, at: 0)
    }
  }

  /// Whether this is `other` or lies below it.
  func lies(in other: ResolvedPath) -> Bool {
    if names.count >= other.names.count,
      zip(names, other.names).allSatisfy({ $0.utf8.elementsEqual($1.utf8) })
    {
      return true
    }
    // Below what does not exist there is nothing else.
    guard other.missing.isEmpty, let target = DirectoryIdentity(path: other.existing) else { return false }
    return walksUp(to: target)
  }

  private var names: [Substring] { existing.split(separator: "/") + missing }

  private func walksUp(to target: DirectoryIdentity) -> Bool {
    var directory = unsafe Descriptor(open(existing, O_RDONLY | O_DIRECTORY | O_CLOEXEC))
    var last: DirectoryIdentity?
    while directory.isOpen, let here = DirectoryIdentity(directory), here != last {
      if here == target { return true }
      last = here
      directory = Descriptor(ch_open_parent(directory.number))
    }
    return false
  }
}

/// Which directory it is, by whatever path.
private struct DirectoryIdentity: Equatable {
  let device: UInt
  let inode: UInt

  init?(path: String) {
    let directory = unsafe Descriptor(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC))
    self.init(directory)
  }

  init?(_ directory: borrowing Descriptor) {
    var status = stat()
    guard directory.isOpen, unsafe fstat(directory.number, &status) == 0 else { return nil }
    device = UInt(status.st_dev)
    inode = UInt(status.st_ino)
  }
}
