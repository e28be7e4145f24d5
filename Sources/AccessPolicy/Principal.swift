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

  package func matches(_ principal: Principal) -> Bool {
    switch self {
    case .uid(let uid): uid == principal.uid
    case .gid(let gid): gid == principal.gid
    case .certificate(let name): principal.names.contains(name)
    }
  }

  /// `uid:1000`, `gid:1000`, `spiffe://acme.example/billing`, `dns:billing.acme.example`
  package var text: String {
    switch self {
    case .uid(let uid): "uid:\(uid)"
    case .gid(let gid): "gid:\(gid)"
    case .certificate(let name): name.text
    }
  }
}
