internal import CLinux
internal import Glibc

/// An address that a door listens at on TCP, bound and not listening yet. Who was accepted there and is not heard of any
/// more is let go within 30 seconds.
package struct TCPSocket: Sendable {
  /// `127.0.0.1:7443`, `[::1]:7443`
  package let text: String
  let descriptor: CInt

  /// `host` is a number as inet_ntop(3) spells it.
  package init(host: String, port: UInt16, isIPv6: Bool) throws(DoorError) {
    text = isIPv6 ? "[\(host)]:\(port)" : "\(host):\(port)"
    descriptor = unsafe ch_bind_tcp(host, port, isIPv6 ? 1 : 0)
    guard descriptor >= 0 else { throw .address(text, errno: errno) }
  }
}
