internal import ChatelaineVocabulary
internal import Foundation

extension ServiceConfiguration {
  private static let keys = [
    "version", "keyring", "store", "log", "policy", "tokens", "data-socket", "admin-socket", "http-socket", "data-tcp",
    "http-tcp", "event-loops",
    "keys-at-hand",
    "connections-max", "connections-per-user-max", "allow", "insecure-example-keys",
  ]

  /// `file` is the path of the file: for sentences, and where its relative paths begin.
  package init(_ bytes: [UInt8], file: String, accounts: AccountNames) throws(ConfigurationError) {
    do throws(Fault) { self = try Self.parse(bytes, file, accounts) } catch { throw error.error(in: file) }
  }

  private static func parse(
    _ bytes: [UInt8], _ file: String, _ accounts: AccountNames
  ) throws(Fault) -> ServiceConfiguration {
    let root = try YAMLFile.parse(bytes)
    try Fields.checkVersion(root)
    let fields = try Fields(root, known: keys)
    let data = try socket(fields, "data-socket", mode: nil, file, accounts)
    let admin = try socket(fields, "admin-socket", mode: 0o600, file, accounts)
    let http = fields.optional("http-socket") == nil ? nil : try socket(fields, "http-socket", mode: nil, file, accounts)
    try checkApart("admin-socket", admin, from: "data-socket", data, fields)
    if let http {
      try checkApart("http-socket", http, from: "data-socket", data, fields)
      try checkApart("http-socket", http, from: "admin-socket", admin, fields)
    }
    let (keyring, store) = (try keyring(fields, file), try path(fields, "store", file))
    let log = try log(fields, file)
    // why: a socket replaces what is at its path, and its directory is open to more people.
    let taken = [("keyring.directory", keyring.directory + "/"), ("store", store), ("log.directory", log.directory + "/")]
    let sockets = [("data-socket", data), ("admin-socket", admin)] + (http.map { [("http-socket", $0)] } ?? [])
    for (key, socket) in sockets {
      for (owner, inside) in taken where isOneDirectory(socket.path, inside) {
        throw Fault(try fields.required(key).line, .socketAmong(key: key + ".path", owner: owner))
      }
    }
    let (dataTCP, httpTCP) = (try listener(fields, "data-tcp", file), try listener(fields, "http-tcp", file))
    if let dataTCP, let httpTCP, dataTCP.address == httpTCP.address {
      throw Fault(try fields.required("http-tcp").line, .sameAddress(key: "http-tcp.listen", other: "data-tcp.listen"))
    }
    let connections = try fields.number("connections-max", in: Limits.connectionsMaxRange, default: 1024)
    return ServiceConfiguration(
      keyring: keyring, store: store, log: log, policy: try path(fields, "policy", file),
      tokens: try optionalPath(fields, "tokens", file), dataSocket: data, adminSocket: admin, httpSocket: http,
      dataTCP: dataTCP, httpTCP: httpTCP,
      eventLoops: Int(try fields.number("event-loops", in: Limits.eventLoopsRange, default: 1)),
      keysAtHand: Int(try fields.number("keys-at-hand", in: Limits.keysAtHandRange, default: 2000)),
      connectionsMax: Int(connections),
      connectionsPerUserMax: Int(
        try fields.number("connections-per-user-max", in: 1...connections, default: max(1, connections / 2))),
      allow: try allowances(fields), insecureExampleKeys: try fields.flag("insecure-example-keys"))
  }

  private static func checkApart(
    _ key: String, _ socket: Socket, from other: String, _ otherSocket: Socket, _ fields: Fields
  ) throws(Fault) {
    guard isOnePlace(socket.path, otherSocket.path) else { return }
    throw Fault(try fields.required(key).line, .sameSocket(key: key, other: other))
  }

  /// Whether two paths lead to one name in one directory, however they are written.
  private static func isOnePlace(_ one: String, _ other: String) -> Bool {
    let names = [one, other].map { URL(fileURLWithPath: $0).lastPathComponent }
    return names[0].utf8.elementsEqual(names[1].utf8) && isOneDirectory(one, other)
  }

  /// Whether what two paths name lies in one directory; of a path with a slash at its end, that is itself.
  private static func isOneDirectory(_ one: String, _ other: String) -> Bool {
    let directories = [one, other].map { path in
      path.utf8.last == UInt8(ascii: "/")
        ? URL(fileURLWithPath: path) : URL(fileURLWithPath: path).deletingLastPathComponent()
    }
    if directories[0].standardizedFileURL.path == directories[1].standardizedFileURL.path { return true }
    let facts = directories.map { try? FileManager.default.attributesOfItem(atPath: $0.resolvingSymlinksInPath().path) }
    let places = facts.map { [$0?[.systemNumber], $0?[.systemFileNumber]].compactMap { ($0 as? NSNumber)?.uint64Value } }
    return places[0].count == 2 && places[0] == places[1]
  }

  private static func path(_ fields: Fields, _ key: String, _ file: String) throws(Fault) -> String {
    let text = try fields.text(key)
    guard text.utf8.count <= Limits.pathBytesMax else {
      throw Fault(try fields.required(key).line, .path(key: fields.name(key)))
    }
    return ConfigurationFile.resolve(text, besides: file)
  }

  private static func optionalPath(_ fields: Fields, _ key: String, _ file: String) throws(Fault) -> String? {
    fields.optional(key) == nil ? nil : try path(fields, key, file)
  }

  private static func keyring(_ fields: Fields, _ file: String) throws(Fault) -> Keyring {
    let keyring = try Fields(
      try fields.required("keyring"), of: "keyring", known: ["directory", "passphrase-credential", "new-versions"])
    var newVersions = NewVersions.service
    if let word = try keyring.optionalText("new-versions") {
      newVersions = try Fields.word(word, try keyring.required("new-versions").line, keyring.name("new-versions"))
    }
    return Keyring(
      directory: try path(keyring, "directory", file),
      passphraseCredential: try keyring.optionalText("passphrase-credential"), newVersions: newVersions)
  }

  private static func log(_ fields: Fields, _ file: String) throws(Fault) -> Log {
    let value = try fields.required("log")
    let log = try Fields(
      value, of: "log",
      known: ["directory", "name", "segment-bytes", "first-segment-bytes", "signing-key", "anchor"])
    let name = try log.text("name")
    guard isLogName(name) else { throw Fault(try log.required("name").line, .logName) }
    let range = Limits.segmentBytesRange
    let segment = try log.number("segment-bytes", in: range, default: 512 << 20)
    let first = try log.number("first-segment-bytes", in: range, default: min(1 << 20, segment))
    guard first <= segment else { throw Fault(value.line, .segmentBytes) }
    let signingKey = try optionalPath(log, "signing-key", file)
    let anchor = try optionalPath(log, "anchor", file)
    guard anchor == nil || signingKey != nil else { throw Fault(try log.required("anchor").line, .anchorAlone) }
    return Log(
      directory: try path(log, "directory", file), name: name, segmentBytes: segment, firstSegmentBytes: first,
      signingKey: signingKey, anchor: anchor)
  }

  /// As an epoch's descriptor has it (docs/formats/segment.md).
  package static func isLogName(_ name: String) -> Bool {
    (1...128).contains(name.utf8.count)
      && name.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
          true
        default: false
        }
      }
  }

  private static func socket(
    _ fields: Fields, _ key: String, mode standard: UInt32?, _ file: String, _ accounts: AccountNames
  ) throws(Fault) -> Socket {
    let value = try fields.required(key)
    let socket = try Fields(value, of: key, known: ["path", "mode", "group"])
    let path = try path(socket, "path", file)
    guard path.utf8.count <= ConfigurationError.socketPathBytesMax else {
      throw Fault(
        try socket.required("path").line, .socketPath(key: socket.name("path"), byteCount: path.utf8.count))
    }
    return Socket(path: path, mode: try mode(socket, standard), gid: try group(socket, accounts))
  }

  /// nil: there is no such door.
  private static func listener(_ fields: Fields, _ key: String, _ file: String) throws(Fault) -> Listener? {
    guard let value = fields.optional(key) else { return nil }
    let listener = try Fields(value, of: key, known: ["listen", "tls"])
    let text = try listener.text("listen")
    guard let address = ListenAddress(text) else {
      throw Fault(try listener.required("listen").line, .address(key: listener.name("listen"), text))
    }
    guard let inner = listener.optional("tls") else { throw Fault(value.line, .noTLS(key: listener.name("tls"))) }
    let tls = try Fields(inner, of: listener.name("tls"), known: ["certificate", "key", "client-ca", "revoked"])
    return Listener(
      address: address,
      tls: TLSFiles(
        certificate: try path(tls, "certificate", file), key: try path(tls, "key", file),
        clientCA: try path(tls, "client-ca", file), revoked: try optionalPath(tls, "revoked", file)))
  }

  private static func mode(_ socket: Fields, _ standard: UInt32?) throws(Fault) -> UInt32 {
    if let standard, socket.optional("mode") == nil { return standard }
    let text = try socket.text("mode")
    guard (3...4).contains(text.utf8.count), let mode = UInt32(text, radix: 8),
      text.utf8.first != UInt8(ascii: "+"),
      mode <= 0o777, mode & 0o600 == 0o600
    else { throw Fault(try socket.required("mode").line, .mode(key: socket.name("mode"))) }
    return mode
  }

  private static func group(_ socket: Fields, _ accounts: AccountNames) throws(Fault) -> UInt32? {
    guard let name = try socket.optionalText("group") else { return nil }
    if let gid = UInt32(name) ?? accounts.gid(ofGroup: name) { return gid }
    throw Fault(try socket.required("group").line, .account("group:" + name))
  }

  private static func allowances(_ fields: Fields) throws(Fault) -> Set<Allowance> {
    var allowances: Set<Allowance> = []
    for (text, line) in try fields.texts("allow") ?? [] {
      allowances.insert(try Fields.word(text, line, "allow"))
    }
    return allowances
  }
}
