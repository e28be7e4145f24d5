internal import CLinux
internal import Glibc

/// A log's directory on a real disk.
package final class FileStorage: LogStorage {
  package let path: String
  package let sectorBytes: Int
  private let directory: Int32
  private let lock: WriterLock?

  /// What a directory is opened for.
  package enum Use: Sendable {
    case reading
    /// With the writer's lock, held as long as the value lives.
    case writing
    /// As `writing`, and nothing on the disk is changed: the lock's file is not made.
    case checking
  }

  /// Opens an existing directory. `exclusively` takes the writer's lock and holds it.
  package convenience init(path: String, exclusively: Bool) throws(StorageFailure) {
    try self.init(path: path, for: exclusively ? .writing : .reading)
  }

  package init(path: String, for use: Use) throws(StorageFailure) {
    self.path = path
    let directory = unsafe Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard directory >= 0 else { throw StorageFailure(.open, path: path, errno: errno) }
    self.directory = directory
    let sector = ch_physical_sector_bytes(directory)
    sectorBytes = sector == 512 ? 512 : 4096
    guard use != .reading else {
      lock = nil
      return
    }
    do throws(StorageFailure) {
      let names = try Self.list(directory, path: path)
      try LogPlace.check(directory, path: path, names)
      lock = try WriterLock(directory, path: path, names, for: use)
    } catch {
      close(directory)
      throw error
    }
  }

  deinit { close(directory) }

  /// Whether a service holds the writer's lock.
  package var isBeingWritten: Bool { WriterLock.isHeld(in: directory) }

  package func list() throws(StorageFailure) -> [String] { try Self.list(directory, path: path) }

  private static func list(_ directory: Int32, path: String) throws(StorageFailure) -> [String] {
    let copy = unsafe openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard copy >= 0, let stream = unsafe fdopendir(copy) else {
      throw StorageFailure(.list, path: path, errno: errno)
    }
    defer { unsafe closedir(stream) }
    var names: [String] = []
    while let entry = unsafe readdir(stream) {
      let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { unsafe String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  package func open(_ name: String, forWriting: Bool) throws(StorageFailure) -> any LogFile {
    // why: a fifo would make us wait for somebody to write to it.
    let flags = (forWriting ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK
    let descriptor = unsafe openat(directory, name, flags)
    guard descriptor >= 0 else { throw StorageFailure(.open, path: "\(path)/\(name)", errno: errno) }
    guard ch_is_regular(descriptor) == 1 else {
      close(descriptor)
      throw StorageFailure(.open, path: "\(path)/\(name)", errno: EINVAL)
    }
    return PosixFile(descriptor, path: "\(path)/\(name)")
  }

  package func create(_ name: String) throws(StorageFailure) -> any LogFile {
    let (folder, last) = try folder(of: name)
    defer { if folder != directory { close(folder) } }
    let descriptor = unsafe openat(folder, last, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o640)
    guard descriptor >= 0 else { throw StorageFailure(.create, path: "\(path)/\(name)", errno: errno) }
    let file = PosixFile(descriptor, path: "\(path)/\(name)")
    // why: whoever may pass the directory may review the log, whatever the service's umask is.
    guard fchmod(descriptor, 0o640) == 0 else { throw StorageFailure(.create, path: "\(path)/\(name)", errno: errno) }
    return file
  }

  /// The directory that a name lies in, made where it is not there, and the name's last part.
  private func folder(of name: String) throws(StorageFailure) -> (Int32, String) {
    guard let slash = name.firstIndex(of: "/") else { return (directory, name) }
    let folder = String(name[..<slash])
    guard unsafe mkdirat(directory, folder, 0o700) == 0 || errno == EEXIST else {
      throw StorageFailure(.create, path: "\(path)/\(folder)", errno: errno)
    }
    // why: a link there would lead what was torn off out of the log's directory.
    let opened = unsafe openat(directory, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
    guard opened >= 0 else { throw StorageFailure(.create, path: "\(path)/\(folder)", errno: errno) }
    return (opened, String(name[name.index(after: slash)...]))
  }

  package func rename(_ name: String, to newName: String) throws(StorageFailure) {
    guard unsafe ch_rename_within_without_replacing(directory, name, newName) == 0 else {
      throw StorageFailure(.rename, path: "\(path)/\(newName)", errno: errno)
    }
  }

  package func remove(_ name: String) throws(StorageFailure) {
    guard unsafe unlinkat(directory, name, 0) == 0 else {
      throw StorageFailure(.remove, path: "\(path)/\(name)", errno: errno)
    }
  }

  package func syncDirectory() throws(StorageFailure) {
    let folder = unsafe openat(directory, LogNames.quarantine, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
    if folder >= 0 {
      defer { close(folder) }
      guard fsync(folder) == 0 else {
        throw StorageFailure(.sync, path: "\(path)/\(LogNames.quarantine)", errno: errno)
      }
    }
    guard fsync(directory) == 0 else { throw StorageFailure(.sync, path: path, errno: errno) }
  }
}

/// A file by its descriptor.
private final class PosixFile: LogFile {
  private let descriptor: Int32
  private let path: String

  init(_ descriptor: Int32, path: String) {
    self.descriptor = descriptor
    self.path = path
  }

  deinit { close(descriptor) }

  func size() throws(StorageFailure) -> UInt64 {
    let end = lseek(descriptor, 0, SEEK_END)
    guard end >= 0 else { throw StorageFailure(.read, path: path, errno: errno) }
    return UInt64(end)
  }

  func read(at offset: UInt64, count: Int) throws(StorageFailure) -> [UInt8] {
    // why: places come from files that nobody vouches for; no file reaches that far.
    guard let start = off_t(exactly: offset), start <= .max - count else { return [] }
    var failed: Int32 = 0
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initializedCount in
      while initializedCount < count {
        let target = unsafe buffer.baseAddress! + initializedCount
        let got = unsafe pread(descriptor, target, count - initializedCount, start + initializedCount)
        if got < 0, errno == EINTR { continue }
        if got < 0 { failed = errno }
        guard got > 0 else { return }
        initializedCount += got
      }
    }
    guard failed == 0 else { throw StorageFailure(.read, path: path, errno: failed) }
    return bytes
  }

  func write(_ bytes: Span<UInt8>, at offset: UInt64) throws(StorageFailure) {
    var written = 0
    while written < bytes.count {
      let count = unsafe bytes.withUnsafeBytes { buffer in
        unsafe pwrite(descriptor, buffer.baseAddress! + written, bytes.count - written, off_t(offset) + written)
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw StorageFailure(.write, path: path, errno: count < 0 ? errno : ENOSPC) }
      written += count
    }
  }

  func sync() throws(StorageFailure) {
    // why: EINTR too is final. Linux may have dropped the dirty pages, so a second call that succeeds
    // proves nothing.
    guard fdatasync(descriptor) == 0 else { throw StorageFailure(.sync, path: path, errno: errno) }
  }

  func truncate(to size: UInt64) throws(StorageFailure) {
    guard ftruncate(descriptor, off_t(size)) == 0 else { throw StorageFailure(.truncate, path: path, errno: errno) }
  }

  func isLinked() throws(StorageFailure) -> Bool {
    let links = ch_link_count(descriptor)
    guard links >= 0 else { throw StorageFailure(.read, path: path, errno: errno) }
    return links > 0
  }
}
