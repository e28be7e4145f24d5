internal import Glibc

/// What bytes go over: a socket, or TLS over one.
protocol ByteStream: AnyObject {
  /// Up to `count` bytes; none at the end.
  func read(_ count: Int) throws(OutsideError) -> [UInt8]
  /// Bytes taken, at least one.
  func write(_ bytes: ArraySlice<UInt8>) throws(OutsideError) -> Int
}

extension ByteStream {
  func writeAll(_ bytes: ArraySlice<UInt8>) throws(OutsideError) {
    var rest = bytes
    while !rest.isEmpty { rest = rest.dropFirst(try write(rest)) }
  }
}

/// A connection to another host over TCP, non-blocking; every wait ends at one deadline.
///
/// The look-up of a name is the C library's, and takes as long as its resolver's own limits say.
final class Socket: ByteStream {
  let descriptor: Int32
  private let deadline: Deadline

  init(to address: WebAddress, by deadline: Deadline) throws(OutsideError) {
    self.deadline = deadline
    var hints = unsafe addrinfo()
    unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    unsafe hints.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV
    var list: UnsafeMutablePointer<addrinfo>?
    let status = unsafe getaddrinfo(address.host, "\(address.port)", &hints, &list)
    guard status == 0, let first = unsafe list else { throw .unknownHost(status) }
    defer { unsafe freeaddrinfo(first) }
    var failure = OutsideError.refused(errno: ECONNREFUSED)
    var place: UnsafeMutablePointer<addrinfo>? = unsafe first
    while let one = unsafe place {
      do throws(OutsideError) {
        descriptor = try unsafe Self.connect(one.pointee, deadline)
        return
      } catch { failure = error }
      unsafe place = unsafe one.pointee.ai_next
    }
    throw failure
  }

  deinit { close(descriptor) }

  @unsafe private static func connect(_ address: addrinfo, _ deadline: Deadline) throws(OutsideError) -> Int32 {
    let kind = unsafe address.ai_socktype | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    let descriptor = unsafe socket(address.ai_family, kind, address.ai_protocol)
    guard descriptor >= 0 else { throw .refused(errno: errno) }
    do throws(OutsideError) {
      if unsafe Glibc.connect(descriptor, address.ai_addr, address.ai_addrlen) != 0 {
        guard errno == EINPROGRESS else { throw .refused(errno: errno) }
        try wait(descriptor, for: POLLOUT, deadline)
        var (number, count) = (Int32(0), socklen_t(MemoryLayout<Int32>.size))
        guard unsafe getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &number, &count) == 0, number == 0 else {
          throw .refused(errno: number)
        }
      }
      return descriptor
    } catch {
      close(descriptor)
      throw error
    }
  }

  private static func wait(_ descriptor: Int32, for events: Int32, _ deadline: Deadline) throws(OutsideError) {
    while true {
      guard let left = deadline.millisecondsLeft else { throw .timedOut }
      var wanted = pollfd(fd: descriptor, events: Int16(events), revents: 0)
      let count = unsafe poll(&wanted, 1, left)
      if count > 0 { return }
      guard count == 0 || errno == EINTR else { throw .connectionFailed(errno: errno) }
    }
  }

  func waitToRead() throws(OutsideError) { try Self.wait(descriptor, for: POLLIN, deadline) }
  func waitToWrite() throws(OutsideError) { try Self.wait(descriptor, for: POLLOUT, deadline) }

  func read(_ count: Int) throws(OutsideError) -> [UInt8] {
    while true {
      var got = 0
      let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initializedCount in
        got = unsafe recv(descriptor, buffer.baseAddress, count, 0)
        initializedCount = max(0, got)
      }
      if got >= 0 { return bytes }
      guard errno == EAGAIN || errno == EINTR else { throw .connectionFailed(errno: errno) }
      try waitToRead()
    }
  }

  func write(_ bytes: ArraySlice<UInt8>) throws(OutsideError) -> Int {
    while true {
      // why: whoever hangs up must not end the process.
      let count = unsafe bytes.withUnsafeBytes {
        unsafe send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      if count >= 0 { return count }
      guard errno == EAGAIN || errno == EINTR else { throw .connectionFailed(errno: errno) }
      try waitToWrite()
    }
  }
}
