internal import ChatelaineVocabulary
internal import ChatelaineWire
internal import Foundation

/// What a load can be put on.
struct Server {
  let name: String
  let kind: LoadSession.Kind
  let socket: String
  let program: Program

  /// The request of a body: each kind of server is asked the same thing in its own words.
  func request(_ body: [UInt8]) throws -> [UInt8] {
    kind == .http ? Requests.http(body) : try Requests.encrypt(body)
  }
}

/// A service of its own, made by the programs that lie beside this one, with one tenant and one key.
struct House {
  let server: Server
  /// The same service's HTTP door; its tenant is called as the floor's mount is.
  let http: Server?
  let folder: String
  var log: String { folder + "/log" }

  /// `service` is another build of `chatelained`, which opens only the example keyring in `exampleKeys`.
  init(in scratch: ScratchFolder, name: String = "chatelaine", service: String? = nil, exampleKeys: String? = nil) throws {
    folder = scratch.path + "/" + name
    try output(of: Beside.command, ["init", folder] + (exampleKeys.map { ["--insecure-example-keys", $0] } ?? []))
    try Self.addHTTP(folder)
    server = try Self.start(folder, name: name, service: service, exampleKeys: exampleKeys != nil)
    http = Server(name: name + ", HTTP", kind: .http, socket: folder + "/run/http.sock", program: server.program)
    for tenant in [Requests.tenant, "transit"] {
      try command("tenant", "create", tenant)
      try command("key", "create", "\(tenant)/\(Requests.key)")
    }
  }

  /// The service of a folder that is there already.
  init(at folder: String) throws {
    self.folder = folder
    server = try Self.start(folder, name: "chatelaine", service: nil, exampleKeys: false)
    http = nil
  }

  private static func addHTTP(_ folder: String) throws {
    let path = folder + "/chatelaine.yaml"
    let text = try String(contentsOfFile: path, encoding: .utf8)
    try (text + "http-socket:\n  path: run/http.sock\n  mode: \"0600\"\n").write(toFile: path, atomically: false, encoding: .utf8)
  }

  private static func start(_ folder: String, name: String, service: String?, exampleKeys: Bool) throws -> Server {
    let arguments = ["--config", folder + "/chatelaine.yaml", "--allow-root"]
    let program = try Program(
      service ?? Beside.service, arguments + (exampleKeys ? ["--insecure-example-keys"] : []),
      output: folder + "/service.out")
    let socket = folder + "/run/data.sock"
    try program.waitForSocket(socket)
    return Server(name: name, kind: .ttrpc, socket: socket, program: program)
  }

  func command(_ arguments: String...) throws {
    try output(of: Beside.command, arguments + ["--config", folder + "/chatelaine.yaml"])
  }

  /// One call, and the results of its reply.
  func call(_ method: KeyMethod, _ bodies: [[UInt8]], tenant: String = Requests.tenant, key: String? = Requests.key)
    throws -> [[UInt8]]
  {
    let namesKey = [.encrypt, .encryptBatch, .issueDataKey].contains(method)
    let frame = try Requests.frame(method, bodies, tenant: tenant, key: namesKey ? key : nil)
    return try Requests.results(of: method, LoadSession.once(server.socket, frame).sample)
  }
}

/// The least that a server on a Unix socket can do, in C.
func echoFloor(in scratch: ScratchFolder) throws -> Server {
  let socket = scratch.path + "/echo.sock"
  let program = try Program(
    Beside.bench, ["serve-echo", socket], output: scratch.path + "/echo.out", endsWithInput: true)
  try program.waitForSocket(socket)
  return Server(name: "echo in C", kind: .echo, socket: socket, program: program)
}

/// The least that an encryption service over HTTP must do, in Go: see Floors/transit.go. Throws where it cannot be
/// built here, with the reason.
func transitFloor(in scratch: ScratchFolder) throws -> Server {
  let source = scratch.path + "/transit.go"
  let program = scratch.path + "/transit"
  _ = FileManager.default.createFile(atPath: source, contents: Data(PackageResources.transit_go))
  guard let go = ["/usr/bin/go", "/usr/local/go/bin/go"].first(where: FileManager.default.isExecutableFile) else {
    throw BenchError("no Go compiler here: install Debian's golang-go")
  }
  say("building the transit floor …")
  try output(of: go, ["build", "-o", program, source])
  let socket = scratch.path + "/transit.sock"
  let running = try Program(
    program, [socket, scratch.path + "/transit.log"], output: scratch.path + "/transit.out", endsWithInput: true)
  try running.waitForSocket(socket)
  return Server(name: "transit in Go", kind: .http, socket: socket, program: running)
}
