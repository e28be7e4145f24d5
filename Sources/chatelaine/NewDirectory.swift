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
    guard unsafe lstat(path, &status) == 0 else { return }
    let content = try? FileManager.default.contentsOfDirectory(atPath: path)
    guard status.st_mode & S_IFMT == S_IFDIR, content?.isEmpty == true else {
      throw Failure(
        .cannotCreate,
        "\(printable(path)): it is there and not an empty directory: choose another, nothing was changed")
    }
  }

  /// What earlier tries left beside the place when they were killed.
  func leftovers() -> [String] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: parent)) ?? []
    return names.filter { $0.hasPrefix(temporaryPrefix) }.sorted().map { "\(parent)/\($0)" }
  }

  private var temporaryPrefix: String { ".\(name).init-" }

  /// Lends the directory under its other name; what `make` throws leaves nothing behind.
  func fill<Result>(_ make: (String) throws -> Result) throws -> Result {
    // why: what is made below has the modes that it was made with, whatever the shell takes from them.
    umask(0o027)
    let number = String(UInt64.random(in: .min ... .max), radix: 36)
    let temporary = "\(parent)/\(temporaryPrefix)\(number)"
    do {
      try Self.makeFolder(temporary, mode: 0o700)
      let result = try make(temporary)
      try Self.syncAll(below: temporary)
      // why: rename(2) takes the place of an empty directory, and of nothing else.
      guard unsafe rename(temporary, path) == 0 else { throw Self.failure(path, errno) }
      try Self.sync(parent)
      return result
    } catch {
      try? FileManager.default.removeItem(atPath: temporary)
      throw error
    }
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
