internal import ChatelaineAccessPolicy
internal import ChatelaineAuditTrail
internal import ChatelaineEnvelopes
internal import ChatelaineKeyStore
internal import ChatelainePrimitives
package import ChatelaineVocabulary

extension DataPath {
  /// Encrypts under the current version of a tenant key, and appends the envelope: needs room for
  /// `plaintext.byteCount + 96` bytes.
  package func encrypt(
    _ plaintext: RawSpan, under name: KeyName, of tenant: TenantID, context: EncryptionContext,
    by caller: Caller,
    _ tags: RequestTags, appendingTo output: inout OutputRawSpan
  ) -> Turn {
    var entry = entry(.encrypt, tenant: tenant, key: name, by: caller, tags)
    do throws(Stop) {
      let key = try currentKey(name, of: tenant, for: .encrypt, by: caller, &entry)
      let hash = BindingHash.context(tenant: tenant, context)
      try seal(plaintext, under: key, hash, appendingTo: &output)
      entry.note(key, byteCount: plaintext.byteCount, contextHash: hash)
      return .done(Attempt(draft: EntryDraft(entry), failure: nil))
    } catch { return conclude(&entry, error) }
  }

  func seal(
    _ plaintext: RawSpan, under key: OpenedKey, _ hash: ContextHash, appendingTo output: inout OutputRawSpan
  ) throws(Stop) {
    guard let suite = key.row.suite else { throw .refused(.notFound, .purpose) }
    guard plaintext.byteCount <= Limits.plaintextBytesMax else { throw .refused(.limitExceeded) }
    let selector = Envelope.Selector(suite: suite, kind: .tenantKey, key: key.reference)
    let salt = drawSalt()
    cipher.seal(
      plaintext, as: selector, key: key.key, contextHash: hash, salt: salt.span, appendingTo: &output)
  }
}
