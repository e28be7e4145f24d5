internal import ChatelaineAuditTrail
internal import ChatelaineVocabulary

/// What the caller is told, and what the log is told.
struct Refusal: Error, Equatable, Sendable {
  var error: ServiceError
  var reason: Reason
  /// Where there is such a key.
  var keyName: KeyName?

  init(_ error: ServiceError, _ reason: Reason? = nil, keyName: KeyName? = nil) {
    self.error = error
    self.reason = reason ?? error.reason
    self.keyName = keyName
  }

  /// What no rule allows looks as if it were not there.
  static let policy = Refusal(.notFound, .policy)

  /// Whether it holds until the tenant or its keys are changed; else it may be gone at the next look.
  var lasts: Bool {
    switch error {
    case .notFound, .keyDisabled, .tenantFrozen: true
    default: false
    }
  }

  /// To whoever has an envelope that does not open, it makes no difference why.
  var hidden: Refusal {
    lasts ? Refusal(.decryptionFailed, reason, keyName: keyName) : self
  }

  var isPolicy: Bool { reason == .policy }

  var outcome: Outcome {
    isPolicy || lasts ? .denied : .failed
  }
}

/// Passes on what the caller is told.
func telling<Value>(_ body: () throws(Refusal) -> Value) throws(ServiceError) -> Value {
  do throws(Refusal) { return try body() } catch { throw error.error }
}

extension AuditEntry {
  mutating func note(_ refusal: Refusal) {
    if refusal.isPolicy { noteThatNoRuleAllows() }
    outcome = refusal.outcome
    reason = refusal.reason
  }

  /// why: what let a ciphertext be looked at may not allow its key.
  mutating func noteThatNoRuleAllows() {
    entryClass = .refusal
    rule = []
    role = []
  }
}
