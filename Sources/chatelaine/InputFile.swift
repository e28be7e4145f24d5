internal import ChatelaineCustody
internal import ChatelaineExits
internal import Glibc

/// What a command reads: a file, or standard input.
final class InputFile {
  private let path: String
  private let file: Int32
  private var block = [UInt8](repeating: 0, count: 131_072)

  init(_ path: String?) throws(Failure) {
    self.path = path.map(printable) ?? "standard input"
    file = path.map { unsafe open($0, O_RDONLY | O_CLOEXEC) } ?? 0
    guard file >= 0 else {
      let status: ExitStatus = errno == EACCES ? .noPermission : .noInput
      throw Failure(
        status, "\(self.path): it cannot be opened (\(systemText(errno))): name a file that can be read")
    }
  }

  deinit { if file != 0 { _ = close(file) } }

  /// Bytes of a regular file; nil where that is not known.
  var byteCount: UInt64? {
    var status = stat()
    guard unsafe fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
    return UInt64(max(0, status.st_size))
  }

  /// Whether `read` would have to wait for somebody to write.
  var wouldWait: Bool {
    var wanted = pollfd(fd: file, events: Int16(POLLIN), revents: 0)
    return unsafe poll(&wanted, 1, 0) == 0
  }

  /// The next bytes; empty at the end.
  func read() throws(Failure) -> ArraySlice<UInt8> {
    while true {
      let count = unsafe block.withUnsafeMutableBytes { unsafe Glibc.read(file, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else {
        throw Failure(
          .inputOutput, "\(path): it cannot be read (\(systemText(errno))): mend that and try again")
      }
      return block[..<count]
    }
  }

  /// All bytes, or nil where there are more than `limit`.
  func readAll(atMost limit: Int) throws(Failure) -> [UInt8]? {
    var bytes: [UInt8] = []
    while true {
      let more = try read()
      if more.isEmpty { return bytes }
      guard bytes.count + more.count <= limit else { return nil }
      bytes += more
    }
  }
}
