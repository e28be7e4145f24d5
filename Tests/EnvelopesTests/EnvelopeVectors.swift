import ChatelaineEnvelopes
import ChatelainePrimitives
import ChatelaineTestSupport
import ChatelaineVocabulary
import Testing

/// envelope.json, and what of it the other files share.
struct EnvelopeVector: Decodable, Sendable, CustomTestStringConvertible {
  let name: String
  let expect: String
  let key: String
  let kind: UInt8
  let suite: UInt8
  let keyId: String
  let keyVersion: UInt32
  let tenant: String
  let subject: String
  let context: [[String]]
  let salt: String
  let plaintext: String
  let envelope: String
  let text: String

  var testDescription: String { name }
  var bytes: [UInt8] { .init(hex: envelope) }
  var plaintextBytes: [UInt8] { .init(hex: plaintext) }
  var derivationKey: DerivationKey { DerivationKey(copying: .init(hex: key)) }
  var contextHash: ContextHash {
    get throws { try EnvelopesTests.contextHash(tenant: tenant, subject: subject, context) }
  }
  var keyReference: KeyReference {
    get throws { KeyReference(id: try #require(Identifier(hex: keyId)), version: keyVersion) }
  }
  var selector: Envelope.Selector {
    get throws {
      .init(
        suite: try #require(Suite(rawValue: suite)), kind: try #require(EnvelopeKind(rawValue: kind)),
        key: try keyReference)
    }
  }

  static let all: [EnvelopeVector] = load("envelope.json")
}

struct Vectors<Vector: Decodable>: Decodable { let vectors: [Vector] }

/// Our own vectors must be there: a file that cannot be read ends the run.
func load<Vector: Decodable>(_ name: String) -> [Vector] {
  do { return try OwnVectors.load(name, as: Vectors<Vector>.self).vectors } catch {
    fatalError("\(name): \(error)")
  }
}

func pairs(_ context: [[String]]) -> [EncryptionContext.Pair] {
  context.map { .init(key: .init(hex: $0[0]), value: .init(hex: $0[1])) }
}

func contextHash(tenant: String, subject: String, _ context: [[String]]) throws -> ContextHash {
  BindingHash.context(
    tenant: try TenantID(tenant), subject: .init(hex: subject), try EncryptionContext(pairs(context)))
}

/// A context that fits the kind of key.
func someContext(for kind: EnvelopeKind = .tenantKey) throws -> ContextHash {
  try contextHash(tenant: "acme", subject: kind == .subjectKey ? "7375626a656374" : "", [["6e6577", "01"]])
}

/// Why an envelope or a wrapped key was refused, as the vectors spell it.
enum Reason: String, Error, Equatable {
  case malformed
  case keyOrContext = "key-or-context"
  case body

  init(_ refusal: CommittingAEAD.Refusal) {
    switch refusal {
    case .keyOrContext: self = .keyOrContext
    case .body: self = .body
    }
  }
}

extension EnvelopeCipher {
  func sealed(
    _ plaintext: [UInt8], as selector: Envelope.Selector, key: borrowing DerivationKey, contextHash: ContextHash,
    salt: [UInt8] = SecureRandom.bytes(24)
  ) -> [UInt8] {
    [UInt8](rawCapacity: plaintext.count + Envelope.overheadByteCount) { output in
      plaintext.withRawSpan {
        seal($0, as: selector, key: key, contextHash: contextHash, salt: salt.span, appendingTo: &output)
      }
    }
  }

  /// Parses and opens, as a caller must.
  func opened(_ envelope: [UInt8], key: borrowing DerivationKey, contextHash: ContextHash) throws(Reason)
    -> [UInt8]
  {
    let selector: Envelope.Selector
    do { selector = try Envelope.parseSelector(envelope.span) } catch { throw .malformed }
    return try [UInt8](rawCapacity: envelope.count - Envelope.overheadByteCount) { output throws(Reason) in
      do throws(CommittingAEAD.Refusal) {
        try open(envelope.span, as: selector, key: key, contextHash: contextHash, appendingTo: &output)
      } catch {
        precondition(output.byteCount == 0, "a refused envelope left bytes in the output")
        throw Reason(error)
      }
    }
  }

  /// Why an envelope does not open, or nil where it does.
  func refusal(_ envelope: [UInt8], key: borrowing DerivationKey, contextHash: ContextHash) -> Reason? {
    do throws(Reason) { _ = try opened(envelope, key: key, contextHash: contextHash) } catch { return error }
    return nil
  }
}
