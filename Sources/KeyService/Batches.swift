package import ChatelaineAccessPolicy
package import ChatelaineAuditTrail
internal import ChatelaineEnvelopes
internal import ChatelaineKeyStore
internal import ChatelainePrimitives
package import ChatelaineVocabulary

extension DataPath {
  package enum EncryptBatchTurn {
    case batch(EncryptBatch)
    /// Load the key, keep it, begin again.
    case needs(KeyRequest)
  }

  /// Begins a batch of texts under one key, each with a context of its own, and one entry for all.
  ///
  /// What refuses the key refuses every item alike.
  package func beginEncryptBatch(
    under name: KeyName, of tenant: TenantID, by caller: Caller, _ tags: RequestTags
  ) -> EncryptBatchTurn {
    var entry = entry(.encrypt, tenant: tenant, key: name, by: caller, tags)
    do throws(Stop) {
      let key = try currentKey(name, of: tenant, for: .encrypt, by: caller, &entry)
      entry.keyID = key.row.id
      entry.keyVersion = key.version
      return .batch(EncryptBatch(path: self, key: .key(key), entry: entry))
    } catch {
      switch error {
      case .needs(let request): return .needs(request)
      case .refused(let refusal):
        return .batch(EncryptBatch(path: self, key: .refused(refusal), entry: entry))
      }
    }
  }

  /// Refuses a batch whole, with one entry, of which each item would be a call with an entry of its own: to who may do nothing of
  /// the kind with any key of the tenant, and where it has more than `Limits.batchEntriesMax` items. Else nil.
  package func refusal(
    ofBatch operation: Operation, needing permissions: [Permission], count: Int, of tenant: TenantID, by caller: Caller,
    _ tags: RequestTags
  ) -> (draft: EntryDraft, error: ServiceError)? {
    let isPermitted = permissions.contains { caller.grants.grant($0, someKeyOf: tenant) != nil }
    guard !isPermitted || count > Limits.batchEntriesMax else { return nil }
    let refusal: Refusal = isPermitted ? Refusal(.limitExceeded) : Refusal(.decryptionFailed, .policy)
    var entry = entry(operation, tenant: tenant, key: nil, by: caller, tags)
    entry.note(refusal)
    return (EntryDraft(entry), refusal.error)
  }

  /// Begins a batch of envelopes of one tenant, each under whatever key it names, or under `meant`, and one entry for all.
  package func beginDecryptBatch(
    of tenant: TenantID, meaning meant: KeyName? = nil, by caller: Caller, _ tags: RequestTags
  ) -> DecryptBatch {
    var entry = entry(.decrypt, tenant: tenant, key: nil, by: caller, tags)
    var refusal: Refusal?
    if let grant = caller.grants.grant(.decrypt, someKeyOf: tenant) {
      entry.note(grant)
    } else {
      refusal = Refusal(.decryptionFailed, .policy)
    }
    return DecryptBatch(path: self, meant: meant, refusal: refusal, caller: caller, entry: entry)
  }
}

/// Texts that are encrypted under one key. Lives on the data path's thread, within one request.
package final class EncryptBatch {
  private let path: DataPath
  private let key: Found
  private let tenant: TenantID
  private var entry: AuditEntry

  fileprivate init(path: DataPath, key: Found, entry: AuditEntry) {
    guard let tenant = entry.tenant else { preconditionFailure("a batch is a tenant's") }
    self.path = path
    self.key = key
    self.tenant = tenant
    self.entry = entry
  }

  /// Appends the envelope of one text, and needs room for `plaintext.byteCount + 96` bytes; or appends
  /// nothing and says why. At most `Limits.batchItemsMax` items.
  package func add(
    _ plaintext: RawSpan, context: EncryptionContext, appendingTo output: inout OutputRawSpan
  ) -> ServiceError? {
    precondition(entry.items.count < Limits.batchItemsMax, "a door bounds its batches")
    switch key {
    case .refused(let refusal): return refuse(refusal)
    case .key(let key):
      let hash = BindingHash.context(tenant: tenant, context)
      do throws(DataPath.Stop) { try path.seal(plaintext, under: key, hash, appendingTo: &output) } catch {
        guard case .refused(let refusal) = error else { preconditionFailure("the key is here") }
        return refuse(refusal)
      }
      entry.items.append(key.item(byteCount: plaintext.byteCount, contextHash: hash))
      return nil
    }
  }

  private func refuse(_ refusal: Refusal) -> ServiceError {
    entry.items.append(refusal.item)
    return refusal.error
  }

  /// The draft of the entry that must be durable before any result may go.
  package func finish() -> EntryDraft {
    if case .refused(let refusal) = key { entry.note(refusal) } else { entry.noteItems() }
    return EntryDraft(entry)
  }
}

/// Envelopes of one tenant that are opened. Lives on the data path's thread, within one request.
package final class DecryptBatch {
  package enum Added: Equatable {
    case ok
    case failure(ServiceError)
    /// Drop the batch and what it wrote, load the key, keep it, begin again.
    case needs(KeyRequest)
  }

  private let path: DataPath
  private let meant: KeyName?
  private let refusal: Refusal?
  private let tenant: TenantID
  private let caller: Caller
  private var entry: AuditEntry
  private var keys = ItemKeys()
  private var grants = ItemGrants()

  fileprivate init(path: DataPath, meant: KeyName?, refusal: Refusal?, caller: Caller, entry: AuditEntry) {
    guard let tenant = entry.tenant else { preconditionFailure("a batch is a tenant's") }
    self.path = path
    self.meant = meant
    self.refusal = refusal
    self.tenant = tenant
    self.caller = caller
    self.entry = entry
  }

  /// Appends the plaintext of one envelope, and needs room for `envelope.count - 96` bytes; or appends
  /// nothing and says why. At most `Limits.batchItemsMax` items, under at most `Limits.batchKeysMax`
  /// different keys.
  package func add(
    _ envelope: Span<UInt8>, context: EncryptionContext, appendingTo output: inout OutputRawSpan
  ) -> Added {
    precondition(entry.items.count < Limits.batchItemsMax, "a door bounds its batches")
    var one = AuditEntry(.keyUse, .decrypt)
    do throws(DataPath.Stop) {
      let item = try open(envelope, context: context, &one, appendingTo: &output)
      note(item, one)
      return .ok
    } catch {
      switch error {
      case .needs(let request): return .needs(request)
      case .refused(let refusal):
        note(refusal.item, one)
        return .failure(refusal.error)
      }
    }
  }

  private func open(
    _ envelope: Span<UInt8>, context: EncryptionContext, _ one: inout AuditEntry,
    appendingTo output: inout OutputRawSpan
  ) throws(DataPath.Stop) -> AuditEntry.Item {
    if let refusal { throw .refused(refusal) }
    let selector = try path.selector(of: envelope)
    guard keys.fits(selector.key, max: path.batchKeysMax) else { throw .refused(.limitExceeded) }
    let key = try path.namedKey(selector.key, of: tenant, meaning: meant, for: .decrypt, by: caller, &one)
    let hash = BindingHash.context(tenant: tenant, context)
    try path.open(envelope, selector, key, hash, appendingTo: &output)
    return key.item(byteCount: envelope.count - Envelope.overheadByteCount, contextHash: hash)
  }

  private func note(_ item: AuditEntry.Item, _ one: AuditEntry) {
    entry.items.append(item)
    keys.add(one.keyVersion == 0 ? nil : KeyReference(id: one.keyID, version: one.keyVersion))
    grants.add(one)
  }

  /// The draft of the entry that must be durable before any result may go.
  package func finish() -> EntryDraft {
    entry.noteItems()
    grants.fill(&entry)
    keys.fill(&entry)
    return EntryDraft(entry)
  }
}

extension Refusal {
  var item: AuditEntry.Item { AuditEntry.Item(outcome: outcome, reason: reason) }
}

extension AuditEntry {
  /// A batch went well if all of it did; else the first item that did not says why.
  fileprivate mutating func noteItems() {
    outcome = .ok
    guard let first = items.first(where: { $0.outcome != .ok }) else { return }
    outcome = items.allSatisfy { $0.outcome == .denied } ? .denied : .failed
    reason = first.reason
    if items.allSatisfy({ $0.reason == .policy }) { noteThatNoRuleAllows() }
  }
}

/// Which key each item of a batch named.
struct ItemKeys {
  static let none: UInt16 = 0xffff

  private var keys: [KeyReference] = []
  private var places: [KeyReference: UInt16] = [:]
  private var indexes: [UInt16] = []

  /// Whether an item may name this key: it did before, or there is room for another.
  func fits(_ key: KeyReference, max: Int) -> Bool {
    keys.count < max || keys.last == key || places[key] != nil
  }

  mutating func add(_ key: KeyReference?) {
    guard let key else { return indexes.append(Self.none) }
    if let last = indexes.last, last != Self.none, keys[Int(last)] == key { return indexes.append(last) }
    if let place = places[key] { return indexes.append(place) }
    places[key] = UInt16(keys.count)
    indexes.append(UInt16(keys.count))
    keys.append(key)
  }

  /// One key that all items name stands in the entry's own fields; else the detail lists them.
  func fill(_ entry: inout AuditEntry) {
    guard let first = keys.first else { return }
    if keys.count == 1, !indexes.contains(Self.none) {
      entry.keyID = first.id
      entry.keyVersion = first.version
      return
    }
    var writer = ByteWriter(capacity: 2 + 20 * keys.count + 2 * indexes.count)
    writer.u16(UInt16(keys.count))
    for key in keys {
      writer.identifier(key.id)
      writer.u32(key.version)
    }
    for index in indexes { writer.u16(index) }
    entry.details.append(.init(.itemKeys, writer.bytes))
  }
}

/// The key name and the rule of a batch's items, as long as they are the same.
private struct ItemGrants {
  private var first: AuditEntry?
  private var isSameName = true
  private var rules: Set<[UInt8]> = []

  mutating func add(_ one: AuditEntry) {
    if !one.rule.isEmpty { rules.insert(one.rule) }
    // why: an item that names no key, such as garbage, must not hide which key the others used.
    guard one.keyName != nil else { return }
    guard let first else {
      first = one
      return
    }
    isSameName = isSameName && first.keyName == one.keyName
  }

  /// why: items of several rules show none of them: the entry has one field.
  func fill(_ entry: inout AuditEntry) {
    if isSameName { entry.keyName = first?.keyName }
    guard let rule = rules.first else { return }
    entry.rule = rules.count == 1 ? rule : []
  }
}
