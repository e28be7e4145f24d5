internal import CLinux
internal import ChatelainePrimitives
package import ChatelaineSecretMemory
package import ChatelaineVocabulary
internal import Glibc

/// The key that signs the log's heads, in a file of its own: it opens nothing, and no master key is needed to use it.
///
/// A class, so that it can be shared; its bytes live in sealed secret memory.
package final class SigningKey: Sendable {
  /// 32 bytes, Ed25519.
  package let publicKey: [UInt8]
  package let created: WallTime
  private let secret: SecretBytes

  /// `secret` is the 32-byte private key.
  package init(_ secret: consuming SecretBytes, created: WallTime) {
    publicKey = secret.withBytes { Ed25519.publicKey(of: $0) }
    self.created = created
    self.secret = secret
  }

  /// 64 bytes over the text.
  package func sign(_ text: [UInt8]) -> [UInt8] { secret.withBytes { Ed25519.sign(text.span, seed: $0) } }

  func withSeed(_ body: (RawSpan) -> Void) { secret.withBytes { body($0) } }

  /// Checks the file, and only then reads it.
  package static func load(_ path: String, insecureExampleKeys: Bool = false) throws(SigningKeyError) -> SigningKey {
    try SigningKeyPlace(path, insecureExampleKeys: insecureExampleKeys).load()
  }

  /// Makes a file with a fresh key where there is none: whole and durable, or not at all.
  package static func create(
    at path: String, created: WallTime, insecureExampleKeys: Bool = false
  ) throws(SigningKeyError) -> SigningKey {
    let key = SigningKey(.random(count: Ed25519.seedByteCount, keeping: .sealed), created: created)
    try SigningKeyPlace(path, insecureExampleKeys: insecureExampleKeys).write(key)
    return key
  }
}

/// Why a signing key is refused. Nothing on disk has changed.
package struct SigningKeyError: Error, Equatable {
  package enum Problem: Equatable, Sendable {
    case missing
    case directoryMissing
    /// Others may put another file in its place.
    case directoryOpenToOthers(mode: UInt32)
    case directoryOwner(UInt32, ours: UInt32)
    case symlink
    case notARegularFile
    case hardLinked(UInt64)
    case owner(UInt32, ours: UInt32)
    case mode(UInt32)
    case content(SigningKeyFile.Refusal)
    case exists
    /// This program was built to be weak.
    case testBuild
    case unreadable(errno: Int32)
    /// What was begun has been removed.
    case unwritable(errno: Int32)
  }

  package let path: String
  package let problem: Problem

  package init(path: String, problem: Problem) {
    self.path = path
    self.problem = problem
  }

  /// What is wrong, where, and how to mend it, in one sentence.
  package var sentence: String { "\(printable(path)): \(problem.sentence)" }
}

extension SigningKeyError.Problem {
  fileprivate var sentence: String {
    switch self {
    case .missing: "there is no such signing key: restore it, or make one with 'chatelaine signing-key init'"
    case .directoryMissing: "the directory above does not exist: make it first"
    case .directoryOpenToOthers(let mode):
      "the directory has mode \(octal(mode)) and lets others put another key in its place: chmod go-w"
    case .directoryOwner(let owner, let ours):
      "the directory belongs to uid \(owner), and this process is uid \(ours): chown it, or run as its owner"
    case .symlink: "the signing key is a symbolic link: put the file itself here"
    case .notARegularFile: "the signing key is not a regular file: put the file itself here"
    case .hardLinked(let count): "the file has \(count) names (hard links): remove the others"
    case .owner(let owner, let ours):
      "the file belongs to uid \(owner), and this process is uid \(ours): chown it, or run as its owner"
    case .mode(let mode):
      "the file has mode \(octal(mode)) and was not read: chmod 0400, and replace the key if others could read it"
    case .content(let refusal): refusal.sentence
    case .exists: "there is something of that name already: choose another, nothing was changed"
    case .testBuild:
      "this program is a test build (\(TestBuild.leavesOut)), which signs nothing but with --insecure-example-keys: build it without CHATELAINE_TEST_BUILD"
    case .unreadable(let errno): "it cannot be read (\(systemText(errno))): mend that and try again"
    case .unwritable(let errno):
      "it cannot be written (\(systemText(errno))): mend that and try again; nothing was kept"
    }
  }
}

extension SigningKeyFile.Refusal {
  fileprivate var sentence: String {
    switch self {
    case .size: "the file is too short or too long for a signing key: restore it from its second copy"
    case .magic: "the file is not a signing key: restore it from its second copy"
    case .formatVersion: "the file is of a later format: use the version of chatelaine that wrote it"
    case .damaged: "the file is damaged (its checksum differs): restore it from its second copy"
    case .wrongKey: "the file's two keys do not belong together: restore it from its second copy"
    }
  }
}

/// The file and the directory that it lies in, held open.
private struct SigningKeyPlace: ~Copyable {
  let path: String
  let name: String
  let directory: Descriptor

  init(_ path: String, insecureExampleKeys: Bool) throws(SigningKeyError) {
    guard TestBuild.leavesOut.isEmpty || insecureExampleKeys else {
      throw SigningKeyError(path: path, problem: .testBuild)
    }
    let parts = path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: true)
    let name = parts.last.map { String(decoding: Array($0), as: UTF8.self) } ?? "."
    let above = path.dropLast(name.count)
    directory = try Self.open(above.isEmpty ? "." : String(above), of: path)
    self.path = path
    self.name = name
  }

  private static func open(_ directory: String, of path: String) throws(SigningKeyError) -> Descriptor {
    let opened = unsafe Descriptor(Glibc.open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC))
    guard opened.isOpen else {
      throw SigningKeyError(path: path, problem: errno == ENOENT ? .directoryMissing : .unreadable(errno: errno))
    }
    var status = stat()
    guard unsafe fstat(opened.number, &status) == 0 else {
      throw SigningKeyError(path: path, problem: .unreadable(errno: errno))
    }
    guard status.st_uid == geteuid() || status.st_uid == 0 else {
      throw SigningKeyError(path: path, problem: .directoryOwner(status.st_uid, ours: geteuid()))
    }
    let mode = status.st_mode & 0o7777
    guard mode & 0o022 == 0 else { throw SigningKeyError(path: path, problem: .directoryOpenToOthers(mode: mode)) }
    return opened
  }

  borrowing func error(_ problem: SigningKeyError.Problem) -> SigningKeyError {
    SigningKeyError(path: path, problem: problem)
  }

  borrowing func load() throws(SigningKeyError) -> SigningKey {
    var status = stat()
    guard unsafe fstatat(directory.number, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else {
      throw error(errno == ENOENT ? .missing : .unreadable(errno: errno))
    }
    try check(status)
    let file = unsafe Descriptor(openat(directory.number, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC))
    guard file.isOpen else { throw error(errno == ELOOP ? .symlink : .unreadable(errno: errno)) }
    // why: another file may have come under the name since; what is open now is what counts.
    guard unsafe fstat(file.number, &status) == 0 else { throw error(.unreadable(errno: errno)) }
    try check(status)
    return try read(file)
  }

  private borrowing func check(_ status: stat) throws(SigningKeyError) {
    guard status.st_mode & S_IFMT != S_IFLNK else { throw error(.symlink) }
    guard status.st_mode & S_IFMT == S_IFREG else { throw error(.notARegularFile) }
    guard status.st_nlink == 1 else { throw error(.hardLinked(UInt64(status.st_nlink))) }
    guard status.st_uid == geteuid() else { throw error(.owner(status.st_uid, ours: geteuid())) }
    guard status.st_mode & 0o7777 == 0o400 else { throw error(.mode(status.st_mode & 0o7777)) }
  }

  /// One byte of room more than a file has.
  private borrowing func read(_ file: borrowing Descriptor) throws(SigningKeyError) -> SigningKey {
    var buffer = SecretBytes.zeros(count: SigningKeyFile.byteCount + 1)
    var count = 0
    while count < buffer.count {
      let got = buffer.read(from: file.number, at: count)
      if got < 0, errno == EINTR { continue }
      guard got >= 0 else { throw error(.unreadable(errno: errno)) }
      if got == 0 { break }
      count += got
    }
    do throws(SigningKeyFile.Refusal) {
      return try buffer.withBytes { bytes throws(SigningKeyFile.Refusal) in
        try SigningKeyFile.parse(bytes.extracting(0..<count))
      }
    } catch { throw self.error(.content(error)) }
  }

  /// Written under another name, and only then renamed, never over a file that is there.
  borrowing func write(_ key: SigningKey) throws(SigningKeyError) {
    let temporary = ".new-" + Hex.encode(SecureRandom.bytes(8).span)
    let bytes = SigningKeyFile.encode(key)
    let file = unsafe Descriptor(
      openat(directory.number, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o400))
    guard file.isOpen else { throw error(.unwritable(errno: errno)) }
    guard fchmod(file.number, 0o400) == 0, bytes.write(to: file.number), fsync(file.number) == 0 else {
      throw removed(temporary, error(.unwritable(errno: errno)))
    }
    guard unsafe ch_rename_within_without_replacing(directory.number, temporary, name) == 0 else {
      throw removed(temporary, error(errno == EEXIST ? .exists : .unwritable(errno: errno)))
    }
    guard fsync(directory.number) == 0 else { throw removed(name, error(.unwritable(errno: errno))) }
    do throws(SigningKeyError) { _ = try load() } catch { throw removed(name, error) }
  }

  private borrowing func removed(_ name: String, _ error: SigningKeyError) -> SigningKeyError {
    unsafe unlinkat(directory.number, name, 0)
    return error
  }
}
