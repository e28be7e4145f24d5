package import ChatelaineAccessPolicy
package import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineVocabulary
internal import Synchronization

extension KeyService {
  /// Who may do what, as a whole: never changed, only replaced.
  package var policy: AccessPolicy { policies.withLock { $0 } }

  /// What a caller may do now.
  package func grants(to principal: Principal) -> Grants { policy.grants(to: principal) }

  /// Takes a new policy into use, once the log has it. Callers' grants are asked for anew when `policyEpoch` changes.
  package func reloadPolicy(
    _ policy: AccessPolicy, by caller: Caller, _ tags: RequestTags
  ) throws(ServiceError) -> AppendedEntry {
    var entry = entry(.service, Subject(operation: .policyReload), caller, tags)
    entry.outcome = .ok
    entry.details = [.init(.count, ByteWriter.u64Bytes(UInt64(policy.rules.count)))]
    let appended = try append(entry)
    policies.withLock { $0 = policy }
    policyCounter.wrappingAdd(1, ordering: .acquiringAndReleasing)
    return appended
  }

  /// Lets pass what a rule allows, and puts the rule into the subject; else notes the refusal. What is not allowed
  /// looks as if it were not there.
  func permit(
    _ subject: inout Subject, _ grant: Grants.Grant?, by caller: Caller, _ tags: RequestTags
  ) throws(ServiceError) {
    subject.grant = grant
    guard grant == nil else { return }
    throw try note(.policy, subject, by: caller, tags)
  }

  /// Notes an admin act that is refused before anything was begun, and gives what the caller is told.
  func note(
    _ refusal: Refusal, _ subject: Subject, by caller: Caller, _ tags: RequestTags
  ) throws(ServiceError) -> ServiceError {
    var entry = entry(.refusal, subject, caller, tags)
    entry.note(refusal)
    _ = try append(entry)
    return refusal.error
  }
}
