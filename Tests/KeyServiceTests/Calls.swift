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

  init(_ service: KeyService, by caller: Caller, keysAtHandMax: Int = 100) throws {
    self.service = service
    self.caller = caller
    path = try DataPath(service, keysAtHandMax: keysAtHandMax)
  }

  typealias Answer = Result<[UInt8], ServiceError>

  func encrypt(
    _ text: [UInt8], under name: String, of owner: String, _ context: EncryptionContext = .empty
  ) throws -> Answer {
    try answer(room: text.count + 96) { output in
      text.span.withRawSpan { bytes in
        path.encrypt(
          bytes, under: key(name), of: tenant(owner), context: context, by: caller, tags, appendingTo: &output)
      }
    }
  }

  func decrypt(_ envelope: [UInt8], of owner: String, _ context: EncryptionContext = .empty) throws -> Answer {
    try answer(room: max(0, envelope.count - 96)) { output in
      path.decrypt(envelope.span, of: tenant(owner), context: context, by: caller, tags, appendingTo: &output)
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
      case .done(let attempt): return try finish(attempt, output)
      case nil: preconditionFailure("not called")
      }
    }
  }

  private func finish(_ attempt: DataPath.Attempt, _ output: [UInt8]) throws -> Answer {
    _ = try service.append([attempt.draft])
    guard let failure = attempt.failure else { return .success(output) }
    guard output.isEmpty else { preconditionFailure("written although it failed") }
    return .failure(failure)
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
