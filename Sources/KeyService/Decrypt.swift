internal import ChatelaineAccessPolicy
internal import ChatelaineAuditTrail
internal import ChatelaineEnvelopes
internal import ChatelainePrimitives
package import ChatelaineVocabulary

extension DataPath {
  /// Opens an envelope for a tenant, and appends its plaintext: needs room for `envelope.count - 96` bytes.
  ///
  /// Whatever is wrong with it, the caller learns one thing and the output is as it was; the entry has the
  /// true reason. With `meant` it must be an envelope under a version of that key.
  package func decrypt(
    _ envelope: Span<UInt8>, of tenant: TenantID, meaning meant: KeyName? = nil, context: EncryptionContext,
    by caller: Caller, _ tags: RequestTags, appendingTo output: inout OutputRawSpan
  ) -> Turn {
    var entry = entry(.decrypt, tenant: tenant, key: nil, by: caller, tags)
    do throws(Stop) {
      try permitSomeKey(of: tenant, for: .decrypt, by: caller, &entry)
      let selector = try selector(of: envelope)
      let key = try namedKey(selector.key, of: tenant, meaning: meant, for: .decrypt, by: caller, &entry)
      let hash = BindingHash.context(tenant: tenant, context)
      try open(envelope, selector, key, hash, appendingTo: &output)
      entry.note(key, byteCount: envelope.count - Envelope.overheadByteCount, contextHash: hash)
      return .done(Attempt(draft: EntryDraft(entry), failure: nil))
    } catch { return conclude(&entry, error) }
  }

  func selector(of envelope: Span<UInt8>) throws(Stop) -> Envelope.Selector {
    guard envelope.count <= Limits.plaintextBytesMax + Envelope.overheadByteCount else {
      throw .refused(.limitExceeded)
    }
    guard let selector = try? Envelope.parseSelector(envelope), selector.kind == .tenantKey else {
      throw .refused(.decryptionFailed, .header)
    }
    return selector
  }

  func open(
    _ envelope: Span<UInt8>, _ selector: Envelope.Selector, _ key: OpenedKey, _ hash: ContextHash,
    appendingTo output: inout OutputRawSpan
  ) throws(Stop) {
    do throws(CommittingAEAD.Refusal) {
      try cipher.open(envelope, as: selector, key: key.key, contextHash: hash, appendingTo: &output)
    } catch { throw .refused(.decryptionFailed, error == .body ? .body : .keyOrContext) }
  }
}
