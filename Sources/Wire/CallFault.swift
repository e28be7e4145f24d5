package import ChatelaineVocabulary

/// Why the bytes of a request are no call.
package enum CallFault: Error, Equatable, Sendable {
  /// Not protobuf, or not this message's types.
  case malformed
  case unknownField(Int)
  case duplicateField(Int)
  case notUTF8
  case tenant
  case key
  case requestID
  case context(EncryptionContext.Invalid)
  case plaintextTooLong
  case batchSize
  case callerTextTooLong
  /// A request's number in its frame: even, or not above those before it.
  case stream
  /// A rewrap of nothing, or of two things.
  case notOneToRewrap
  /// A field has a value that it cannot have.
  case value(Int)

  package var code: ErrorCode {
    switch self {
    case .malformed, .unknownField, .duplicateField, .notUTF8, .tenant, .key, .requestID, .notOneToRewrap, .stream, .value,
      .context(.duplicateKey):
      .invalidRequest
    case .context, .plaintextTooLong, .batchSize, .callerTextTooLong: .limitExceeded
    }
  }

  package var sentence: String {
    switch self {
    case .malformed: "The request is not a message of this method: generate the client from proto/chatelaine/v1."
    case .unknownField(let number): "Field \(number) is not accepted here."
    case .duplicateField(let number): "Field \(number) is given twice."
    case .notUTF8: "A text is not UTF-8."
    case .tenant: "A tenant id is 1 to 64 of a-z, 0-9, '.', '_', '-', and starts with a letter or a digit."
    case .key: "A key name is 1 to 64 of a-z, 0-9, '.', '_', '-', and starts with a letter or a digit."
    case .requestID: "A request id is 16 bytes, not all of them zero."
    case .context(.duplicateKey): "The context has a key twice."
    case .context(.tooManyPairs): "A context has at most \(Limits.contextPairsMax) pairs."
    case .context(.keyLength): "A context key is 1 to \(Limits.contextKeyBytesMax) bytes long."
    case .context(.valueLength): "A context value has at most \(Limits.contextValueBytesMax) bytes."
    case .plaintextTooLong: "A request carries at most \(Limits.plaintextBytesMax) bytes of plaintext."
    case .batchSize: "A batch has 1 to \(Limits.batchItemsMax) items."
    case .callerTextTooLong: "Actor and purpose have at most \(Limits.callerTextBytesMax) bytes each."
    case .stream: "A request's stream is an odd number, above those of the requests before it on its connection."
    case .value(let number): "Field \(number) has a value that it cannot have: see proto/chatelaine/v1."
    case .notOneToRewrap: "Give an envelope or a wrapped data key, one of them."
    }
  }
}
