internal import CLibssl
internal import Glibc

extension OutsideError {
  /// What is wrong and what to look at, in words that follow the host's name.
  package var words: String {
    switch self {
    case .unknownHost(let status): "its name stands for no address (\(unsafe String(cString: gai_strerror(status))))"
    case .refused(let errno): "it takes no connection (\(Self.text(errno)))"
    case .timedOut: "it did not answer in time"
    case .closed: "it ended the connection before its answer was whole"
    case .connectionFailed(let errno): "the connection failed (\(Self.text(errno)))"
    case .certificate(let number):
      "its certificate does not hold (\(unsafe String(cString: X509_verify_cert_error_string(number)))): name the certificates to trust with --ca-file, where it is not a public one"
    case .handshake: "no TLS 1.2 or later could be agreed on"
    case .trust: "the file of --ca-file holds no certificates, or the system has none"
    case .malformed: "what it answered is not HTTP"
    case .tooLong: "it answered more than such an answer may have"
    case .source: "what was to be sent changed while it was read"
    }
  }

  private static func text(_ number: Int32) -> String { unsafe String(cString: strerror(number)) }
}
