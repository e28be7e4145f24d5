internal import ChatelaineClient
internal import ChatelaineCustody
internal import ChatelaineExits

/// The exit codes of every command that talks to the service, as their help has them.
let exitCodesHelp = """
  Exit status: 0 done; 64 wrong arguments (INVALID_REQUEST); 65 the data does not open, is too much or is no longer \
  as it was written (DECRYPTION_FAILED, LIMIT_EXCEEDED, CORRUPT); 66 no such file, tenant or key, or none of yours \
  (NOT_FOUND); 69 the service is not there or cannot answer (CONNECT_FAILED, CONNECTION_LOST, AUDIT_UNAVAILABLE, \
  BUSY, SEALED); 70 a fault of the service (INTERNAL); 73 it cannot be made, the name is taken or another change came \
  first (CONFLICT); 74 reading or writing a file failed; 75 no answer in time, try again (DEADLINE_EXCEEDED); 76 the \
  reply is none (MALFORMED_REPLY); 77 not permitted, a file that may not be read among it (KEY_DISABLED, TENANT_FROZEN, \
  UNAUTHENTICATED, WRONG_SERVER, CONNECT_FORBIDDEN); 78 the configuration.
  """

/// The errors that only these commands have; all others are mapped in `Exits`.
func failure(_ error: any Error) -> Failure? {
  switch error {
  case let error as InspectError: Failure(error.exitStatus, error.sentence)
  case let error as CheckFailed: Failure(error.status, error.sentence)
  case let error as ClientError where error.code == .wrongServer:
    Failure(
      error.exitStatus, error.description + " Where that is right, say so: --server-uid N or --config FILE.")
  case let error as ClientError: Failure(error.exitStatus, printable(error.description))
  case let error as LineFailure:
    Failure(error.error.exitStatus, "line \(error.number): \(printable(error.error.description))")
  default: Failure(error)
  }
}

extension InspectError {
  var exitStatus: ExitStatus {
    switch self {
    case .missing: .noInput
    case .unreadable(_, let errno): ExitStatus(readingFailedWith: errno)
    case .tooLarge, .text, .envelope, .wrappedKey, .local: .data
    }
  }
}

extension ClientError {
  /// A code of a later service is a fault that this program cannot name.
  fileprivate var exitStatus: ExitStatus {
    switch code {
    case .invalidRequest: .usage
    case .decryptionFailed, .limitExceeded, .corrupt: .data
    case .notFound: .noInput
    case .connectFailed, .connectionLost, .connectionClosed, .auditUnavailable, .busy, .sealed: .unavailable
    case .conflict: .cannotCreate
    case .deadlineExceeded, .cancelled: .busy
    case .malformedReply: .protocolFault
    case .keyDisabled, .tenantFrozen, .unauthenticated, .wrongServer, .connectForbidden: .noPermission
    default: .software
    }
  }
}
