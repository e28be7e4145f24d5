/// Who asks, as the kernel says of the other end of a socket.
package struct Principal: Hashable, Sendable {
  package let uid: UInt32
  /// The primary group.
  package let gid: UInt32

  package init(uid: UInt32, gid: UInt32) {
    self.uid = uid
    self.gid = gid
  }

  /// What the log shows: `uid:1000`.
  package var text: [UInt8] { Array("uid:\(uid)".utf8) }
}

/// Whom a rule is about.
package enum PrincipalPattern: Hashable, Sendable {
  case uid(UInt32)
  /// Everybody whose primary group it is.
  case gid(UInt32)

  package func matches(_ principal: Principal) -> Bool {
    switch self {
    case .uid(let uid): uid == principal.uid
    case .gid(let gid): gid == principal.gid
    }
  }

  /// `uid:1000`, `gid:1000`
  package var text: String {
    switch self {
    case .uid(let uid): "uid:\(uid)"
    case .gid(let gid): "gid:\(gid)"
    }
  }
}
