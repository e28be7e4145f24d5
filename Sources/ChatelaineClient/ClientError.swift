/// Why a call has no result.
///
/// ```swift
/// do {
///   let card = try await connection.decrypt(envelope, tenant: "acme")
/// } catch where error.code == .decryptionFailed {
///   // The envelope, the tenant and the context do not belong together.
/// } catch where error.code == .auditUnavailable {
///   // Nothing was done: try again, after `error.retry`.
/// }
/// ```
public struct ClientError: Error, Equatable, Sendable, CustomStringConvertible {
  /// What went wrong, as a stable word. Open: a later service may send a code that is not listed here.
  public struct Code: Hashable, Sendable, CustomStringConvertible {
    /// The word, such as `DECRYPTION_FAILED`.
    public let rawValue: String

    /// A code by its word.
    public init(rawValue: String) { self.rawValue = rawValue }

    /// The word.
    public var description: String { rawValue }
  }

  /// What to do about it.
  public enum Retry: Hashable, Sendable {
    /// The same request fails again.
    case never
    /// Again, after this long.
    case after(Duration)
    /// Again at once, with the same request id: whether the first try was done is not known.
    case withSameRequestID
  }

  /// What went wrong.
  public let code: Code
  /// One sentence for a person. It may change: decide by `code`.
  public let sentence: String
  /// Names the call in the key-access log; nil where the call has no entry that is known of.
  public let requestID: RequestID?
  /// Whether to try again, and how.
  public let retry: Retry
  /// Where the log holds the refusal; nil where it has no entry of its own.
  public let receipt: Receipt?
  /// With ``Code/logAlarm``: what is wrong with the log, and the heads that show it.
  public let alarm: LogAlarm?

  /// An error as the library makes it; for tests of yours.
  public init(
    _ code: Code, _ sentence: String, requestID: RequestID? = nil, retry: Retry = .never,
    receipt: Receipt? = nil, alarm: LogAlarm? = nil
  ) {
    self.code = code
    self.sentence = sentence
    self.requestID = requestID
    self.retry = retry
    self.receipt = receipt
    self.alarm = alarm
  }

  /// Code, sentence and request id in one line. Nothing of it is secret.
  public var description: String {
    "\(code): \(sentence)" + (requestID.map { " (request \($0))" } ?? "")
  }
}

extension ClientError.Code {
  /// The request breaks a rule of its format, such as the grammar of a name.
  public static let invalidRequest = Self(rawValue: "INVALID_REQUEST")
  /// The bytes do not open for this tenant and this context, or are no envelope at all.
  public static let decryptionFailed = Self(rawValue: "DECRYPTION_FAILED")
  /// The service does not know who asks.
  public static let unauthenticated = Self(rawValue: "UNAUTHENTICATED")
  /// There is no such tenant or key, or none that you may use.
  public static let notFound = Self(rawValue: "NOT_FOUND")
  /// The operator has disabled the key that was named: to encrypt, or to issue a data key. What it has encrypted is
  /// ``decryptionFailed``.
  public static let keyDisabled = Self(rawValue: "KEY_DISABLED")
  public static let tenantFrozen = Self(rawValue: "TENANT_FROZEN")
  /// The name is taken, or another change came first.
  public static let conflict = Self(rawValue: "CONFLICT")
  /// More than one request may carry.
  public static let limitExceeded = Self(rawValue: "LIMIT_EXCEEDED")
  /// The service has too much to do, or cannot use its disk for this: nothing was done.
  public static let busy = Self(rawValue: "BUSY")
  /// The key-access log cannot be written: nothing was done.
  public static let auditUnavailable = Self(rawValue: "AUDIT_UNAVAILABLE")
  /// The service waits for its master key.
  public static let sealed = Self(rawValue: "SEALED")
  /// There was no reply in time, here or there. The call may have been done.
  public static let deadlineExceeded = Self(rawValue: "DEADLINE_EXCEEDED")
  /// The service found something that is not as it was written.
  public static let corrupt = Self(rawValue: "CORRUPT")
  /// The service signs no heads of its log, so it proves nothing of it.
  public static let notSigned = Self(rawValue: "NOT_SIGNED")
  /// The service cannot do it; its operator's log says why.
  public static let `internal` = Self(rawValue: "INTERNAL")

  // Codes of this library's own: the service never sends them.

  /// No connection could be made.
  public static let connectFailed = Self(rawValue: "CONNECT_FAILED")
  /// The socket, or a directory above it, is not open to this user.
  public static let connectForbidden = Self(rawValue: "CONNECT_FORBIDDEN")
  /// Another user than the expected one serves the socket: nothing was sent.
  public static let wrongServer = Self(rawValue: "WRONG_SERVER")
  /// The connection ended before the reply came. The call may have been done.
  public static let connectionLost = Self(rawValue: "CONNECTION_LOST")
  /// `close()` was called before.
  public static let connectionClosed = Self(rawValue: "CONNECTION_CLOSED")
  /// The reply is not one: the connection was closed.
  public static let malformedReply = Self(rawValue: "MALFORMED_REPLY")
  /// The log's public key is none, is missing, or is another log's.
  public static let invalidLogKey = Self(rawValue: "INVALID_LOG_KEY")
  /// The log is not, or cannot be shown to be, the one it was: ``ClientError/alarm`` says more.
  public static let logAlarm = Self(rawValue: "LOG_ALARM")
  /// The newest head could not be read where it is kept, or not be kept.
  public static let headStoreFailed = Self(rawValue: "HEAD_STORE_FAILED")
  /// The task that called was cancelled. The call may have been done.
  public static let cancelled = Self(rawValue: "CANCELLED")
}
