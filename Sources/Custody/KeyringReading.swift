internal import ChatelaineSecretMemory
internal import ChatelaineVocabulary
internal import Glibc

/// A file of the keyring in secret memory, with what it says of itself.
struct LoadedFile: ~Copyable {
  let header: KeyringFile.Header
  let bytes: SecretBytes
}

extension Keyring {
  /// Checks one file, and only then reads it.
  borrowing func readFile(_ version: UInt32) throws(KeyringError) -> LoadedFile {
    let path = filePath(version)
    let file = try openFile(Self.fileName(version), path: path)
    let bytes = try readWhole(file, path: path)
    let header: KeyringFile.Header
    do throws(KeyringFile.Refusal) {
      header = try bytes.withBytes { bytes throws(KeyringFile.Refusal) in try KeyringFile.parse(bytes) }
    } catch {
      throw .content(path: path, error)
    }
    guard header.key.version == version else {
      throw .versionDiffersFromName(path: path, version: header.key.version)
    }
    switch (rules.insecureExampleKeys, header.key.id == Self.exampleID) {
    case (false, true): throw .exampleKeys(path: path)
    case (true, false): throw .notExampleKeys(path: path)
    case (true, true), (false, false): return LoadedFile(header: header, bytes: bytes)
    }
  }

  private borrowing func openFile(_ name: String, path: String) throws(KeyringError) -> Descriptor {
    var status = stat()
    guard unsafe fstatat(directory.number, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else {
      throw errno == ENOENT ? .fileMissing(path: path) : .unreadable(path: path, errno: errno)
    }
    try checkFile(status, path: path)
    let file = unsafe Descriptor(
      openat(directory.number, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC))
    guard file.isOpen else {
      throw errno == ELOOP ? .fileIsSymlink(path: path) : .unreadable(path: path, errno: errno)
    }
    // why: another file may have come under the name since; what is open now is what counts.
    guard unsafe fstat(file.number, &status) == 0 else { throw .unreadable(path: path, errno: errno) }
    try checkFile(status, path: path)
    return file
  }

  private borrowing func checkFile(_ status: stat, path: String) throws(KeyringError) {
    guard status.st_mode & S_IFMT != S_IFLNK else { throw .fileIsSymlink(path: path) }
    guard status.st_mode & S_IFMT == S_IFREG else { throw .notARegularFile(path: path) }
    guard status.st_nlink == 1 else { throw .hardLinked(path: path, count: UInt64(status.st_nlink)) }
    guard status.st_uid == geteuid() else {
      throw .fileOwner(path: path, owner: status.st_uid, ours: geteuid())
    }
    let mode = status.st_mode & 0o7777
    guard mode == 0o400 || rules.insecureExampleKeys else { throw .fileMode(path: path, mode: mode) }
    guard KeyringFile.Seal.allCases.contains(where: { $0.byteCount == status.st_size }) else {
      throw .content(path: path, .size)
    }
  }

  /// read(2) straight into secret memory, one byte of room more than a file has.
  private borrowing func readWhole(_ file: borrowing Descriptor, path: String) throws(KeyringError)
    -> SecretBytes
  {
    var buffer = SecretBytes(count: KeyringFile.byteCountMax + 1) {
      unsafe $0.append(repeating: 0, count: KeyringFile.byteCountMax + 1, as: UInt8.self)
    }
    var count = 0
    while count < buffer.count {
      let got = buffer.read(from: file.number, at: count)
      if got < 0, errno == EINTR { continue }
      guard got >= 0 else { throw .unreadable(path: path, errno: errno) }
      if got == 0 { break }
      count += got
    }
    guard count > 0 else { throw .content(path: path, .size) }
    return buffer.withBytes { bytes in
      SecretBytes(count: count) { $0.append(contentsOf: bytes.extracting(0..<count)) }
    }
  }
}

// MARK: The directory

func openDirectory(at path: String, isExample: Bool) throws(KeyringError) -> Descriptor {
  guard try directoryExists(at: path) else { throw .directoryMissing(path: path) }
  let directory = unsafe Descriptor(open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC))
  guard directory.isOpen else { throw .unreadable(path: path, errno: errno) }
  var status = stat()
  guard unsafe fstat(directory.number, &status) == 0 else { throw .unreadable(path: path, errno: errno) }
  try checkDirectory(status, path: path, isExample: isExample)
  return directory
}

/// Whether there is a directory of one's own; false only where there is nothing.
func directoryExists(at path: String) throws(KeyringError) -> Bool {
  var status = stat()
  guard unsafe lstat(path, &status) == 0 else {
    guard errno == ENOENT else { throw .unreadable(path: path, errno: errno) }
    return false
  }
  guard status.st_mode & S_IFMT != S_IFLNK else { throw .directoryIsSymlink(path: path) }
  guard status.st_mode & S_IFMT == S_IFDIR else { throw .notADirectory(path: path) }
  return true
}

private func checkDirectory(_ status: stat, path: String, isExample: Bool) throws(KeyringError) {
  guard status.st_uid == geteuid() else {
    throw .directoryOwner(path: path, owner: status.st_uid, ours: geteuid())
  }
  let mode = status.st_mode & 0o7777
  guard mode & 0o077 == 0 || isExample else { throw .directoryOpenToOthers(path: path, mode: mode) }
}

/// All names but `.` and `..`.
func listNames(_ directory: borrowing Descriptor, path: String) throws(KeyringError) -> [String] {
  let copy = unsafe openat(directory.number, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
  guard copy >= 0 else { throw .unreadable(path: path, errno: errno) }
  guard let stream = unsafe fdopendir(copy) else {
    _ = close(copy)
    throw .unreadable(path: path, errno: errno)
  }
  defer { unsafe closedir(stream) }
  var names: [String] = []
  errno = 0
  while let entry = unsafe readdir(stream) {
    let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
      unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
    if name != ".", name != ".." { names.append(name) }
    errno = 0
  }
  guard errno == 0 else { throw .unreadable(path: path, errno: errno) }
  return names
}

/// `dir/` and `dir/.` would follow a symbolic link where `dir` does not.
func withoutTrailingSlashes(_ path: String) -> String {
  var bytes = Array(path.utf8)
  while bytes.count > 1 {
    if bytes.last == UInt8(ascii: "/") {
      bytes.removeLast()
    } else if bytes.suffix(2) == Array("/.".utf8) {
      bytes.removeLast(bytes.count == 2 ? 1 : 2)
    } else {
      break
    }
  }
  return String(decoding: bytes, as: UTF8.self)
}
