internal import ArgumentParser
internal import ChatelaineAdminClient
internal import ChatelaineClient
internal import ChatelaineConfiguration
internal import ChatelaineCustody
internal import ChatelaineExits
internal import Glibc

/// Who serves, and where its configuration lies.
struct ServerOptions: ParsableArguments {
  @Option(help: "The service's configuration: says where its sockets are, and which user it runs as.")
  var config: String?

  @Option(
    name: .customLong("server-uid"),
    help:
      "The user that must be serving the socket. Without it: the owner of the keyring that --config names, else you."
  )
  var uid: UInt32?

  /// Read only where it is named.
  func settings() throws -> ServiceConfiguration? {
    guard let config else { return nil }
    return try ServiceConfiguration(ConfigurationFile.read(config, of: .anyone), file: config, accounts: .system())
  }

  func identity(_ settings: ServiceConfiguration?) throws(Failure) -> ServerIdentity {
    if let uid { return .uid(uid) }
    guard let config, let settings else { return .sameUserAsCaller }
    let server = try Self.owner(ofKeyring: settings.keyring.directory)
    var status = stat()
    // why: or whoever wrote a file could say that somebody else is to be trusted.
    guard unsafe stat(config, &status) == 0, [0, geteuid(), server].contains(status.st_uid) else {
      throw Failure(
        .noPermission,
        "\(printable(config)): it is uid \(status.st_uid)'s, and its keyring is uid \(server)'s: give --server-uid N"
      )
    }
    return .uid(server)
  }

  /// Whoever runs the service owns its keyring, or would not start; that needs no reading of it. Where it cannot be seen
  /// at all, the directory that hides it is that user's.
  private static func owner(ofKeyring directory: String) throws(Failure) -> UInt32 {
    var (path, status) = (directory, stat())
    var isSeen = unsafe lstat(path, &status) == 0
    let reason = errno
    while !isSeen, errno == EACCES, let slash = path.lastIndex(of: "/"), slash > path.startIndex {
      path = String(path[..<slash])
      isSeen = unsafe stat(path, &status) == 0
    }
    // why: root hides things for others.
    guard isSeen, path == directory || status.st_uid != 0 else {
      throw Failure(
        .noInput,
        "\(printable(directory)): its owner, who runs the service, cannot be seen (\(systemText(reason))): give --server-uid N"
      )
    }
    return status.st_uid
  }
}

/// The way to the data socket.
struct DataSocketOptions: ParsableArguments {
  @Option(help: "The data socket. Without it: --config, else CHATELAINE_SOCKET.")
  var socket: String?

  @OptionGroup var server: ServerOptions

  /// Whether any way to a service is given.
  var isNamed: Bool { socket != nil || server.config != nil || environment("CHATELAINE_SOCKET") != nil }

  func connect() async throws -> ChatelaineConnection {
    let settings = try server.settings()
    guard let path = socket ?? settings?.dataSocket.path ?? environment("CHATELAINE_SOCKET") else {
      throw ValidationError("Give --socket PATH or --config FILE, or set CHATELAINE_SOCKET.")
    }
    var options = ConnectionOptions()
    options.timeout = .seconds(30)
    return try await ChatelaineConnection.connect(
      path: path, expecting: try server.identity(settings), options: options)
  }
}

/// The way to the admin socket, and how its answers are printed.
struct AdminOptions: ParsableArguments {
  @Option(
    name: .customLong("admin-socket"),
    help: "The admin socket. Without it: --config, else CHATELAINE_ADMIN_SOCKET.")
  var socket: String?

  @OptionGroup var server: ServerOptions
  @OptionGroup var tags: TagOptions

  @Flag(help: "Print JSON: one line, or in a list one line for each.")
  var json = false

  /// Lends a connection to the admin service.
  func withService<Result>(_ body: (AdminClient) async throws -> Result) async throws -> Result {
    let settings = try server.settings()
    guard let path = socket ?? settings?.adminSocket.path ?? environment("CHATELAINE_ADMIN_SOCKET") else {
      throw ValidationError("Give --admin-socket PATH or --config FILE, or set CHATELAINE_ADMIN_SOCKET.")
    }
    var options = ConnectionOptions()
    // why: a change waits until every connection has forgotten what it made stale.
    options.timeout = .seconds(60)
    let connection = try await ChatelaineConnection.connect(
      path: path, expecting: try server.identity(settings), options: options)
    let result = try await body(AdminClient(connection, options: tags.options))
    await connection.close()
    return result
  }
}

/// What a call says of itself for the log.
struct TagOptions: ParsableArguments {
  @Option(help: "On whose behalf, for the log.")
  var actor = ""

  @Option(help: "Why, for the log.")
  var purpose = ""

  @Option(help: "Names the call in the log: 32 hexadecimal digits.", transform: parseRequestID)
  var requestID: RequestID?

  var options: CallOptions { CallOptions(requestID: requestID, actor: actor, purpose: purpose) }
}

private func parseRequestID(_ text: String) throws -> RequestID {
  guard let id = RequestID(text) else {
    throw ValidationError("'\(text)' is not 32 hexadecimal digits, at least one of them not 0")
  }
  return id
}

private func environment(_ name: String) -> String? {
  guard let value = unsafe getenv(name) else { return nil }
  let text = unsafe String(cString: value)
  return text.isEmpty ? nil : text
}

/// A tenant's key as commands name it: `TENANT/KEY`.
struct KeyPath: ExpressibleByArgument {
  let tenant: String
  let key: String

  init?(argument: String) {
    let parts = argument.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else { return nil }
    tenant = String(parts[0])
    key = String(parts[1])
  }
}
