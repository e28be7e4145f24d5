internal import CLinux
internal import ChatelaineCustody
internal import ChatelaineExits
internal import ChatelainePrimitives
internal import ChatelaineVocabulary
internal import Glibc

/// A directory that files are only added to: best on another machine's disk, or one that keeps what was written.
final class ShippingDirectory: ShippingPlace {
  private let path: String
  private let directory: Int32

  init(_ path: String) throws(Failure) {
    self.path = path
    directory = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard directory >= 0 else {
      throw Failure(.cannotCreate, "\(printable(path)): no such directory (\(systemText(errno))): make it first")
    }
  }

  deinit { close(directory) }

  func ship(_ shipment: Shipment) throws -> Bool {
    if try isThere(shipment) { return false }
    try write(shipment)
    // why: what counts is what comes back from there, not what was sent.
    guard try isThere(shipment) else { throw failure(shipment, .inputOutput, "it is gone again") }
    return true
  }

  /// Whether the file is there with exactly these bytes; throws where it has others.
  private func isThere(_ shipment: Shipment) throws -> Bool {
    let file = unsafe openat(directory, shipment.name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
    guard file >= 0 else {
      guard errno == ENOENT else { throw failure(shipment, .inputOutput, "it cannot be read (\(systemText(errno)))") }
      return false
    }
    defer { _ = close(file) }
    guard ch_is_regular(file) == 1 else { throw failure(shipment, .data, "it is no regular file") }
    _ = posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED)
    var offset: UInt64 = 0
    while true {
      let wanted = try shipment.piece(at: offset)
      let found = try read(file, at: offset, count: max(1, wanted.count), shipment)
      guard found == wanted else {
        throw failure(
          shipment, .data,
          "it is there with other bytes, and was left alone: either it or the log's file was changed, or the log's was rewritten since")
      }
      if wanted.isEmpty { return true }
      offset += UInt64(wanted.count)
    }
  }

  private func read(_ file: Int32, at offset: UInt64, count: Int, _ shipment: Shipment) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var filled = 0
    while filled < count {
      let got = unsafe bytes.withUnsafeMutableBytes {
        unsafe pread(file, $0.baseAddress! + filled, count - filled, off_t(offset) + off_t(filled))
      }
      if got < 0, errno == EINTR { continue }
      guard got >= 0 else { throw failure(shipment, .inputOutput, "it cannot be read (\(systemText(errno)))") }
      if got == 0 { break }
      filled += got
    }
    return Array(bytes.prefix(filled))
  }

  // MARK: Writing

  /// Under no name, or another one where the filesystem has no files without names, until it is whole and durable.
  private func write(_ shipment: Shipment) throws {
    let temporary = ".\(shipment.name).part-\(String(UInt64.random(in: .min ... .max), radix: 36))"
    let removal = unsafe ch_remove_at_signal(directory, temporary)
    defer { ch_keep_at_signal(removal) }
    let unnamed = ch_open_unnamed(directory, 0o440)
    let file = unnamed >= 0
      ? unnamed : unsafe openat(directory, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o440)
    guard file >= 0 else { throw failure(shipment, .cannotCreate, "it cannot be made (\(systemText(errno)))") }
    defer { _ = close(file) }
    do {
      try fill(file, shipment)
      // why: mode 0440 whatever the umask is, so that nobody changes it by mistake; neither name replaces anything.
      let isNamed = fchmod(file, 0o440) == 0 && fsync(file) == 0
        && (unnamed >= 0
          ? unsafe ch_name_unnamed(file, directory, shipment.name)
          : unsafe ch_rename_within_without_replacing(directory, temporary, shipment.name)) == 0
      guard isNamed, fsync(directory) == 0 else {
        throw failure(shipment, .cannotCreate, "it cannot be made durable (\(systemText(errno)))")
      }
    } catch {
      if unnamed < 0 { _ = unsafe unlinkat(directory, temporary, 0) }
      throw error
    }
  }

  private func fill(_ file: Int32, _ shipment: Shipment) throws {
    var offset: UInt64 = 0
    while true {
      var piece = try shipment.piece(at: offset)[...]
      if piece.isEmpty { break }
      offset += UInt64(piece.count)
      while !piece.isEmpty {
        let count = unsafe piece.withUnsafeBytes { unsafe Glibc.write(file, $0.baseAddress, $0.count) }
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { throw failure(shipment, .inputOutput, "it cannot be written (\(systemText(errno)))") }
        piece = piece.dropFirst(count)
      }
    }
    guard offset == shipment.byteCount else { throw failure(shipment, .data, "the log's file became shorter while it was read") }
  }

  private func failure(_ shipment: Shipment, _ status: ExitStatus, _ what: String) -> Failure {
    Failure(status, "\(printable(path))/\(shipment.name): \(what)")
  }
}
