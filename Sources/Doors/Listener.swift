internal import CLinux
internal import Glibc

/// Why a door cannot open.
package enum DoorError: Error, Equatable, Sendable {
  case pathTooLong(String)
  case inUse(String)
  /// What connecting to it said is neither an answer nor that nobody listens.
  case notKnownStale(String, errno: Int32)
  case notASocket(String)
  case failed(String, call: String, errno: Int32)
  /// Of those that the service manager passed.
  case noListener(descriptor: Int32)
  case strayListener(String)
  case address(String, errno: Int32)

  package var sentence: String {
    switch self {
    case .pathTooLong(let path):
      "The socket path \(path) has more than \(DoorSocket.pathBytesMax) bytes: choose a shorter one."
    case .inUse(let path): "Another service answers at \(path): stop it, or choose another path."
    case .notKnownStale(let path, let errno):
      "There is a socket at \(path), and whether a service answers there cannot be told (connect failed: \(unsafe String(cString: ch_error_text(errno)))): stop who listens there, or remove it."
    case .notASocket(let path): "\(path) is there and is no socket: move it away."
    case .noListener(let descriptor):
      "Descriptor \(descriptor) from the service manager is no Unix stream socket that listens at a path: mend its unit."
    case .strayListener(let path):
      "The service manager listens at \(path), which is no socket of the configuration: make ListenStream= and its path the same."
    case .address(let text, EADDRINUSE): "Another program listens at \(text): stop it, or choose another port."
    case .address(let text, let errno):
      "Nothing can listen at \(text) (bind failed: \(unsafe String(cString: ch_error_text(errno)))): name an address of this machine, and a port above 1023."
    case .failed(let path, let call, let errno):
      "The socket \(path) cannot be opened (\(call) failed: \(unsafe String(cString: ch_error_text(errno)))): check the directory and its owner."
    }
  }
}

/// A Unix socket that is made whole before anyone can see it: bound beside its path, given its mode and group, then
/// renamed into place.
package struct DoorSocket: Sendable {
  /// `sun_path` less its terminating zero.
  package static let pathBytesMax = 107

  package let path: String
  package let mode: UInt32
  package let gid: UInt32?

  package init(path: String, mode: UInt32, gid: UInt32? = nil) {
    self.path = path
    self.mode = mode
    self.gid = gid
  }

  /// The service manager's socket where it has one at this path, else one that is made now.
  func open(_ passed: PassedSockets) throws(DoorError) -> CInt {
    if let descriptor = passed.byPath[path] { return descriptor }
    return try bind()
  }

  /// A bound socket, which only has to listen. A socket file that a killed service left behind is replaced; call
  /// with the log's lock held.
  private func bind() throws(DoorError) -> CInt {
    let temporary = temporaryPath
    guard temporary.utf8.count <= Self.pathBytesMax else { throw .pathTooLong(path) }
    try checkPlace(asking: true)
    unsafe unlink(temporary)
    let descriptor = unsafe ch_bind_unix(temporary)
    guard descriptor >= 0 else { throw .failed(path, call: "bind", errno: errno) }
    do throws(DoorError) {
      try unsafe check(chmod(temporary, mode_t(mode)), "chmod")
      if let gid { try unsafe check(chown(temporary, uid_t.max, gid), "chown") }
      try unsafe check(rename(temporary, path), "rename")
      return descriptor
    } catch {
      close(descriptor)
      unsafe unlink(temporary)
      throw error
    }
  }

  /// No longer than the path, for which there may be just room.
  private var temporaryPath: String { path.dropLast() + (path.utf8.last == UInt8(ascii: "~") ? "-" : "~") }

  private func check(_ status: CInt, _ call: String) throws(DoorError) {
    guard status == 0 else { throw .failed(path, call: call, errno: errno) }
  }

  /// Refuses a place where no socket can be made: a directory that is not there or may not be written, a file that is no
  /// socket, and, where it is asked by connecting to it, a socket that anybody answers. Changes nothing.
  package func checkPlace(asking: Bool) throws(DoorError) {
    // why: who does not ask only looks, and may look at a disk that nobody can write.
    guard unsafe faccessat(AT_FDCWD, directory, W_OK | X_OK, AT_EACCESS) == 0 || (errno == EROFS && !asking) else {
      throw .failed(path, call: "access", errno: errno)
    }
    switch unsafe ch_unix_socket_state(path, asking ? 1 : 0) {
    case 0: return
    case 1: throw .inUse(path)
    case 2: throw .notASocket(path)
    case 3: throw .notKnownStale(path, errno: errno)
    default: throw .failed(path, call: "lstat", errno: errno)
    }
  }

  private var directory: String {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  func remove() { unsafe unlink(path) }
}
