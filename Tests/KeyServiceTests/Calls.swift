import ChatelaineAuditLog
import ChatelaineAuditTrail
import ChatelainePrimitives
import ChatelaineSecretMemory
import ChatelaineVocabulary

@testable import ChatelaineKeyService

/// Makes calls of a data path as a door does, one at a time: loads what is missing, waits for the entry.
struct Calls {
  let service: KeyService
  let path: DataPath
  var caller: Caller
  /// False: entries are kept here and not put into the log.
  var waits = true
  private let last = Last()

  private final class Last { var draft: EntryDraft? }

  init(_ service: KeyService, by caller: Caller, keysAtHandMax: Int = 100) throws {
    self.service = service
    self.caller = caller
    path = try DataPath(service, keysAtHandMax: keysAtHandMax)
  }

  typealias Answer = Result<[UInt8], ServiceError>

  struct Issued: Equatable {
    var wrapped: [UInt8]
    var key: [UInt8]?
  }

  /// The entry of the last call.
  func lastEntry() throws -> AuditEntry {
    let bytes = last.draft?.bytes ?? []
    return try AuditEntry(parsing: bytes.span)
  }

  func encrypt(
    _ text: [UInt8], under name: String, of owner: String, _ context: EncryptionContext = .empty
  ) throws -> Answer {
    try answer(room: text.count + 96) { output in
      text.span.withRawSpan { bytes in
        path.encrypt(
          bytes, under: key(name), of: tenant(owner), context: context, by: caller, tags, appendingTo: &output
        )
      }
    }
  }

  func decrypt(_ envelope: [UInt8], of owner: String, _ context: EncryptionContext = .empty) throws -> Answer
  {
    try answer(room: max(0, envelope.count - 96)) { output in
      path.decrypt(envelope.span, of: tenant(owner), context: context, by: caller, tags, appendingTo: &output)
    }
  }

  func rewrap(envelope: [UInt8], of owner: String, _ context: EncryptionContext = .empty) throws -> Answer {
    try answer(room: envelope.count) { output in
      path.rewrap(
        envelope: envelope.span, of: tenant(owner), context: context, by: caller, tags, appendingTo: &output)
    }
  }

  func rewrap(dataKey: [UInt8], of owner: String, _ context: EncryptionContext = .empty) throws -> Answer {
    try answer(room: 148) { output in
      path.rewrap(
        wrappedDataKey: dataKey.span, of: tenant(owner), context: context, by: caller, tags,
        appendingTo: &output)
    }
  }

  func issue(
    under name: String, of owner: String, _ context: EncryptionContext = .empty, wrappedOnly: Bool = false
  ) throws -> Result<Issued, ServiceError> {
    while true {
      let turn = path.issueDataKey(
        under: key(name), of: tenant(owner), context: context, wrappedOnly: wrappedOnly, by: caller, tags)
      switch consume turn {
      case .needs(let request): path.keep(service.load(request))
      case .done(let issued):
        try note(issued.attempt)
        if let failure = issued.attempt.failure {
          guard issued.wrapped.isEmpty, Self.bytes(issued.key) == nil else {
            preconditionFailure("given away")
          }
          return .failure(failure)
        }
        return .success(Issued(wrapped: issued.wrapped, key: Self.bytes(issued.key)))
      }
    }
  }

  func unwrap(_ wrapped: [UInt8], of owner: String, _ context: EncryptionContext = .empty) throws -> Answer {
    while true {
      let turn = path.unwrapDataKey(wrapped.span, of: tenant(owner), context: context, by: caller, tags)
      switch consume turn {
      case .needs(let request): path.keep(service.load(request))
      case .done(let unwrapped):
        try note(unwrapped.attempt)
        let bytes = Self.bytes(unwrapped.key)
        if let failure = unwrapped.attempt.failure {
          guard bytes == nil else { preconditionFailure("given away") }
          return .failure(failure)
        }
        return .success(bytes ?? [])
      }
    }
  }

  private static func bytes(_ secret: borrowing SecretBytes?) -> [UInt8]? {
    switch secret {
    case .some(let secret): secret.withBytes { Span<UInt8>(_bytes: $0).copied() }
    case .none: nil
    }
  }

  /// Makes the call until its key is at hand, and waits for its entry.
  func answer(room: Int, _ call: (inout OutputRawSpan) -> DataPath.Turn) throws -> Answer {
    while true {
      var turn: DataPath.Turn?
      let output = [UInt8](rawCapacity: room) { turn = call(&$0) }
      switch turn {
      case .needs(let request):
        guard output.isEmpty else { preconditionFailure("written before its key was there") }
        path.keep(service.load(request))
      case .done(let attempt):
        try note(attempt)
        guard let failure = attempt.failure else { return .success(output) }
        guard output.isEmpty else { preconditionFailure("written although it failed") }
        return .failure(failure)
      case nil: preconditionFailure("not called")
      }
    }
  }

  private func note(_ attempt: DataPath.Attempt) throws { try note(attempt.draft) }

  func note(_ draft: EntryDraft) throws {
    last.draft = draft
    if waits { _ = try service.append([draft]) }
  }
}

extension KeyService {
  /// The version that an envelope names.
  func openKey(_ reference: KeyReference, of tenant: TenantID) throws(ServiceError) -> OpenedKey {
    switch load(.version(tenant, reference)).found {
    case .key(let key): return key
    case .refused(let refusal): throw refusal.error
    }
  }
}
