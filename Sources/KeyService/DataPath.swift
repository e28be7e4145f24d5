package import ChatelaineAuditLog
package import ChatelaineAuditTrail
internal import ChatelaineEnvelopes
package import ChatelainePrimitives
internal import ChatelaineVocabulary

/// Encrypts and decrypts on one thread: owns its ciphers and its keys at hand, locks nothing.
///
/// Every call gives its result withheld, and the entry that must be durable before the result may go:
/// only a receipt of the log's writer opens it. Not `Sendable`: one object a thread or event loop.
package final class DataPath {
  let service: KeyService
  let cipher: EnvelopeCipher
  private var keys: KeysAtHand

  /// A key at hand takes about 1 KiB of locked memory: bound them by what RLIMIT_MEMLOCK allows.
  package init(_ service: KeyService, keysAtHandMax: Int = 2_000) throws(CipherUnavailable) {
    self.service = service
    cipher = try EnvelopeCipher()
    keys = KeysAtHand(capacity: keysAtHandMax)
  }

  /// What a call gives: a result that waits for its entry.
  package struct Prepared<Value: ~Copyable>: ~Copyable {
    package let draft: EntryDraft
    package let withheld: Withheld<Value>

    /// Gives the result up to a receipt for the entry.
    package consuming func release(_ receipt: borrowing AuditReceipt) -> Value { withheld.release(receipt) }
  }

  /// Overwrites the last message key where OpenSSL keeps it; call before waiting for more work.
  package func scrub() { cipher.scrub() }

  /// The current version of a key.
  func currentKey(_ name: KeyName, of tenant: TenantID) throws(ServiceError) -> OpenedKey {
    let epoch = service.keyEpoch
    if let key = keys.current(name, of: tenant, epoch: epoch) { return key }
    let key = try service.openKey(name, of: tenant)
    keys.put(key, isCurrent: true, epoch: epoch)
    return key
  }

  /// The version that an envelope of this tenant names.
  func key(_ reference: KeyReference, of tenant: TenantID) throws(ServiceError) -> OpenedKey {
    let epoch = service.keyEpoch
    if let key = keys.version(reference, of: tenant, epoch: epoch) { return key }
    let key = try service.openKey(reference, of: tenant)
    keys.put(key, isCurrent: false, epoch: epoch)
    return key
  }

  /// The entry of a key use, all but its outcome.
  func entry(_ operation: Operation, tenant: TenantID, key: KeyName?, by caller: Caller) -> AuditEntry {
    var entry = AuditEntry(.keyUse, operation)
    caller.fill(&entry)
    service.stamp(&entry)
    entry.tenant = tenant
    entry.keyName = key
    return entry
  }
}

extension KeyService {
  /// Makes entries of prepared calls durable, and waits: for callers that are no event loop.
  package func append(_ drafts: [EntryDraft]) throws(ServiceError) -> AuditReceipt {
    do throws(AppendFailure) { return try log.appendAndWait(drafts) } catch { throw ServiceError(error) }
  }
}
