package import ChatelaineAuditLog
package import ChatelaineAuditTrail
package import ChatelaineAccessPolicy
internal import ChatelaineEnvelopes
internal import ChatelaineKeyStore
package import ChatelainePrimitives
package import ChatelaineVocabulary

/// Encrypts and decrypts on one thread: owns its ciphers and its keys at hand, takes no lock and waits for nothing.
///
/// Every call gives the draft of the entry that must be durable before its result may go. A key that is not at hand
/// is loaded elsewhere: the call says which, and is made again after `keep`. Not `Sendable`: one object a thread or
/// event loop.
package final class DataPath {
  package static let keysAtHandMin = 8

  let service: KeyService
  let cipher: EnvelopeCipher
  let wrapper: KeyWrapper
  private var keys: KeysAtHand
  private var random = RandomPool()

  /// A key at hand takes about 1 KiB of locked memory: bound them by what RLIMIT_MEMLOCK allows.
  package init(_ service: KeyService, keysAtHandMax: Int = 2_000) throws(CipherUnavailable) {
    self.service = service
    cipher = try EnvelopeCipher()
    wrapper = try KeyWrapper()
    keys = KeysAtHand(capacity: max(Self.keysAtHandMin, keysAtHandMax))
  }

  /// What a call comes to.
  package enum Turn {
    case done(Attempt)
    /// The key is not at hand: load it, keep it, make the same call again. Nothing was written or noted.
    case needs(KeyRequest)
  }

  /// A call that ran: its entry, and why it gave nothing if it did not.
  package struct Attempt {
    package let draft: EntryDraft
    package let failure: ServiceError?

    package init(draft: EntryDraft, failure: ServiceError?) {
      self.draft = draft
      self.failure = failure
    }
  }

  // MARK: Keys at hand

  /// Keeps what `KeyService.load` gave, unless a change made it stale meanwhile.
  package func keep(_ loaded: LoadedKey) { keys.keep(loaded, service.epochs) }

  /// Lets go of a tenant's keys; nil is all of them.
  package func forget(_ tenant: TenantID?) { keys.forget(tenant) }

  /// Overwrites the last message key where OpenSSL keeps it, and forgets random bytes that nobody used: call before
  /// waiting for more work.
  package func scrub() {
    cipher.scrub()
    random.scrub()
  }

  /// The key that decrypting or rewrapping an envelope needs: for a door that gathers what a batch lacks before it begins it. nil for
  /// what is refused in any case.
  package func neededKey(
    for envelope: Span<UInt8>, of tenant: TenantID, to permission: Permission = .decrypt, by caller: Caller
  ) -> KeyRequest? {
    guard caller.grants.grant(permission, someKeyOf: tenant) != nil, let selector = try? selector(of: envelope) else {
      return nil
    }
    return .version(tenant, selector.key)
  }

  package func isAtHand(_ request: KeyRequest) -> Bool { keys.has(request, service.epochs) }

  /// Keys and refusals at hand.
  package var keysAtHand: Int { keys.count }

  /// Different keys that one batch may name.
  package var batchKeysMax: Int { min(Limits.batchKeysMax, keys.capacity / 2) }

  /// A fresh id, for a request that came without one.
  package func drawIdentifier() -> Identifier { random.identifier() }

  func drawSalt() -> InlineArray<24, UInt8> { random.salt() }

  // MARK: Shared by the calls

  /// Why a call stops.
  enum Stop: Error {
    case needs(KeyRequest)
    case refused(Refusal)

    static func refused(_ error: ServiceError, _ reason: Reason? = nil) -> Stop { .refused(Refusal(error, reason)) }
  }

  func find(_ request: KeyRequest) throws(Stop) -> Found {
    guard let found = keys.find(request, service.epochs) else { throw .needs(request) }
    return found
  }

  /// The current version of a key that seals, where the caller may do this with it.
  func currentKey(
    _ name: KeyName, of tenant: TenantID, for permission: Permission, by caller: Caller, _ entry: inout AuditEntry
  ) throws(Stop) -> OpenedKey {
    guard let grant = caller.grants.grant(permission, tenant: tenant, key: name) else { throw .refused(.policy) }
    entry.note(grant)
    switch try find(.current(tenant, name)) {
    case .refused(let refusal): throw .refused(refusal)
    case .key(let key):
      guard key.row.purpose == .seal else { throw .refused(.notFound, .purpose) }
      return key
    }
  }

  /// The version that an envelope or a wrapped data key of this tenant names, where the caller may do this with it and
  /// means that key, if it says which.
  func namedKey(
    _ reference: KeyReference, of tenant: TenantID, meaning meant: KeyName? = nil, for permission: Permission,
    by caller: Caller, _ entry: inout AuditEntry
  ) throws(Stop) -> OpenedKey {
    entry.keyID = reference.id
    entry.keyVersion = reference.version
    let found = try find(.version(tenant, reference))
    if let name = found.name {
      entry.keyName = name
      guard let grant = caller.grants.grant(permission, tenant: tenant, key: name) else {
        throw .refused(.decryptionFailed, .policy)
      }
      entry.note(grant)
    }
    switch found {
    case .refused(let refusal): throw .refused(refusal.hidden)
    case .key(let key):
      guard key.row.purpose == .seal else { throw .refused(.decryptionFailed, .purpose) }
      guard meant == nil || meant == key.row.name else { throw .refused(.decryptionFailed, .keyOrContext) }
      return key
    }
  }

  /// Asked before anything is looked up for an envelope, whose key shows only then.
  func permitSomeKey(
    of tenant: TenantID, for permission: Permission, by caller: Caller, _ entry: inout AuditEntry
  ) throws(Stop) {
    guard let grant = caller.grants.grant(permission, someKeyOf: tenant) else {
      throw .refused(.decryptionFailed, .policy)
    }
    entry.note(grant)
  }

  /// The entry of a key use, all but its outcome.
  func entry(
    _ operation: Operation, tenant: TenantID, key: KeyName?, by caller: Caller, _ tags: RequestTags
  ) -> AuditEntry {
    var entry = AuditEntry(.keyUse, operation)
    caller.fill(&entry)
    tags.fill(&entry)
    service.stamp(&entry)
    entry.tenant = tenant
    entry.keyName = key
    return entry
  }

  func conclude(_ entry: inout AuditEntry, _ stop: Stop) -> Turn {
    switch stop {
    case .needs(let request): return .needs(request)
    case .refused(let refusal):
      entry.note(refusal)
      return .done(Attempt(draft: EntryDraft(entry), failure: refusal.error))
    }
  }
}

extension AuditEntry {
  /// Notes a use of a key that went well.
  mutating func note(_ key: OpenedKey, byteCount: Int, contextHash: ContextHash) {
    outcome = .ok
    keyName = key.row.name
    keyID = key.row.id
    keyVersion = key.version
    items = [key.item(byteCount: byteCount, contextHash: contextHash)]
  }
}

extension OpenedKey {
  func item(byteCount: Int, contextHash: ContextHash) -> AuditEntry.Item {
    AuditEntry.Item(
      outcome: .ok, byteCount: UInt32(clamping: byteCount),
      contextDigest: contextKey.authenticate(contextHash.digest.inlineBytes.span, Span()))
  }
}

extension KeyService {
  /// Makes entries of calls durable, and waits: for callers that are no event loop.
  package func append(_ drafts: [EntryDraft]) throws(ServiceError) -> AuditReceipt {
    do throws(AppendFailure) { return try log.appendAndWait(drafts) } catch { throw ServiceError(error) }
  }
}
