internal import ChatelaineAccessPolicy
internal import ChatelaineAuditTrail
internal import ChatelaineEnvelopes
internal import ChatelaineKeyStore
internal import ChatelainePrimitives
internal import ChatelaineSecretMemory
package import ChatelaineVocabulary

/// To the current version of the same key: tenant, key, kind and context stay as they are. What is current
/// already is verified and given back unchanged. The caller never sees the plaintext; it passes through
/// secret memory.
extension DataPath {
  /// Rewraps an envelope: needs room for as many bytes as it has.
  package func rewrap(
    envelope: Span<UInt8>, of tenant: TenantID, meaning meant: KeyName? = nil, context: EncryptionContext,
    by caller: Caller, _ tags: RequestTags, appendingTo output: inout OutputRawSpan
  ) -> Turn {
    var entry = entry(.rewrap, tenant: tenant, key: nil, by: caller, tags)
    do throws(Stop) {
      try permitSomeKey(of: tenant, for: .rewrap, by: caller, &entry)
      let selector = try selector(of: envelope)
      let (old, new) = try keys(selector.key, of: tenant, meaning: meant, by: caller, &entry)
      let hash = BindingHash.context(tenant: tenant, context)
      try rewrap(envelope, selector, from: old, to: new, hash, appendingTo: &output)
      entry.note(old, byteCount: envelope.count - Envelope.overheadByteCount, contextHash: hash)
      return .done(rewrapped(&entry, to: new))
    } catch { return conclude(&entry, error) }
  }

  /// Rewraps a wrapped data key, whose own id stays: what was sealed under it goes on opening. Needs room for
  /// 148 bytes.
  package func rewrap(
    wrappedDataKey: Span<UInt8>, of tenant: TenantID, meaning meant: KeyName? = nil, context: EncryptionContext,
    by caller: Caller, _ tags: RequestTags, appendingTo output: inout OutputRawSpan
  ) -> Turn {
    var entry = entry(.rewrap, tenant: tenant, key: nil, by: caller, tags)
    do throws(Stop) {
      try permitSomeKey(of: tenant, for: .rewrap, by: caller, &entry)
      let wrapped = try self.wrappedDataKey(wrappedDataKey)
      let (old, new) = try keys(wrapped.wrappingKey, of: tenant, meaning: meant, by: caller, &entry)
      let hash = BindingHash.context(tenant: tenant, context)
      let dataKey = try unwrap(wrapped, under: old, hash)
      let bytes =
        old.version == new.version ? wrapped.bytes : wrap(dataKey, as: wrapped.key, under: new, hash)
      output.append(contentsOf: bytes.span)
      entry.note(old, byteCount: dataKey.count, contextHash: hash)
      return .done(rewrapped(&entry, to: new))
    } catch { return conclude(&entry, error) }
  }

  /// The version that is named, and the current one of the same key.
  private func keys(
    _ reference: KeyReference, of tenant: TenantID, meaning meant: KeyName?, by caller: Caller, _ entry: inout AuditEntry
  ) throws(Stop) -> (old: OpenedKey, new: OpenedKey) {
    let old = try namedKey(reference, of: tenant, meaning: meant, for: .rewrap, by: caller, &entry)
    switch try find(.current(tenant, old.row.name)) {
    case .refused(let refusal): throw .refused(refusal.hidden)
    case .key(let new): return (old, new)
    }
  }

  private func rewrap(
    _ envelope: Span<UInt8>, _ selector: Envelope.Selector, from old: OpenedKey, to new: OpenedKey,
    _ hash: ContextHash, appendingTo output: inout OutputRawSpan
  ) throws(Stop) {
    let count = envelope.count - Envelope.overheadByteCount
    guard count > 0 else {
      return try rewrapNothing(envelope, selector, from: old, to: new, hash, appendingTo: &output)
    }
    let plaintext = try SecretBytes(count: count) { (secret) throws(Stop) in
      try open(envelope, selector, old, hash, appendingTo: &secret)
    }
    guard old.version != new.version else { return output.append(contentsOf: envelope) }
    try plaintext.withBytes { (bytes) throws(Stop) in try seal(bytes, under: new, hash, appendingTo: &output)
    }
  }

  /// Secret memory has no pages for nothing.
  private func rewrapNothing(
    _ envelope: Span<UInt8>, _ selector: Envelope.Selector, from old: OpenedKey, to new: OpenedKey,
    _ hash: ContextHash, appendingTo output: inout OutputRawSpan
  ) throws(Stop) {
    let nothing = try [UInt8](rawCapacity: 0) { (empty) throws(Stop) in
      try open(envelope, selector, old, hash, appendingTo: &empty)
    }
    guard old.version != new.version else { return output.append(contentsOf: envelope) }
    try nothing.span.withRawSpan { (bytes) throws(Stop) in
      try seal(bytes, under: new, hash, appendingTo: &output)
    }
  }

  /// The entry names the version that was, and in a detail the one that is.
  private func rewrapped(_ entry: inout AuditEntry, to new: OpenedKey) -> Attempt {
    var writer = ByteWriter(capacity: 4)
    writer.u32(new.version)
    entry.details.append(.init(.version, writer.bytes))
    return Attempt(draft: EntryDraft(entry), failure: nil)
  }
}
