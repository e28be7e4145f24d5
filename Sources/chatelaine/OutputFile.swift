internal import CLinux
internal import ChatelaineCustody
internal import ChatelaineExits
internal import Glibc

/// Where a command's result goes: standard output, or a file that comes into being whole.
///
/// A file is written without a name, made durable, given another name beside its place, and renamed: until `finish`, its
/// place is as it was, and whatever ends the process, nothing is left. Where the filesystem has no files without names
/// it has that other name from the start, and signals that end the process remove it. What is in the place must be a
/// regular file or nothing: never a link, never a device.
final class OutputFile {
  private let path: String
  private let name: String
  private let temporary: String
  /// The directory, held open: what is renamed is what was looked at, whatever becomes of the path.
  private let directory: Int32
  private let file: Int32
  private var isNamed: Bool
  private var isFinished = false
  /// Of what a signal removes.
  private let removal: Int32

  /// Opens `path`, or standard output for nil. `isSecret`: the file is its owner's alone, from its first moment.
  init(_ path: String?, isSecret: Bool) throws(Failure) {
    guard let path else {
      (self.path, name, temporary, directory, file) = ("standard output", "", "", -1, 1)
      (isNamed, removal) = (true, -1)
      return
    }
    let slash = path.utf8.lastIndex(of: UInt8(ascii: "/"))
    let above = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    self.path = printable(path)
    name = slash.map { String(path[path.utf8.index(after: $0)...]) } ?? path
    temporary = ".\(prefix(of: name, bytesMax: 200)).chatelaine-\(String(UInt64.random(in: .min ... .max), radix: 36))"
    directory = unsafe open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard directory >= 0 else { throw Self.failure(.cannotCreate, self.path, errno) }
    do throws(Failure) {
      try Self.checkPlace(self.path, name, directory)
    } catch {
      _ = close(directory)
      throw error
    }
    removal = unsafe ch_remove_at_signal(directory, temporary)
    let mode: mode_t = isSecret ? 0o600 : 0o666
    let unnamed = ch_open_unnamed(directory, mode)
    isNamed = unnamed < 0
    let file = isNamed ? unsafe openat(directory, temporary, Self.new, mode) : unnamed
    guard file >= 0 else {
      let number = errno
      Self.letGo(directory, removal)
      throw Self.failure(.cannotCreate, self.path, number)
    }
    self.file = file
  }

  private static let new = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC

  private static func letGo(_ directory: Int32, _ removal: Int32) {
    ch_keep_at_signal(removal)
    _ = close(directory)
  }

  deinit {
    guard directory >= 0 else { return }
    if isNamed, !isFinished { _ = unsafe unlinkat(directory, temporary, 0) }
    _ = close(file)
    Self.letGo(directory, removal)
  }

  private static func checkPlace(_ path: String, _ name: String, _ directory: Int32) throws(Failure) {
    guard !name.isEmpty, name != ".", name != ".." else {
      throw Failure(.cannotCreate, "\(path): this names a directory: name a file")
    }
    var status = stat()
    guard unsafe fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else {
      guard errno == ENOENT else { throw failure(.cannotCreate, path, errno) }
      return
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw Failure(
        .cannotCreate,
        "\(path): it is a link, a directory or a device, and was left alone: name a regular file, or redirect standard output"
      )
    }
  }

  /// Whether both would come to stand in one place.
  func isInPlace(of other: OutputFile) -> Bool {
    var (mine, others) = (stat(), stat())
    guard unsafe fstat(directory, &mine) == 0, unsafe fstat(other.directory, &others) == 0 else { return false }
    return mine.st_dev == others.st_dev && mine.st_ino == others.st_ino && name == other.name
  }

  func write(_ bytes: [UInt8]) throws(Failure) {
    var offset = 0
    while offset < bytes.count {
      let count = unsafe bytes.withUnsafeBytes {
        unsafe Glibc.write(file, $0.baseAddress?.advanced(by: offset), $0.count - offset)
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw Self.failure(.inputOutput, path, errno) }
      offset += count
    }
  }

  /// Makes what was written durable, and puts it in its place.
  func finish() throws(Failure) {
    guard directory >= 0 else { return }
    guard fsync(file) == 0 else { throw Self.failure(.inputOutput, path, errno) }
    if !isNamed {
      // why: a link replaces nothing, so what has no name gets one beside its place first.
      guard unsafe ch_name_unnamed(file, directory, temporary) == 0 else {
        throw Self.failure(.cannotCreate, path, errno)
      }
      isNamed = true
    }
    guard unsafe renameat(directory, temporary, directory, name) == 0 else {
      throw Self.failure(.cannotCreate, path, errno)
    }
    isFinished = true
    guard fsync(directory) == 0 else { throw Self.failure(.inputOutput, path, errno) }
  }

  private static func failure(_ status: ExitStatus, _ path: String, _ number: Int32) -> Failure {
    Failure(status, "\(path): it cannot be written (\(systemText(number))): mend that and try again")
  }
}

/// A name's beginning, of whole characters: for a name beside it, which must not be longer than a file's may be.
func prefix(of name: String, bytesMax: Int) -> String {
  var prefix = name[...]
  while prefix.utf8.count > bytesMax { prefix.removeLast() }
  return String(prefix)
}
