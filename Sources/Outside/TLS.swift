internal import CLibssl
internal import Glibc

/// TLS 1.2 or later over a socket, by libssl: the host's certificate must lead to a trusted one and have its name.
@safe final class TLS: ByteStream {
  private let socket: Socket
  private let context: OpaquePointer
  private let connection: OpaquePointer
  private var isOpen = false

  /// `trust` is a file of certificates in PEM; without it, those of the system.
  init(over socket: Socket, to address: WebAddress, trust: String?) throws(OutsideError) {
    // why: libssl writes to the socket by write(2), and whoever hangs up must not end the process.
    signal(SIGPIPE, SIG_IGN)
    self.socket = socket
    guard let context = unsafe SSL_CTX_new(TLS_client_method()) else { throw .handshake }
    unsafe self.context = context
    guard let connection = unsafe SSL_new(context) else {
      unsafe SSL_CTX_free(context)
      throw .handshake
    }
    unsafe self.connection = connection
    try trustOnly(trust)
    try expect(address)
    guard unsafe SSL_set_fd(connection, socket.descriptor) == 1 else { throw .handshake }
    do throws(OutsideError) { try repeating { unsafe SSL_connect(connection) } } catch {
      let verdict = unsafe SSL_get_verify_result(connection)
      throw verdict == Int(X509_V_OK) || error == .timedOut ? error : .certificate(verdict)
    }
    isOpen = true
  }

  deinit {
    unsafe SSL_free(connection)
    unsafe SSL_CTX_free(context)
  }

  private func trustOnly(_ file: String?) throws(OutsideError) {
    guard let store = unsafe SSL_CTX_get_cert_store(context) else { throw .trust }
    let isLoaded =
      if let file { unsafe X509_STORE_load_file(store, file) } else { unsafe X509_STORE_set_default_paths(store) }
    guard isLoaded == 1 else { throw .trust }
    unsafe SSL_set_verify(connection, SSL_VERIFY_PEER, nil)
    let oldest = unsafe SSL_ctrl(connection, SSL_CTRL_SET_MIN_PROTO_VERSION, Int(TLS1_2_VERSION), nil)
    guard oldest == 1 else { throw .handshake }
  }

  private func expect(_ address: WebAddress) throws(OutsideError) {
    if address.isNumeric {
      guard unsafe X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(connection), address.host) == 1 else { throw .handshake }
      return
    }
    unsafe SSL_set_hostflags(connection, UInt32(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS))
    guard unsafe SSL_set1_host(connection, address.host) == 1 else { throw .handshake }
    let name = Int32(SSL_CTRL_SET_TLSEXT_HOSTNAME)
    var host = Array(address.host.utf8CString)
    let isSet = unsafe host.withUnsafeMutableBufferPointer {
      unsafe SSL_ctrl(connection, name, Int(TLSEXT_NAMETYPE_host_name), $0.baseAddress)
    }
    guard isSet == 1 else { throw .handshake }
  }

  /// Calls libssl until it is done, waiting for the socket as it says; gives what it returned.
  @discardableResult private func repeating(_ call: () -> Int32) throws(OutsideError) -> Int32 {
    while true {
      ERR_clear_error()
      let result = call()
      guard result <= 0 else { return result }
      switch unsafe SSL_get_error(connection, result) {
      case SSL_ERROR_WANT_READ: try socket.waitToRead()
      case SSL_ERROR_WANT_WRITE: try socket.waitToWrite()
      case SSL_ERROR_ZERO_RETURN: return 0
      // why: an end without TLS's own goodbye may have been made by somebody on the way.
      case SSL_ERROR_SYSCALL: throw errno == 0 ? .closed : .connectionFailed(errno: errno)
      default: throw isOpen ? .closed : .handshake
      }
    }
  }

  func read(_ count: Int) throws(OutsideError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    let got = try repeating { unsafe bytes.withUnsafeMutableBytes { unsafe SSL_read(connection, $0.baseAddress, Int32($0.count)) } }
    return Array(bytes.prefix(Int(got)))
  }

  func write(_ bytes: ArraySlice<UInt8>) throws(OutsideError) -> Int {
    let taken = try repeating { unsafe bytes.withUnsafeBytes { unsafe SSL_write(connection, $0.baseAddress, Int32(clamping: $0.count)) } }
    guard taken > 0 else { throw .closed }
    return Int(taken)
  }
}
