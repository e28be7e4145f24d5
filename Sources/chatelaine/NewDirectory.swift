internal import ChatelaineCustody
internal import ChatelaineExits
internal import Foundation
internal import Glibc

/// A directory that comes into being whole: it is filled under another name beside its place, made durable, and then
/// renamed. Whatever stops that leaves its place as it was.
struct NewDirectory {
  /// Without slashes at the end.
  let path: String
  private let parent: String
  private let name: String

  /// Refuses a place where nothing can be made, before anybody is asked for anything.
  init(at given: String) throws(Failure) {
    var path = given[...]
    while path.utf8.count > 1, path.utf8.last == UInt8(ascii: "/") { path = path.dropLast() }
    self.path = String(path)
    name = path.split(separator: "/").last.map(String.init) ?? ""
    let above = path.dropLast(name.count)
    parent = above.isEmpty ? "." : above == "/" ? "/" : String(above.dropLast())
    guard !["", ".", ".."].contains(name) else {
      throw Failure(.usage, "\(printable(given)): name the directory itself, as in its parent")
    }
    try checkPlace()
  }

  private func checkPlace() throws(Failure) {
    var status = stat()
    guard unsafe stat(parent, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
      throw Failure(.cannotCreate, "\(printable(path)): the directory above does not exist: make it first")
    }
    // why: a start would refuse it.
    try checkNobodyElseWrites(in: parent, forbidden: 0o002)
    guard unsafe lstat(path, &status) == 0 else { return }
    let content = try? FileManager.default.contentsOfDirectory(atPath: path)
    guard status.st_mode & S_IFMT == S_IFDIR, content?.isEmpty == true else {
      throw Failure(
        .cannotCreate,
        "\(printable(path)): it is there and not an empty directory: choose another, nothing was changed")
    }
  }

  /// What earlier tries left beside the place when they were killed. Refuses where one is still at work.
  func leftovers() throws(Failure) -> [String] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: parent)) ?? []
    var leftovers: [String] = []
    for path in names.filter({ $0.hasPrefix(temporaryPrefix) }).sorted().map({ "\(parent)/\($0)" }) {
      let other = unsafe open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
      defer { if other >= 0 { _ = close(other) } }
      guard other < 0 || flock(other, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK else {
        throw Failure(
          .busy, "\(printable(self.path)): another init is filling it, in \(printable(path)): wait for it, or stop it")
      }
      // why: an empty one may be about to be locked, and is nothing to care for.
      if (try? FileManager.default.contentsOfDirectory(atPath: path))?.isEmpty != true { leftovers.append(path) }
    }
    return leftovers
  }

  private var temporaryPrefix: String { ".\(prefix(of: name, bytesMax: 200)).init-" }

  /// Lends the directory under its other name; what `make` throws leaves nothing behind.
  func fill<Result>(_ make: (String) throws -> Result) throws -> Result {
    // why: what is made below has the modes that it was made with, whatever the shell takes from them.
    umask(0o027)
    let number = String(UInt64.random(in: .min ... .max), radix: 36)
    let temporary = "\(parent)/\(temporaryPrefix)\(number)"
    var lock: Int32 = -1
    defer { if lock >= 0 { _ = close(lock) } }
    do {
      try Self.makeFolder(temporary, mode: 0o700)
      lock = try Self.lock(temporary)
      let result = try make(temporary)
      try Self.syncAll(below: temporary)
      // why: rename(2) takes the place of an empty directory, and of nothing else.
      guard unsafe rename(temporary, path) == 0 else { throw Self.failure(path, errno) }
      try Self.sync(parent)
      return result
    } catch {
      try? FileManager.default.removeItem(atPath: temporary)
      throw named(error, insteadOf: temporary)
    }
  }

  /// The error as one of the place that was asked for: nobody has heard of the other name.
  private func named(_ error: any Error, insteadOf temporary: String) -> any Error {
    guard let failure = Failure(error) else { return error }
    return Failure(failure.status, failure.sentence.replacing(printable(temporary), with: printable(path)))
  }

  /// Says that somebody is at work in it, for as long as the descriptor is open.
  private static func lock(_ path: String) throws(Failure) -> Int32 {
    let directory = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard directory >= 0, flock(directory, LOCK_EX | LOCK_NB) == 0 else { throw failure(path, errno) }
    return directory
  }

  // MARK: Files

  static func makeFolder(_ path: String, mode: UInt32) throws(Failure) {
    guard unsafe mkdir(path, 0o700) == 0 else { throw failure(path, errno) }
    try setMode(path, mode)
  }

  /// A umask does not count.
  static func setMode(_ path: String, _ mode: UInt32) throws(Failure) {
    guard unsafe chmod(path, mode) == 0 else { throw failure(path, errno) }
  }

  static func write(_ text: String, to path: String, mode: UInt32) throws(Failure) {
    let file = unsafe open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw failure(path, errno) }
    defer { _ = Glibc.close(file) }
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let count = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(file, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw failure(path, errno) }
      bytes = bytes.dropFirst(count)
    }
    guard fchmod(file, mode) == 0 else { throw failure(path, errno) }
  }

  private static func syncAll(below path: String) throws(Failure) {
    guard let names = try? FileManager.default.subpathsOfDirectory(atPath: path) else {
      throw failure(path, EIO)
    }
    for name in names { try sync("\(path)/\(name)") }
    try sync(path)
  }

  private static func sync(_ path: String) throws(Failure) {
    let file = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
    guard file >= 0 else { throw failure(path, errno) }
    defer { _ = Glibc.close(file) }
    guard fsync(file) == 0 else { throw failure(path, errno) }
  }

  private static func failure(_ path: String, _ number: Int32) -> Failure {
    Failure(
      .cannotCreate,
      "\(printable(path)): it cannot be made (\(systemText(number))): mend that and try again; nothing was kept"
    )
  }
}
