internal import ChatelaineAccessPolicy
internal import ChatelaineAuditTrail
internal import ChatelaineEnvelopes
internal import ChatelaineKeyStore
internal import ChatelainePrimitives
package import ChatelaineSecretMemory
package import ChatelaineVocabulary

/// What issuing a data key came to. The service keeps neither form.
package struct IssuedDataKey: ~Copyable {
  package let attempt: DataPath.Attempt
  /// Empty where it failed.
  package let wrapped: [UInt8]
  /// nil where it failed, or only the wrapped form was asked for.
  package let key: SecretBytes?
}

package struct UnwrappedDataKey: ~Copyable {
  package let attempt: DataPath.Attempt
  /// nil where it failed.
  package let key: SecretBytes?
}

extension DataPath {
  package enum IssueTurn: ~Copyable {
    case done(IssuedDataKey)
    case needs(KeyRequest)
  }

  package enum UnwrapTurn: ~Copyable {
    case done(UnwrappedDataKey)
    case needs(KeyRequest)
  }

  /// Makes a data key and wraps it under the current version of a tenant key, bound to tenant and context.
  package func issueDataKey(
    under name: KeyName, of tenant: TenantID, context: EncryptionContext, wrappedOnly: Bool,
    by caller: Caller,
    _ tags: RequestTags
  ) -> IssueTurn {
    var entry = entry(.issueDataKey, tenant: tenant, key: name, by: caller, tags)
    do throws(Stop) {
      let key = try currentKey(name, of: tenant, for: .issueDataKey, by: caller, &entry)
      let hash = BindingHash.context(tenant: tenant, context)
      let dataKey = SecretBytes.random(count: DerivationKey.byteCount)
      let wrapped = wrap(dataKey, as: KeyReference(id: drawIdentifier(), version: 0), under: key, hash)
      entry.note(key, byteCount: wrappedOnly ? 0 : DerivationKey.byteCount, contextHash: hash)
      let attempt = Attempt(draft: EntryDraft(entry), failure: nil)
      guard !wrappedOnly else { return .done(IssuedDataKey(attempt: attempt, wrapped: wrapped, key: nil)) }
      return .done(IssuedDataKey(attempt: attempt, wrapped: wrapped, key: consume dataKey))
    } catch {
      switch conclude(&entry, error) {
      case .needs(let request): return .needs(request)
      case .done(let attempt): return .done(IssuedDataKey(attempt: attempt, wrapped: [], key: nil))
      }
    }
  }

  /// Opens a wrapped data key of a tenant. Whatever is wrong with it, the caller learns one thing.
  package func unwrapDataKey(
    _ wrapped: Span<UInt8>, of tenant: TenantID, meaning meant: KeyName? = nil, context: EncryptionContext,
    by caller: Caller, _ tags: RequestTags
  ) -> UnwrapTurn {
    var entry = entry(.unwrapDataKey, tenant: tenant, key: nil, by: caller, tags)
    do throws(Stop) {
      try permitSomeKey(of: tenant, for: .unwrapDataKey, by: caller, &entry)
      let parsed = try wrappedDataKey(wrapped)
      let key = try namedKey(
        parsed.wrappingKey, of: tenant, meaning: meant, for: .unwrapDataKey, by: caller, &entry)
      let hash = BindingHash.context(tenant: tenant, context)
      let dataKey = try unwrap(parsed, under: key, hash)
      entry.note(key, byteCount: dataKey.count, contextHash: hash)
      let attempt = Attempt(draft: EntryDraft(entry), failure: nil)
      return .done(UnwrappedDataKey(attempt: attempt, key: consume dataKey))
    } catch {
      switch conclude(&entry, error) {
      case .needs(let request): return .needs(request)
      case .done(let attempt): return .done(UnwrappedDataKey(attempt: attempt, key: nil))
      }
    }
  }

  func wrappedDataKey(_ bytes: Span<UInt8>) throws(Stop) -> WrappedKey {
    guard let wrapped = try? WrappedKey(bytes), wrapped.kind == .dataKey else {
      throw .refused(.decryptionFailed, .header)
    }
    return wrapped
  }

  func wrap(
    _ dataKey: borrowing SecretBytes, as reference: KeyReference, under key: OpenedKey, _ hash: ContextHash
  ) -> [UInt8] {
    let salt = drawSalt()
    return wrapper.wrap(
      dataKey, kind: .dataKey, as: reference, under: key.key, wrappingKeyReference: key.reference,
      binding: hash.digest, salt: salt.span.copied()
    ).bytes
  }

  func unwrap(_ wrapped: WrappedKey, under key: OpenedKey, _ hash: ContextHash) throws(Stop) -> SecretBytes {
    do throws(CommittingAEAD.Refusal) {
      return try wrapper.unwrap(
        wrapped, kind: .dataKey, as: nil, under: key.key, wrappingKeyReference: key.reference,
        binding: hash.digest)
    } catch { throw .refused(.decryptionFailed, error == .body ? .body : .keyOrContext) }
  }
}
