internal import ChatelaineAuditTrail
internal import ChatelaineCustody
internal import ChatelaineVocabulary

/// What `init` tells of what it made: one trust sentence each.
struct InitReport {
  let directory: String
  let key: MasterKey
  /// Under which the log's heads hold.
  let logKey: NoteKey
  let seal: SealOption
  let files: InitFiles

  private static let parts: [(name: String, trust: String)] = [
    ("chatelaine.yaml", "the configuration; no secret, but whoever changes it decides what the service uses"),
    ("policy.yaml", "who may do what; whoever changes it gives keys' use away"),
    ("keyring/", "the master key; whoever reads it and a copy of store/ reads everything"),
    ("signing/", "the key that signs the log's heads; whoever reads it can sign a forged log, and opens nothing"),
    ("store/", "wrapped keys (SQLite); reading it gives nothing, changing it is found"),
    ("log/", "who used which key, when and why; no plaintext and no key, and changing it is found"),
    ("run/", "the service's sockets; who connects is told by the kernel, not by the caller"),
  ]

  func rendered(json: Bool) -> String { json ? self.json : text }

  private var text: String {
    let parts = made.map { "  \($0.name.padded(to: 17))\($0.trust)" }.joined(separator: "\n")
    return """
      made \(printable(directory))/
      \(parts)
      keyring          \(key.reference.id.hex)
      key check value  \(key.keyCheckValue.hex)
      log key          \(logKey.text)
      \(roles)
      Keep a second copy of keyring/ in another place: nothing else replaces it.
      Keep the log key's line where this machine cannot write: the log's heads are checked with it.
      next: \(printable(next))
      """
  }

  /// The example keyring is not made here.
  private var made: [(name: String, trust: String)] {
    Self.parts.filter { files.exampleKeys == nil || $0.name != "keyring/" }
  }

  private var roles: String {
    guard let application = files.application else {
      return "uid \(files.uid) has every role here: for trying things out, not for use; see policy.yaml."
    }
    return
      "\(application.principal) may encrypt and decrypt, uid \(files.uid) may administer; see policy.yaml."
  }

  private var next: String {
    "chatelained --config \(directory)/chatelaine.yaml" + (files.uid == 0 ? " --allow-root" : "")
  }

  private var json: String {
    JSON.object([
      ("directory", .string(directory)), ("config", .string(directory + "/chatelaine.yaml")),
      ("keyringId", .string(key.reference.id.hex)), ("version", .number(UInt64(key.reference.version))),
      ("seal", .string(seal.rawValue)), ("keyCheckValue", .string(key.keyCheckValue.hex)),
      ("logName", .string(files.logName)), ("logKey", .string(logKey.text)), ("serviceUid", .number(UInt64(files.uid))),
      ("applicationUid", .number(UInt64(files.application?.uid ?? files.uid))),
      ("rolesCombined", .bool(files.application == nil)),
      (
        "made",
        .array(made.map { .object([("name", .string($0.name)), ("trust", .string($0.trust))]) })
      ),
      ("next", .string(next)),
    ]).text
  }
}

extension String {
  fileprivate func padded(to width: Int) -> String {
    self + String(repeating: " ", count: max(1, width - utf8.count))
  }
}
