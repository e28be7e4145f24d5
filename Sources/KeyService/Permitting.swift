package import ChatelaineAccessPolicy
package import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelainePrimitives
internal import ChatelaineVocabulary
internal import Synchronization

extension KeyService {
  /// Who may do what, as a whole: never changed, only replaced.
  package var policy: AccessPolicy { policies.withLock { $0 } }

  /// What a caller may do now.
  package func grants(to principal: Principal) -> Grants { policy.grants(to: principal) }

  /// Takes a new policy into use, once the log has it. Callers' grants are asked for anew when `policyEpoch` changes.
  ///
  /// `file` is the file that it was read from: its hash is in the entry, so that a copy can be held against it.
  package func reloadPolicy(
    _ policy: AccessPolicy, file: [UInt8], by caller: Caller, _ tags: RequestTags
  ) throws(ServiceError) -> AppendedEntry {
    var entry = entry(.service, Subject(operation: .policyReload), caller, tags)
    entry.outcome = .ok
    entry.details = [
      .init(.count, ByteWriter.u64Bytes(UInt64(policy.rules.count))),
      .init(.policyHash, SHA256.hash(file.span).bytes),
    ]
    let appended = try append(entry)
    policies.withLock { $0 = policy }
    policyCounter.wrappingAdd(1, ordering: .acquiringAndReleasing)
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
