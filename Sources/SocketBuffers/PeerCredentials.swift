internal import CLinux
internal import Glibc
package import NIOCore

/// What strerror(3) says.
package func errorText(_ number: CInt) -> String { unsafe String(cString: ch_error_text(number)) }

/// Who is at the other end of a Unix socket, as the kernel says.
package enum PeerCredentials {
  /// The user that listens or connected; nil where the socket has no peer.
  package static func uid(of channel: any Channel) -> EventLoopFuture<UInt32?> {
    guard let socket = channel as? any SocketOptionProvider else {
      return channel.eventLoop.makeSucceededFuture(nil)
    }
    let credentials: EventLoopFuture<ch_credentials> = socket.unsafeGetSocketOption(
      level: .socket, name: NIOBSDSocket.Option(rawValue: SO_PEERCRED))
    return credentials.map { $0.uid == .max ? nil : $0.uid }
  }
}
