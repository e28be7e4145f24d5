internal import CLinux
internal import Glibc

/// Sockets that a service manager listens at and passed on, as systemd does (sd_listen_fds(3)): those who come while
/// the service is not there wait for it.
package struct PassedSockets: Sendable {
  package let byPath: [String: CInt]

  /// Nothing was passed.
  package static let none = PassedSockets(byPath: [:])

  private static let firstDescriptor: CInt = 3
  private static let countMax: CInt = 16

  /// Takes what was passed to this process and to no other, and takes the word of it out of the environment. Each has
  /// to be one of `expected`. For a process with one thread.
  package static func take(for expected: [DoorSocket]) throws(DoorError) -> PassedSockets {
    defer { for name in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] { unsafe unsetenv(name) } }
    guard number("LISTEN_PID") == getpid(), let count = number("LISTEN_FDS"), count > 0 else { return .none }
    var byPath: [String: CInt] = [:]
    for descriptor in firstDescriptor..<(firstDescriptor + min(count, countMax)) {
      guard let path = listeningPath(descriptor) else { throw .noListener(descriptor: descriptor) }
      guard expected.contains(where: { $0.path.utf8.elementsEqual(path.utf8) }), byPath[path] == nil else {
        throw .strayListener(path)
      }
      guard ch_keep_to_ourselves(descriptor) == 0 else { throw .failed(path, call: "fcntl", errno: errno) }
      byPath[path] = descriptor
    }
    return PassedSockets(byPath: byPath)
  }

  private static func listeningPath(_ descriptor: CInt) -> String? {
    var bytes = [UInt8](repeating: 0, count: DoorSocket.pathBytesMax)
    let count = unsafe bytes.withUnsafeMutableBytes { unsafe ch_listening_path(descriptor, $0.baseAddress, $0.count) }
    return count > 0 ? String(decoding: bytes[..<Int(count)], as: UTF8.self) : nil
  }

  private static func number(_ name: String) -> CInt? {
    guard let text = unsafe getenv(name) else { return nil }
    return unsafe CInt(String(cString: text))
  }
}
