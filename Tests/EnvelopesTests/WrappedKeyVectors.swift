import ChatelaineEnvelopes
import ChatelainePrimitives
import ChatelaineSecretMemory
import ChatelaineTestSupport
import ChatelaineVocabulary
import Testing

/// wrapped-key.json.
struct WrappedKeyVector: Decodable, Sendable, CustomTestStringConvertible {
  let name: String
  let expect: String
  let kind: UInt8
  let id: String
  let version: UInt32
  let wrappingKey: String
  let wrappingKeyId: String
  let wrappingKeyVersion: UInt32
  let tenant: String
  let keyName: String
  let subject: String
  let purpose: UInt8
  let suite: UInt8
  let createdNs: String
  let context: [[String]]
  let salt: String
  let keyBytes: String
  let wrapped: String
  /// Of data keys; empty elsewhere.
  let text: String

  var testDescription: String { name }
  var bytes: [UInt8] { .init(hex: wrapped) }
  var wrappingDerivationKey: DerivationKey { DerivationKey(copying: .init(hex: wrappingKey)) }
  var keyReference: KeyReference {
    get throws { KeyReference(id: try #require(Identifier(hex: id)), version: version) }
  }
  var wrappingKeyReference: KeyReference {
    get throws { KeyReference(id: try #require(Identifier(hex: wrappingKeyId)), version: wrappingKeyVersion) }
  }

  /// R: what the key is bound to, as the row or the request says.
  var binding: Digest {
    get throws {
      guard kind != WrappedKeyKind.dataKey.rawValue else {
        return try contextHash(tenant: tenant, subject: subject, context).digest
      }
      return BindingHash.record(
        .init(
          tenant: tenant.isEmpty ? nil : try TenantID(tenant),
          keyName: keyName.isEmpty ? nil : try KeyName(keyName),
          subject: .init(hex: subject), purpose: Purpose(rawValue: purpose), suite: Suite(rawValue: suite),
          created: .init(nanoseconds: try #require(UInt64(createdNs)))))
    }
  }

  static let all: [WrappedKeyVector] = load("wrapped-key.json")
}

extension KeyWrapper {
  /// Unwraps what has been parsed, and gives the bytes away: a test's right. Nil expects what the wrapped
  /// key says of itself, so that only commitment and tag can refuse it.
  func unwrapped(
    _ wrapped: WrappedKey, kind: WrappedKeyKind? = nil, as reference: KeyReference? = nil,
    under key: borrowing DerivationKey, wrappingKeyReference: KeyReference? = nil, binding: Digest
  ) throws(Reason) -> [UInt8] {
    do throws(CommittingAEAD.Refusal) {
      return try unwrap(
        wrapped, kind: kind ?? wrapped.kind, as: reference, under: key,
        wrappingKeyReference: wrappingKeyReference ?? wrapped.wrappingKey, binding: binding
      ).copied()
    } catch { throw Reason(error) }
  }

  /// Parses and unwraps: why that fails, or nil where it does not.
  func refusal(_ bytes: [UInt8], under key: borrowing DerivationKey, binding: Digest) -> Reason? {
    guard let wrapped = try? WrappedKey(bytes.span) else { return .malformed }
    do throws(Reason) { _ = try unwrapped(wrapped, under: key, binding: binding) } catch { return error }
    return nil
  }

  func wrapped(
    _ bytes: [UInt8], kind: WrappedKeyKind, as reference: KeyReference, under key: borrowing DerivationKey,
    wrappingKeyReference: KeyReference, binding: Digest, salt: [UInt8] = SecureRandom.bytes(24)
  ) -> WrappedKey {
    wrap(
      SecretBytes(copying: bytes), kind: kind, as: reference, under: key,
      wrappingKeyReference: wrappingKeyReference, binding: binding, salt: salt)
  }
}
