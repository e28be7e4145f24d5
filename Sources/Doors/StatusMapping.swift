internal import ChatelaineKeyService
internal import ChatelaineVocabulary
internal import ChatelaineWire

/// From codes to the wire, for the ttrpc doors: the only place that does it.
extension WireStatus {
  init(_ error: ServiceError, requestID: Identifier, receipt: WireReceipt? = nil) {
    self.init(error.code, error.publicSentence, requestID: requestID, receipt: receipt)
    if retry == .later { retryAfterMilliseconds = error.retryMilliseconds }
  }

  init(_ code: ErrorCode, _ sentence: String, requestID: Identifier?, receipt: WireReceipt? = nil) {
    self.init(
      status: code.rpcStatus, message: sentence, code: code.rawValue, requestID: requestID, retry: code.retry,
      retryAfterMilliseconds: code.retry == .later ? 1000 : 0, receipt: receipt)
  }
}

extension ErrorCode {
  /// https://grpc.github.io/grpc/core/md_doc_statuscodes.html
  fileprivate var rpcStatus: UInt32 {
    switch self {
    case .invalidRequest, .decryptionFailed: 3
    case .deadlineExceeded: 4
    case .notFound: 5
    case .limitExceeded, .busy: 8
    case .keyDisabled, .tenantFrozen, .notSigned: 9
    case .conflict: 10
    case .internal: 13
    case .auditUnavailable, .sealed: 14
    case .corrupt: 15
    case .unauthenticated: 16
    }
  }

  fileprivate var retry: WireStatus.Retry {
    switch self {
    case .busy, .auditUnavailable, .sealed: .later
    case .deadlineExceeded: .sameRequestID
    case .invalidRequest, .decryptionFailed, .unauthenticated, .notFound, .keyDisabled, .tenantFrozen, .conflict, .limitExceeded,
      .corrupt, .notSigned, .internal:
      .never
    }
  }
}

extension ServiceError {
  /// What anyone may read: what is wrong inside the service is for its operator's log.
  var publicSentence: String {
    switch code {
    case .internal: "The service cannot do this now: its operator's log says why."
    case .corrupt: "The service found something that is not as it was written: its operator's log says what."
    default: sentence
    }
  }
}
