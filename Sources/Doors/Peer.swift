package import ChatelaineAccessPolicy
internal import CLinux
internal import ChatelaineSocketBuffers
internal import ChatelaineVocabulary
internal import Glibc
internal import NIOCore

/// Who is at the other end of a socket, as the kernel says of a Unix socket and TLS of any other.
package struct Peer: Sendable {
  package let principal: Principal
  /// 0 where it is on another machine.
  package let pid: UInt32
  /// The peer's cgroup or systemd unit, where the kernel lets us be sure of it, else empty; its address on TCP.
  package let source: [UInt8]

  /// Asks the kernel. nil where the socket has no peer.
  static func of(_ channel: any Channel) -> EventLoopFuture<Peer?> {
    guard let socket = channel as? any SocketOptionProvider else { return channel.eventLoop.makeSucceededFuture(nil) }
    let handle: EventLoopFuture<CInt> = socket.unsafeGetSocketOption(
      level: .socket, name: NIOBSDSocket.Option(rawValue: CInt(CH_SO_PEERPIDFD)))
    return PeerCredentials.of(channel).and(handle.recover { _ in -1 }).map { credentials, handle in
      defer { if handle >= 0 { close(handle) } }
      guard let credentials else { return nil }
      let unit = unit(of: credentials.pid, handle: handle)
      return Peer(
        principal: Principal(uid: credentials.uid, gid: credentials.gid), pid: UInt32(max(0, credentials.pid)),
        source: unit)
    }
  }

  /// The path of the peer's cgroup, such as `system.slice/billing.service`; of a longer one its last bytes. A hint: whoever
  /// has a part of the tree for themselves gives the names below it.
  ///
  /// Read by the pid, then the pid is asked whether it is still the peer: a process that ended meanwhile says
  /// nothing.
  private static func unit(of pid: pid_t, handle: CInt) -> [UInt8] {
    guard handle >= 0 else { return [] }
    var text = [UInt8](repeating: 0, count: 255)
    let count = unsafe text.withUnsafeMutableBytes { unsafe ch_cgroup_of(pid, handle, $0.baseAddress, $0.count) }
    return count > 0 ? Array(text[..<Int(count)]) : []
  }
}
