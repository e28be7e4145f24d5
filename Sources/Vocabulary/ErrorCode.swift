/// The stable list of what can go wrong for a caller. Codes are added, never renamed.
package enum ErrorCode: String, Sendable, CaseIterable {
  case invalidRequest = "INVALID_REQUEST"
  /// One answer for a malformed body, a wrong context, tenant or key, and a changed ciphertext.
  case decryptionFailed = "DECRYPTION_FAILED"
  case unauthenticated = "UNAUTHENTICATED"
  /// Also: not yours.
  case notFound = "NOT_FOUND"
  case keyDisabled = "KEY_DISABLED"
  /// Told to those whom a rule allows the tenant.
  case tenantFrozen = "TENANT_FROZEN"
  case conflict = "CONFLICT"
  case limitExceeded = "LIMIT_EXCEEDED"
  case busy = "BUSY"
  case auditUnavailable = "AUDIT_UNAVAILABLE"
  case sealed = "SEALED"
  case deadlineExceeded = "DEADLINE_EXCEEDED"
  /// This service signs no heads of its log, so it proves nothing of it.
  case notSigned = "NOT_SIGNED"
  case corrupt = "CORRUPT"
  case `internal` = "INTERNAL"
}
