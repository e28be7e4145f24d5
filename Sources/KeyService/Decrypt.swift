internal import ChatelaineKeyStore
internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineEnvelopes
internal import ChatelainePrimitives
package import ChatelaineSecretMemory
package import ChatelaineVocabulary

/// What a decryption gives: plaintext in secret memory, or why not.
package enum Decrypted: ~Copyable, Sendable {
  /// nil for the empty plaintext.
  case plaintext(SecretBytes?)
  case refused(ServiceError)
}

extension DataPath {
  /// Opens an envelope for a tenant. Whatever is wrong with it, the caller learns one thing; the entry
  /// has the true reason.
  package func decrypt(
    _ envelope: Span<UInt8>, of tenant: TenantID, context: EncryptionContext, by caller: Caller
  ) -> Prepared<Decrypted> {
    var entry = entry(.decrypt, tenant: tenant, key: nil, by: caller)
    do throws(Refusal) {
      let plaintext = try open(envelope, of: tenant, context: context, entry: &entry)
      return Prepared(draft: EntryDraft(entry), withheld: Withheld(.plaintext(plaintext)))
    } catch {
      entry.note(error.error, reason: error.reason)
      return Prepared(draft: EntryDraft(entry), withheld: Withheld(.refused(error.error)))
    }
  }

  /// What the caller is told, and what the log is told.
  private struct Refusal: Error {
    var error = ServiceError.decryptionFailed
    let reason: Reason
  }

  private func open(
    _ envelope: Span<UInt8>, of tenant: TenantID, context: EncryptionContext, entry: inout AuditEntry
  ) throws(Refusal) -> SecretBytes? {
    guard let selector = try? Envelope.parseSelector(envelope), selector.kind == .tenantKey else {
      throw Refusal(reason: .header)
    }
    entry.keyID = selector.key.id
    entry.keyVersion = selector.key.version
    let key = try openedKey(selector.key, of: tenant)
    guard key.row.purpose == .seal else { throw Refusal(reason: .purpose) }
    let hash = BindingHash.context(tenant: tenant, context)
    let count = envelope.count - Envelope.overheadByteCount
    do throws(CommittingAEAD.Refusal) {
      let plaintext = try open(envelope, selector, key, hash, count: count)
      entry.note(key, byteCount: count, contextHash: hash)
      return plaintext
    } catch {
      entry.keyName = key.row.name
      throw Refusal(reason: error == .body ? .body : .keyOrContext)
    }
  }

  /// Opens into secret memory, which has no pages for nothing: an empty text is checked and given as nil.
  private func open(
    _ envelope: Span<UInt8>, _ selector: Envelope.Selector, _ key: OpenedKey, _ hash: ContextHash, count: Int
  ) throws(CommittingAEAD.Refusal) -> SecretBytes? {
    guard count > 0 else {
      _ = try [UInt8](rawCapacity: 0) { (output) throws(CommittingAEAD.Refusal) in
        try cipher.open(envelope, as: selector, key: key.key, contextHash: hash, appendingTo: &output)
      }
      return nil
    }
    return try SecretBytes(count: count) { (output) throws(CommittingAEAD.Refusal) in
      try cipher.open(envelope, as: selector, key: key.key, contextHash: hash, appendingTo: &output)
    }
  }

  private func openedKey(_ reference: KeyReference, of tenant: TenantID) throws(Refusal) -> OpenedKey {
    do throws(ServiceError) { return try key(reference, of: tenant) } catch {
      switch error {
      case .notFound: throw Refusal(reason: .noSuchKey)
      case .keyDisabled: throw Refusal(reason: .keyDisabled)
      default: throw Refusal(error: error, reason: error.reason)
      }
    }
  }
}
