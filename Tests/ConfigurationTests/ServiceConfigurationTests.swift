import ChatelaineConfiguration
import Testing

@Suite("Service configuration")
struct ServiceConfigurationTests {
  static let accounts = AccountNames(
    passwd: Array("root:x:0:0:root:/root:/bin/sh\napp:x:1000:100::/:/bin/false\n".utf8),
    group: Array("root:x:0:\nusers:x:100:app\n".utf8))

  static let smallest = """
    version: 1
    keyring:
      directory: keyring
    store: store/keys.sqlite
    log:
      directory: log
      name: main
    policy: policy.yaml
    data-socket:
      path: run/data.sock
      mode: "0660"
    admin-socket:
      path: run/admin.sock
    """

  static func parse(_ text: String, file: String = "/etc/chatelaine/c.yaml") throws(ConfigurationError)
    -> ServiceConfiguration
  {
    try ServiceConfiguration(Array(text.utf8), file: file, accounts: accounts)
  }

  /// The sentence that refuses the smallest configuration with one text in it replaced.
  static func refusal(of text: String = smallest, _ old: String = "", _ new: String = "") -> String? {
    do throws(ConfigurationError) {
      _ = try parse(old.isEmpty ? text + new : text.replacing(old, with: new), file: "c.yaml")
      return nil
    } catch { return error.sentence }
  }

  @Test("The smallest configuration has the defaults, and its paths begin where it lies")
  func smallest() throws {
    let configuration = try Self.parse(Self.smallest)
    #expect(configuration.keyring == .init(directory: "/etc/chatelaine/keyring", passphraseCredential: nil))
    #expect(configuration.store == "/etc/chatelaine/store/keys.sqlite")
    #expect(configuration.storeDirectory == "/etc/chatelaine/store")
    #expect(
      configuration.log
        == .init(
          directory: "/etc/chatelaine/log", name: "main", segmentBytes: 512 << 20, firstSegmentBytes: 1 << 20)
    )
    #expect(configuration.policy == "/etc/chatelaine/policy.yaml")
    #expect(configuration.dataSocket == .init(path: "/etc/chatelaine/run/data.sock", mode: 0o660, gid: nil))
    #expect(configuration.adminSocket == .init(path: "/etc/chatelaine/run/admin.sock", mode: 0o600, gid: nil))
    #expect(configuration.httpSocket == nil && configuration.sockets.count == 2)
    #expect(
      (configuration.eventLoops, configuration.keysAtHand, configuration.connectionsMax) == (1, 2000, 1024))
    #expect(configuration.connectionsPerUserMax == 512)
    #expect(configuration.allow.isEmpty && !configuration.insecureExampleKeys)
  }

  @Test("Everything that can be said is read")
  func everything() throws {
    let configuration = try Self.parse(
      """
      # A comment, and quotes of both kinds.
      version: 1
      keyring: { directory: '/srv/k', passphrase-credential: "chatelaine-passphrase" }
      store: /srv/s/keys.sqlite   # another
      log:
        directory: /srv/l
        name: prod.1
        segment-bytes: 8388608
        first-segment-bytes: 1048576
      policy: ../p.yaml
      data-socket: {path: /run/c/data.sock, mode: "0666", group: users}
      admin-socket: {path: /run/c/admin.sock, mode: 0660, group: "27"}
      http-socket: {path: /run/c/http.sock, mode: "0660", group: users}
      event-loops: 4
      keys-at-hand: 10
      connections-max: 7
      allow: [swap, unlocked-memory]
      insecure-example-keys: true
      """, file: "etc/c.yaml")
    #expect(
      configuration.keyring == .init(directory: "/srv/k", passphraseCredential: "chatelaine-passphrase"))
    #expect(
      configuration.log
        == .init(directory: "/srv/l", name: "prod.1", segmentBytes: 8_388_608, firstSegmentBytes: 1_048_576))
    #expect(configuration.policy == "etc/../p.yaml")
    #expect(configuration.dataSocket == .init(path: "/run/c/data.sock", mode: 0o666, gid: 100))
    #expect(configuration.adminSocket == .init(path: "/run/c/admin.sock", mode: 0o660, gid: 27))
    #expect(configuration.httpSocket == .init(path: "/run/c/http.sock", mode: 0o660, gid: 100))
    #expect((configuration.eventLoops, configuration.keysAtHand, configuration.connectionsMax) == (4, 10, 7))
    #expect(configuration.connectionsPerUserMax == 3)
    #expect(configuration.allow == [.swap, .unlockedMemory] && configuration.insecureExampleKeys)
    #expect(try Self.parse(Self.smallest, file: "c.yaml").store == "store/keys.sqlite")
  }

  @Test("Row 50: an unknown key is refused with its line and the nearest valid name")
  func unknownKeys() {
    #expect(Self.refusal() == nil, "the control")
    #expect(
      Self.refusal("", "\nkeys-at-hnad: 5")
        == "c.yaml:14: unknown key 'keys-at-hnad': did you mean 'keys-at-hand'?")
    #expect(
      Self.refusal("name: main", "nmae: main") == "c.yaml:7: unknown key 'log.nmae': did you mean 'name'?")
    #expect(
      Self.refusal("  directory: keyring", "  directroy: keyring")
        == "c.yaml:3: unknown key 'keyring.directroy': did you mean 'directory'?")
    #expect(
      Self.refusal("mode:", "Mode:") == "c.yaml:11: unknown key 'data-socket.Mode': did you mean 'mode'?")
    #expect(
      Self.refusal("mode:", "zzzzzzzzz:")
        == "c.yaml:11: unknown key 'data-socket.zzzzzzzzz': known are path, mode, group")
    let long = String(repeating: "k", count: 1000)
    #expect(Self.refusal("", "\n\(long): 5")?.contains("known are version, keyring") == true)
  }

  @Test("Row 50: a value of the wrong type is refused with its line")
  func types() {
    let cases: [(old: String, new: String, sentence: String)] = [
      ("version: 1", "version: one", "c.yaml:1: 'version' takes a whole number, without quotes"),
      ("version: 1", "version: \"1\"", "c.yaml:1: 'version' takes a whole number, without quotes"),
      ("store: store/keys.sqlite", "store: [a]", "c.yaml:4: 'store' takes a text"),
      ("store: store/keys.sqlite", "store:", "c.yaml:4: 'store' takes a text"),
      ("store: store/keys.sqlite", "store: yes", "c.yaml:4: 'store' takes a text"),
      (
        "store: store/keys.sqlite", "store: \"a\\nb\"",
        "c.yaml:4: the file is not UTF-8 text, or names a control character"
      ),
      ("  directory: log", "  directory: {a: b}", "c.yaml:6: 'log.directory' takes a text"),
      ("keyring:\n  directory: keyring", "keyring: keyring", "c.yaml:2: 'keyring' takes keys with values"),
      ("", "\nevent-loops: two", "c.yaml:14: 'event-loops' takes a whole number, without quotes"),
      ("", "\nevent-loops: -1", "c.yaml:14: 'event-loops' takes a whole number, without quotes"),
      ("", "\nevent-loops: 1.5", "c.yaml:14: 'event-loops' takes a whole number, without quotes"),
      ("", "\nevent-loops: 0x4", "c.yaml:14: 'event-loops' takes a whole number, without quotes"),
      ("", "\nevent-loops: \"4\"", "c.yaml:14: 'event-loops' takes a whole number, without quotes"),
      ("", "\nevent-loops: 65", "c.yaml:14: 'event-loops' takes 1 to 64"),
      ("", "\nkeys-at-hand: 0", "c.yaml:14: 'keys-at-hand' takes 1 to 1000000"),
      ("", "\nconnections-max: 99999999999999999999", "c.yaml:14: 'connections-max' takes 1 to 65536"),
      (
        "", "\nconnections-max: 7\nconnections-per-user-max: 8",
        "c.yaml:15: 'connections-per-user-max' takes 1 to 7"
      ),
      ("", "\ninsecure-example-keys: yes", "c.yaml:14: 'insecure-example-keys' takes true or false"),
      ("", "\ninsecure-example-keys: \"true\"", "c.yaml:14: 'insecure-example-keys' takes true or false"),
      ("", "\nallow: {swap: true}", "c.yaml:14: 'allow' takes a list"),
      ("", "\nallow: [swap, roott]", "c.yaml:14: 'roott' is no word for 'allow': did you mean 'root'?"),
    ]
    for (old, new, sentence) in cases { #expect(Self.refusal(old, new) == sentence, "\(new)") }
  }

  @Test("Row 50: a key that stands twice is refused with both lines")
  func duplicates() {
    #expect(
      Self.refusal("", "\nstore: elsewhere")
        == "c.yaml:14: the key 'store' stands in line 4 already: leave one away")
    #expect(
      Self.refusal("  name: main", "  name: main\n  \"directory\": log2")
        == "c.yaml:8: the key 'directory' stands in line 6 already: leave one away")
    #expect(
      Self.refusal("", "\n\"version\": 1")
        == "c.yaml:14: the key 'version' stands in line 1 already: leave one away")
  }

  @Test("A missing key is named, with the line where its mapping begins")
  func missing() {
    #expect(Self.refusal("store: store/keys.sqlite\n") == "c.yaml:1: the key 'store' is missing: add it")
    #expect(Self.refusal("  name: main\n") == "c.yaml:6: the key 'log.name' is missing: add it")
    #expect(Self.refusal("\n  mode: \"0660\"") == "c.yaml:10: the key 'data-socket.mode' is missing: add it")
    #expect(Self.refusal("version: 1\n") == "c.yaml:1: the key 'version' is missing: add it")
  }

  @Test("Another version is refused before its keys are looked at")
  func version() {
    let sentence = "c.yaml:1: version 2 is not known: this release reads version 1"
    #expect(Self.refusal("version: 1", "version: 2\nnew-key: 1") == sentence.replacing(":1:", with: ":1:"))
    #expect(
      Self.refusal("version: 1", "version: 0")
        == "c.yaml:1: version 0 is not known: this release reads version 1")
  }

  @Test("Row 49: a socket path of more than 107 bytes is refused, and the sentence says the limit")
  func socketPaths() {
    let fits = "/" + String(repeating: "s", count: 106)
    #expect(Self.refusal("run/data.sock", fits) == nil)
    #expect(
      Self.refusal("run/data.sock", fits + "s")
        == "c.yaml:10: 'data-socket.path' comes to a path of 108 bytes, and a socket's has 107 at most: choose a shorter one"
    )
    #expect(Self.refusal("run/admin.sock", fits + "sss")?.hasPrefix("c.yaml:13: 'admin-socket.path'") == true)
    #expect(throws: ConfigurationError.self, "relative paths count from the root") {
      try Self.parse(Self.smallest, file: "/" + String(repeating: "d", count: 100) + "/c.yaml")
    }
    #expect(
      Self.refusal("run/admin.sock", "run/data.sock")
        == "c.yaml:13: 'admin-socket' and 'data-socket' are one path: give each its own")
  }

  @Test("A socket among the files of keyring, store or log is refused, however its path is written")
  func socketsAmongFiles() {
    let cases = [
      ("keyring/x.sock", "keyring.directory"), ("store/x.sock", "store"), ("run/../log/./000001-0000000001.seg", "log.directory"),
      ("/etc/chatelaine/store//x.sock", "store"),
    ]
    for (path, owner) in cases {
      let rest = "is in the directory of '\(owner)', which is for nothing else: give sockets a directory of their own"
      let refusal = { (old: String) in
        #expect(throws: ConfigurationError.self) {
          try Self.parse(Self.smallest.replacing(old, with: path), file: "/etc/chatelaine/c.yaml")
        }?.sentence
      }
      #expect(refusal("run/data.sock") == "/etc/chatelaine/c.yaml:10: 'data-socket.path' \(rest)")
      #expect(refusal("run/admin.sock") == "/etc/chatelaine/c.yaml:13: 'admin-socket.path' \(rest)")
    }
    #expect(Self.refusal("run/data.sock", "keyring/run/data.sock") == nil)
    #expect(Self.refusal("run/data.sock", "storehouse/data.sock") == nil)
  }

  @Test("Modes, groups, log names and segment sizes are held to what can work")
  func values() {
    for mode in ["0060", "660x", "066", "06600", "1660", "+660", "0888"] {
      #expect(
        Self.refusal("\"0660\"", "\"\(mode)\"")?.contains("octal digits that let the owner in") == true,
        "\(mode)")
    }
    #expect(Self.refusal("\"0660\"", "\"600\"") == nil)
    #expect(
      Self.refusal("\"0660\"", "\"0660\"\n  group: nobody-here")
        == "c.yaml:12: group:nobody-here is not in /etc/passwd or /etc/group: name another, or give the number (uid:N, gid:N)"
    )
    #expect(
      Self.refusal("name: main", "name: a/b") == "c.yaml:7: 'log.name' takes 1 to 128 of A-Z a-z 0-9 . _ -")
    #expect(
      Self.refusal("name: main", "name: main\n  segment-bytes: 300000\n  first-segment-bytes: 400000")
        == "c.yaml:6: 'log.first-segment-bytes' is not more than 'log.segment-bytes'")
    #expect(Self.refusal("name: main", "name: main\n  segment-bytes: 300000") == nil)
  }
}
