/// Why another host could not be talked to, or what came from it is no answer.
package enum OutsideError: Error, Equatable, Sendable {
  /// The name stands for no address: what getaddrinfo(3) returned.
  case unknownHost(Int32)
  /// No address of it takes a connection.
  case refused(errno: Int32)
  case timedOut
  /// The connection ended before the answer did.
  case closed
  case connectionFailed(errno: Int32)
  /// The host's certificate does not hold: OpenSSL's X509_V_ERR number.
  case certificate(Int)
  case handshake
  /// The file of trusted certificates cannot be used.
  case trust
  /// The answer is not HTTP/1.1 as RFC 9112 has it.
  case malformed
  case tooLong
  /// What was to be sent could not be read.
  case source
}
