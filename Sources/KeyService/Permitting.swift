package import ChatelaineAccessPolicy
package import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelainePrimitives
package import ChatelaineTokens
internal import ChatelaineVocabulary
internal import Synchronization

/// Who may do what, and the tokens that count: read together, replaced together.
struct AccessRules {
  var policy: AccessPolicy
  var tokens: TokenRules
}

extension KeyService {
  /// Who may do what, as a whole: never changed, only replaced.
  package var policy: AccessPolicy { access.withLock { $0.policy } }

  /// The tokens that count.
  package var tokens: TokenRules { access.withLock { $0.tokens } }

  /// Seconds since 1970, for tokens: never goes back while the service runs, so that a clock that is set back revives none.
  package func tokenSeconds() -> UInt64 {
    latestSecond.max(clock.wall().nanoseconds / 1_000_000_000, ordering: .relaxed).newValue
  }

  /// What a caller may do now.
  package func grants(to principal: Principal) -> Grants { policy.grants(to: principal) }

  /// What a caller may do now with the token that it showed before it had to wait: nothing, where policy or tokens were changed since,
  /// for nobody knows what the token is worth now.
  package func grants(to principal: Principal, of caller: Caller) -> Grants {
    access.withLock { access in
      switch caller.token {
      case .none: access.policy.grants(to: principal)
      case .good(let token) where caller.tokenEpoch == policyEpoch:
        access.policy.grants(to: principal).shown(token.bearer)
      case .good, .bad: .none
      }
    }
  }

  /// Takes a new policy and new tokens into use, once the log has it. Callers' grants are asked for anew when `policyEpoch` changes.
  ///
  /// `file` is the file that it was read from: its hash is in the entry, so that a copy can be held against it.
  package func reloadPolicy(
    _ policy: AccessPolicy, tokens: TokenRules = .none, file: [UInt8], by caller: Caller, _ tags: RequestTags
  ) throws(ServiceError) -> AppendedEntry {
    var entry = entry(.service, Subject(operation: .policyReload), caller, tags)
    entry.outcome = .ok
    entry.details = [
      .init(.count, ByteWriter.u64Bytes(UInt64(policy.rules.count))),
      .init(.policyHash, SHA256.hash(file.span).bytes),
    ]
    entry.add(tokens.details)
    let appended = try append(entry)
    access.withLock { access in
      access = AccessRules(policy: policy, tokens: tokens)
      policyCounter.wrappingAdd(1, ordering: .acquiringAndReleasing)
    }
    return appended
  }

  /// Notes that a new policy was refused, and the old one stays. `file` is nil where there was none to read.
  package func noteRefusedPolicy(
    file: [UInt8]?, by caller: Caller, _ tags: RequestTags
  ) throws(ServiceError) -> AppendedEntry {
    var entry = entry(.service, Subject(operation: .policyReload), caller, tags)
    entry.outcome = .failed
    entry.reason = file == nil ? .store : .malformed
    if let file { entry.details = [.init(.policyHash, SHA256.hash(file.span).bytes)] }
    return try append(entry)
  }

  /// Lets pass what a rule allows, and puts the rule into the subject; else notes the refusal. What is not allowed
  /// looks as if it were not there, where a tenant is named; else there is nothing to hide.
  func permit(
    _ subject: inout Subject, _ grant: Grants.Grant?, by caller: Caller, _ tags: RequestTags
  ) throws(ServiceError) {
    subject.grant = grant
    guard grant == nil else { return }
    throw try note(subject.tenant == nil ? Refusal(.notAllowed, .policy) : .policy, subject, by: caller, tags)
  }

  /// Notes an admin act that is refused before anything was begun, and gives what the caller is told.
  func note(
    _ refusal: Refusal, _ subject: Subject, by caller: Caller, _ tags: RequestTags
  ) throws(ServiceError) -> ServiceError {
    found(refusal.error)
    var entry = entry(.refusal, subject, caller, tags)
    entry.note(refusal)
    let noted = try append(entry)
    tags.noted?.note(noted)
    return refusal.error
  }
}

extension TokenRules {
  /// What an entry says of them: the hash of their files.
  var details: [AuditEntry.Detail] {
    areNone ? [] : [.init(.note, Array("tokens=\(filesHash.hex)".utf8))]
  }
}
