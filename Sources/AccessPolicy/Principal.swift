package import ChatelaineVocabulary

/// Who asks: the user at the other end of a Unix socket, as the kernel says, or the holder of a certificate, as TLS
/// does.
package struct Principal: Hashable, Sendable {
  /// The kernel's number for nobody where a certificate says who it is.
  package let uid: UInt32
  /// The primary group.
  package let gid: UInt32
  /// What the certificate's names say; none for a user of this machine.
  package let names: [CertificateName]

  package init(uid: UInt32, gid: UInt32) {
    self.uid = uid
    self.gid = gid
    names = []
  }

  /// The holder of a certificate: no uid and no group, so that no rule about one is about them.
  package init(certificate names: [CertificateName]) {
    uid = .max
    gid = .max
    self.names = names
  }

  /// What the log shows: `uid:1000`, or a certificate's first name.
  package var text: [UInt8] { Array((names.first?.text ?? "uid:\(uid)").utf8) }
}

/// Whom a rule is about.
package enum PrincipalPattern: Hashable, Sendable {
  case uid(UInt32)
  /// Everybody whose primary group it is.
  case gid(UInt32)
  /// Whoever has a certificate with this name.
  case certificate(CertificateName)
  /// Whoever carries a token of this name and, where one is said, with this subject.
  case token(KeyName, subject: [UInt8]?)

  /// Whether the rule is about somebody by what the kernel says of them; of tokens `matches(_: Bearer)` says it.
  package func matches(_ principal: Principal) -> Bool {
    switch self {
    case .uid(let uid): uid == principal.uid
    case .gid(let gid): gid == principal.gid
    case .certificate(let name): principal.names.contains(name)
    case .token: false
    }
  }

  package func matches(_ bearer: Bearer) -> Bool {
    guard case .token(let name, let subject) = self, name == bearer.name else { return false }
    return subject == nil || subject == bearer.subject
  }

  var isToken: Bool { if case .token = self { true } else { false } }

  /// `uid:1000`, `gid:1000`, `spiffe://acme.example/billing`, `dns:billing.acme.example`, `token:platform/alice`
  package var text: String {
    switch self {
    case .uid(let uid): "uid:\(uid)"
    case .gid(let gid): "gid:\(gid)"
    case .certificate(let name): name.text
    case .token(let name, let subject):
      "token:\(name.rawValue)" + (subject.map { "/" + String(decoding: $0, as: UTF8.self) } ?? "")
    }
  }
}
