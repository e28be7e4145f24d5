internal import ChatelaineKeyStore
internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineEnvelopes
internal import ChatelainePrimitives
package import ChatelaineVocabulary

extension DataPath {
  /// Encrypts under the current version of a tenant key: an envelope, or why not.
  package func encrypt(
    _ plaintext: RawSpan, under name: KeyName, of tenant: TenantID, context: EncryptionContext, by caller: Caller
  ) -> Prepared<Result<[UInt8], ServiceError>> {
    var entry = entry(.encrypt, tenant: tenant, key: name, by: caller)
    let result: Result<[UInt8], ServiceError>
    do throws(ServiceError) {
      let key = try currentKey(name, of: tenant)
      guard let suite = key.row.suite else { throw .notFound }
      let hash = BindingHash.context(tenant: tenant, context)
      let selector = Envelope.Selector(suite: suite, kind: .tenantKey, key: key.reference)
      let salt = SecureRandom.bytes(CommittingAEAD.saltByteCount)
      let envelope = [UInt8](rawCapacity: plaintext.byteCount + Envelope.overheadByteCount) { output in
        cipher.seal(
          plaintext, as: selector, key: key.key, contextHash: hash, salt: salt.span, appendingTo: &output)
      }
      entry.note(key, byteCount: plaintext.byteCount, contextHash: hash)
      result = .success(envelope)
    } catch {
      entry.note(error)
      result = .failure(error)
    }
    return Prepared(draft: EntryDraft(entry), withheld: Withheld(result))
  }
}

extension AuditEntry {
  mutating func note(_ key: OpenedKey, byteCount: Int, contextHash: ContextHash) {
    outcome = .ok
    keyName = key.row.name
    keyID = key.row.id
    keyVersion = key.version
    items = [
      Item(
        outcome: .ok, byteCount: UInt32(clamping: byteCount),
        contextDigest: key.contextKey.authenticate(contextHash.digest.inlineBytes.span, Span()))
    ]
  }

  mutating func note(_ error: ServiceError, reason: Reason? = nil) {
    outcome = error == .notFound || error == .keyDisabled ? .denied : .failed
    self.reason = reason ?? error.reason
  }
}
