import ChatelaineCustody
import ChatelainePrimitives
import ChatelaineSecretMemory
import ChatelaineVocabulary
import Foundation
import Testing

let created = WallTime(nanoseconds: 1_700_000_000_000_000_000)
let cheap = Argon2Cost(memoryKiB: 8192, passes: 1)!
let isRoot = geteuid() == 0

func passphrase(_ text: String = "correct horse battery") -> Passphrase {
  try! Passphrase(secret(Array(text.utf8)))
}

func secret(_ bytes: [UInt8]) -> SecretBytes {
  SecretBytes(count: bytes.count) { $0.append(contentsOf: bytes.span) }
}

func newVersion(_ seal: KeyringFile.Seal = .file) -> Keyring.NewVersion {
  Keyring.NewVersion(seal: seal, cost: cheap, created: created)
}

/// A directory for one test, with a keyring of one version in it.
final class Scratch {
  let base: String
  var ring: String { base + "/ring" }
  var file: String { ring + "/master-000001.key" }

  init(_ seal: KeyringFile.Seal? = .file) throws {
    base = FileManager.default.temporaryDirectory.appending(path: "custody-\(UUID())").path
    try FileManager.default.createDirectory(atPath: base, withIntermediateDirectories: true)
    if let seal { _ = try Keyring.create(at: ring, .init(), newVersion(seal), passphrase: passphrase()) }
  }

  deinit {
    // Not through a symbolic link: what it points to is not ours to change.
    unsafe fchmodat(AT_FDCWD, ring, 0o700, AT_SYMLINK_NOFOLLOW)
    try? FileManager.default.removeItem(atPath: base)
  }

  /// Adds a version to the keyring.
  @discardableResult func add(_ seal: KeyringFile.Seal = .file) throws -> MasterKey {
    try Keyring(at: ring).add(newVersion(seal), passphrase: passphrase())
  }

  /// The file's bytes, changed by `edit`, in its place with mode 0400.
  func rewrite(_ name: String = "master-000001.key", _ edit: (inout [UInt8]) -> Void) throws {
    let path = ring + "/" + name
    var bytes = [UInt8]((try? Data(contentsOf: URL(filePath: path))) ?? Data())
    edit(&bytes)
    try? FileManager.default.removeItem(atPath: path)
    try Data(bytes).write(to: URL(filePath: path))
    unsafe chmod(path, 0o400)
  }

  func rename(_ from: String, _ to: String) throws {
    try FileManager.default.moveItem(atPath: base + "/" + from, toPath: base + "/" + to)
  }

  /// Everything below the base: kinds, modes, owners, inodes, links, times of change, bytes.
  func snapshot() -> [String] {
    let names = FileManager.default.enumerator(atPath: base)?.compactMap { $0 as? String } ?? []
    return names.sorted().map { name in
      var status = stat()
      unsafe lstat(base + "/" + name, &status)
      let isFile = status.st_mode & S_IFMT == S_IFREG
      let bytes =
        isFile ? (try? Data(contentsOf: URL(filePath: base + "/" + name)))?.base64EncodedString() ?? "-" : ""
      let changed = "\(status.st_ctim.tv_sec).\(status.st_ctim.tv_nsec)"
      return
        "\(name) \(status.st_mode) \(status.st_uid) \(status.st_ino) \(status.st_nlink) \(changed) \(bytes)"
    }
  }
}

/// The ways into a keyring; what is refused at one is refused at all.
enum Door: CaseIterable {
  case headers, open, add

  func enter(_ path: String, _ rules: Keyring.Rules = .init(), _ passphrase: Passphrase?) throws(KeyringError)
  {
    let keyring = try Keyring(at: path, rules)
    switch self {
    case .headers: _ = try keyring.headers()
    case .open: _ = try keyring.open(passphrase: passphrase)
    case .add: _ = try keyring.add(newVersion(), passphrase: passphrase)
    }
  }
}

/// Every door refuses with this error; its sentence is one line with the path; nothing on disk changes.
func expectRefused(
  _ expected: KeyringError, _ scratch: Scratch, at path: String? = nil, rules: Keyring.Rules = .init(),
  doors: [Door] = Door.allCases, passphrase phrase: Passphrase? = passphrase(),
  sourceLocation: SourceLocation = #_sourceLocation
) {
  let before = scratch.snapshot()
  for door in doors {
    #expect(throws: expected, sourceLocation: sourceLocation) {
      try door.enter(path ?? scratch.ring, rules, phrase)
    }
  }
  #expect(scratch.snapshot() == before, sourceLocation: sourceLocation)
  expectSentence(expected, sourceLocation: sourceLocation)
}

func expectSentence(_ error: KeyringError, sourceLocation: SourceLocation = #_sourceLocation) {
  #expect(error.sentence.hasPrefix(error.path + ": "), sourceLocation: sourceLocation)
  #expect(!error.sentence.contains("\n") && error.sentence.utf8.count > error.path.utf8.count + 20)
}

/// The control: before it was spoilt, the keyring was fine.
func expectAccepted(
  _ scratch: Scratch, rules: Keyring.Rules = .init(), sourceLocation: SourceLocation = #_sourceLocation
) {
  let before = scratch.snapshot()
  #expect(throws: Never.self, sourceLocation: sourceLocation) {
    try Door.headers.enter(scratch.ring, rules, nil)
    try Door.open.enter(scratch.ring, rules, passphrase())
  }
  #expect(scratch.snapshot() == before, sourceLocation: sourceLocation)
}
