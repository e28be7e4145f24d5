/// What the service is told at its start: where things are, and how much of them.
///
/// Paths are ready to use: what was relative in the file begins at the file's directory.
package struct ServiceConfiguration: Equatable, Sendable {
  package struct Keyring: Equatable, Sendable {
    package let directory: String
    /// The systemd credential that holds the passphrase.
    package let passphraseCredential: String?
    package let newVersions: NewVersions

    package init(
      directory: String, passphraseCredential: String? = nil, newVersions: NewVersions = .service
    ) {
      self.directory = directory
      self.passphraseCredential = passphraseCredential
      self.newVersions = newVersions
    }
  }

  /// Who makes new versions of the master key. Where it is the operator, the service only reads its keyring.
  package enum NewVersions: String, CaseIterable, Sendable {
    case service
    case `operator`
  }

  package struct Log: Equatable, Sendable {
    package let directory: String
    /// The name that the log was made with.
    package let name: String
    package let segmentBytes: UInt64
    package let firstSegmentBytes: UInt64
    /// The file of the key that signs heads; nil signs none.
    package let signingKey: String?
    /// Where the newest head is written too, on another disk.
    package let anchor: String?

    package init(
      directory: String, name: String, segmentBytes: UInt64, firstSegmentBytes: UInt64, signingKey: String? = nil,
      anchor: String? = nil
    ) {
      self.signingKey = signingKey
      self.anchor = anchor
      self.directory = directory
      self.name = name
      self.segmentBytes = segmentBytes
      self.firstSegmentBytes = firstSegmentBytes
    }
  }

  package struct Socket: Equatable, Sendable {
    package let path: String
    package let mode: UInt32
    /// The group that the socket is given to; nil leaves it with the service's own.
    package let gid: UInt32?

    package init(path: String, mode: UInt32, gid: UInt32? = nil) {
      self.path = path
      self.mode = mode
      self.gid = gid
    }
  }

  /// A door on TCP, with TLS.
  package struct Listener: Equatable, Sendable {
    package let address: ListenAddress
    package let tls: TLSFiles

    package init(address: ListenAddress, tls: TLSFiles) {
      self.address = address
      self.tls = tls
    }
  }

  /// All in PEM but the last.
  package struct TLSFiles: Equatable, Sendable {
    /// The service's own, then those between it and its CA.
    package let certificate: String
    package let key: String
    /// The CAs whose clients may come.
    package let clientCA: String
    /// Fingerprints of certificates that are not taken any more.
    package let revoked: String?

    package init(certificate: String, key: String, clientCA: String, revoked: String? = nil) {
      self.certificate = certificate
      self.key = key
      self.clientCA = clientCA
      self.revoked = revoked
    }

    package var paths: [String] { [certificate, key, clientCA] + (revoked.map { [$0] } ?? []) }
  }

  /// What may be missing that protects secrets in memory.
  package enum Allowance: String, CaseIterable, Sendable {
    case unlockedMemory = "unlocked-memory"
    case swap
    case preload
    case root
  }

  package let keyring: Keyring
  /// The SQLite file.
  package let store: String
  package let log: Log
  package let policy: String
  /// The file of tokens; nil: none is looked at.
  package let tokens: String?
  package let dataSocket: Socket
  package let adminSocket: Socket
  /// nil: there is no HTTP door.
  package let httpSocket: Socket?
  /// The same doors on TCP; nil: there is none.
  package let dataTCP: Listener?
  package let httpTCP: Listener?
  package let eventLoops: Int
  /// Opened keys that each event loop keeps.
  package let keysAtHand: Int
  /// Of one door.
  package let connectionsMax: Int
  /// Of one door, for one user: the others' share is what is left.
  package let connectionsPerUserMax: Int
  package let allow: Set<Allowance>
  package let insecureExampleKeys: Bool

  /// Of all doors.
  package var sockets: [Socket] { [dataSocket, adminSocket] + (httpSocket.map { [$0] } ?? []) }

  /// Of all doors on TCP, with their keys in the file.
  package var listeners: [(name: String, listener: Listener)] {
    [("data-tcp", dataTCP), ("http-tcp", httpTCP)].compactMap { name, one in one.map { (name, $0) } }
  }

  /// The directory that the keyring must lie apart from.
  package var storeDirectory: String {
    guard let slash = store.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
    return slash == store.startIndex ? "/" : String(store[..<slash])
  }
}
