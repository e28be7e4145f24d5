internal import CLinux
internal import Glibc
package import NIOCore

/// What strerror(3) says.
package func errorText(_ number: CInt) -> String { unsafe String(cString: ch_error_text(number)) }

/// Who is at the other end of a Unix socket, as the kernel says: what the process had when it listened or connected.
package struct PeerCredentials: Sendable {
  package let pid: Int32
  package let uid: UInt32
  package let gid: UInt32

  /// nil where the socket has no peer.
  package static func of(_ channel: any Channel) -> EventLoopFuture<PeerCredentials?> {
    guard let socket = channel as? any SocketOptionProvider else {
      return channel.eventLoop.makeSucceededFuture(nil)
    }
    let credentials: EventLoopFuture<ch_credentials> = socket.unsafeGetSocketOption(
      level: .socket, name: NIOBSDSocket.Option(rawValue: SO_PEERCRED))
    return credentials.map { peer in
      peer.uid == .max ? nil : PeerCredentials(pid: peer.pid, uid: peer.uid, gid: peer.gid)
    }
  }
}
