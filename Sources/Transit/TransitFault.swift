package import ChatelaineVocabulary

/// Why a request is refused before any key is looked for.
package enum TransitFault: Error, Equatable, Sendable {
  /// At which byte of the body.
  case json(JSONFault, at: Int)
  case unknownMember(at: Int)
  case memberTwice(Member)
  case missing(Member)
  /// A text that is not base64, or a number, flag or word that this member cannot have.
  case value(Member)
  case context(EncryptionContext.Invalid)
  case plaintextTooLong
  case batchSize
  case rewrapBatchSize
  /// A plaintext or ciphertext beside a batch.
  case besideBatch
  case randomSize
  /// Where none belongs.
  case body
  case noSuchPath
  case tenant
  case key
  case method(allowed: String)
  case namespace
  case requestID
  case callerTextTooLong
  /// Something that Vault's Transit has.
  case notHere(Absent)

  package var code: ErrorCode {
    switch self {
    case .noSuchPath: .notFound
    case .plaintextTooLong, .batchSize, .rewrapBatchSize, .randomSize, .callerTextTooLong: .limitExceeded
    case .context(let invalid): invalid == .duplicateKey ? .invalidRequest : .limitExceeded
    case .json, .unknownMember, .memberTwice, .missing, .value, .besideBatch, .body, .tenant, .key, .method, .namespace,
      .requestID, .notHere:
      .invalidRequest
    }
  }

  package var sentence: String {
    switch self {
    case .json(.malformed, let at): "The body is not the JSON that belongs here, at its byte \(at)."
    case .json(.tooDeep, let at): "The body is nested too deep, at its byte \(at)."
    case .json(.notUnicode, let at): "A text is not UTF-8, or half of a surrogate pair, before byte \(at) of the body."
    case .unknownMember(let at): "The member before byte \(at) of the body is not one that this path takes."
    case .memberTwice(let member): "The member \(member.rawValue) is given twice."
    case .missing(let member): "The member \(member.rawValue) is missing."
    case .value(let member): "The member \(member.rawValue) has a value that it cannot have."
    case .context(.duplicateKey): "The context has a key twice."
    case .context(.tooManyPairs): "A context has at most \(Limits.contextPairsMax) pairs."
    case .context(.keyLength): "A context key is 1 to \(Limits.contextKeyBytesMax) bytes long."
    case .context(.valueLength): "A context value has at most \(Limits.contextValueBytesMax) bytes."
    case .plaintextTooLong: "A request carries at most \(Limits.plaintextBytesMax) bytes of plaintext."
    case .batchSize: "A batch has 1 to \(Limits.batchItemsMax) items."
    case .rewrapBatchSize: "A batch of rewraps has 1 to \(Limits.batchEntriesMax) items: each has an entry in the log."
    case .besideBatch: "Give batch_input or one text, not both."
    case .randomSize: "Random bytes are given 1 to \(TransitCall.randomBytesMax) at a time."
    case .body: "This path takes no body."
    case .noSuchPath: "There is no such path here."
    case .tenant: "The mount or namespace names a tenant: 1 to 64 of a-z, 0-9, '.', '_', '-', beginning with a letter or a digit."
    case .key: "A key name is 1 to 64 of a-z, 0-9, '.', '_', '-', and starts with a letter or a digit."
    case .method(let allowed): "This path takes \(allowed)."
    case .namespace: "With X-Vault-Namespace, which names the tenant, the mount is transit."
    case .requestID: "A request id is 32 hexadecimal digits, not all of them zero."
    case .callerTextTooLong: "Actor and purpose have at most \(Limits.callerTextBytesMax) bytes of UTF-8 each."
    case .notHere(let absent): absent.sentence
    }
  }
}

/// The members of all bodies.
package enum Member: String, CaseIterable, Sendable {
  case plaintext, ciphertext, context, nonce, type, derived, exportable, bits, bytes, format, source, reference
  case associatedData = "associated_data"
  /// Ours: the whole encryption context, as the other doors have it.
  case encryptionContext = "encryption_context"
  case keyVersion = "key_version"
  case convergentEncryption = "convergent_encryption"
  case allowPlaintextBackup = "allow_plaintext_backup"
  case autoRotatePeriod = "auto_rotate_period"
  case keySize = "key_size"
  case batchInput = "batch_input"
  case partialFailureResponseCode = "partial_failure_response_code"
  case minDecryptionVersion = "min_decryption_version"
  case minEncryptionVersion = "min_encryption_version"
  case deletionAllowed = "deletion_allowed"

  /// A place of its own in a mask.
  var bit: UInt32 {
    switch self {
    case .plaintext: 1 << 0
    case .ciphertext: 1 << 1
    case .context: 1 << 2
    case .nonce: 1 << 3
    case .type: 1 << 4
    case .derived: 1 << 5
    case .exportable: 1 << 6
    case .bits: 1 << 7
    case .bytes: 1 << 8
    case .format: 1 << 9
    case .source: 1 << 10
    case .reference: 1 << 11
    case .associatedData: 1 << 12
    case .encryptionContext: 1 << 13
    case .keyVersion: 1 << 14
    case .convergentEncryption: 1 << 15
    case .allowPlaintextBackup: 1 << 16
    case .autoRotatePeriod: 1 << 17
    case .keySize: 1 << 18
    case .batchInput: 1 << 19
    case .partialFailureResponseCode: 1 << 20
    case .minDecryptionVersion: 1 << 21
    case .minEncryptionVersion: 1 << 22
    case .deletionAllowed: 1 << 23
    }
  }
}

/// What Vault's Transit has and this service has not: told by its name, so that nobody searches for a mistake.
package enum Absent: String, CaseIterable, Sendable {
  case export, sign, verify, hmac, cmac, hash, backup, restore, trim, csr, config
  case importing = "import"
  case importingVersion = "import_version"
  case setCertificate = "set-certificate"
  case softDelete = "soft-delete"
  case byokExport = "byok-export"
  case wrappingKey = "wrapping_key"
  case cacheConfig = "cache-config"
  case delete = "DELETE"
  case convergentEncryption = "convergent_encryption"
  case derived
  case nonce
  case keyVersion = "key_version"
  case exportable
  case plaintextBackup = "allow_plaintext_backup"
  case deletionAllowed = "deletion_allowed"
  case autoRotation = "auto_rotate_period"
  case keyType = "type"
  case keyBits = "bits"
  case floor = "min_decryption_version"
  case encryptionFloor = "min_encryption_version"
  case source
  case responseWrapping = "X-Vault-Wrap-TTL"

  package var sentence: String { "\(rawValue) is not here: \(reason)" }

  private var reason: String {
    switch self {
    case .export, .exportable, .byokExport, .plaintextBackup, .wrappingKey: "a key never leaves the service."
    case .sign, .verify, .hmac, .cmac, .csr, .setCertificate: "the service has no keys that sign or make MACs."
    case .hash: "a hash needs no key: make it where the data is."
    case .backup, .restore: "backups are the operator's, of the whole store."
    case .trim, .softDelete, .delete, .deletionAllowed: "keys and their versions stay."
    case .importing, .importingVersion: "every key is made by the service."
    case .config, .cacheConfig: "the service has a configuration file."
    case .convergentEncryption: "equal plaintexts never have equal ciphertexts."
    case .derived: "every message has a key derived for it, bound to the context that is given: leave it away."
    case .nonce: "the service draws its own."
    case .keyVersion: "encryption is always under the current version."
    case .autoRotation: "rotate the key by keys/NAME/rotate."
    case .keyType: "keys are aes256-gcm96 or chacha20-poly1305."
    case .keyBits: "data keys have 256 bits."
    case .floor, .encryptionFloor: "all versions decrypt, and the current one encrypts."
    case .source: "random bytes are the platform's."
    case .responseWrapping: "replies are not wrapped."
    }
  }
}
