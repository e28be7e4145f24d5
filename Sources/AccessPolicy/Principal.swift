package import ChatelaineVocabulary

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
  /// Whoever carries a token of this name and, where one is said, with this subject.
  case token(KeyName, subject: [UInt8]?)

  /// Whether the rule is about somebody by what the kernel says of them; of tokens `matches(_: Bearer)` says it.
  package func matches(_ principal: Principal) -> Bool {
    switch self {
    case .uid(let uid): uid == principal.uid
    case .gid(let gid): gid == principal.gid
    case .token: false
    }
  }

  package func matches(_ bearer: Bearer) -> Bool {
    guard case .token(let name, let subject) = self, name == bearer.name else { return false }
    return subject == nil || subject == bearer.subject
  }

  var isToken: Bool { if case .token = self { true } else { false } }

  /// `uid:1000`, `gid:1000`, `token:platform/alice`
  package var text: String {
    switch self {
    case .uid(let uid): "uid:\(uid)"
    case .gid(let gid): "gid:\(gid)"
    case .token(let name, let subject):
      "token:\(name.rawValue)" + (subject.map { "/" + String(decoding: $0, as: UTF8.self) } ?? "")
    }
  }
}
