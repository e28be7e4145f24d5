internal import ChatelainePrimitives
package import ChatelaineVocabulary

/// One entry of the key-access log, v1: who used which key, when, why, and with what outcome.
///
/// Never plaintext, ciphertext, key, nonce or token.
package struct AuditEntry: Equatable, Sendable {
  /// One call of a batch.
  package struct Item: Equatable, Sendable {
    package static let byteCount = 40

    package var outcome: Outcome
    package var reason: Reason
    /// Bytes of plaintext, 2^32 - 1 at most.
    package var byteCount: UInt32
    /// Keyed with the tenant's audit-context key; zero where there is none.
    package var contextDigest: Digest

    package init(outcome: Outcome, reason: Reason = .none, byteCount: UInt32 = 0, contextDigest: Digest = .zero) {
      self.outcome = outcome
      self.reason = reason
      self.byteCount = byteCount
      self.contextDigest = contextDigest
    }
  }

  package struct Detail: Equatable, Sendable {
    package var tag: DetailTag
    package var value: [UInt8]

    package init(_ tag: DetailTag, _ value: [UInt8]) {
      self.tag = tag
      self.value = value
    }
  }

  package var entryClass: EntryClass
  package var operation: Operation
  package var outcome: Outcome = .none
  package var reason: Reason = .none
  /// Given by the writer: place in the epoch, leaf hash of the entry before, 16 random bytes.
  package var sequence: UInt64 = 0
  package var previous: Digest = .zero
  package var blind: Identifier = .zero
  package var wall = WallTime(nanoseconds: 0)
  package var bootNanoseconds: UInt64 = 0
  package var incarnation: UInt32 = 0
  package var peerPID: UInt32 = 0
  package var peerUID: UInt32 = 0
  package var connection: UInt64 = 0
  package var requestID: Identifier = .zero
  package var keyID: Identifier = .zero
  package var keyVersion: UInt32 = 0
  package var masterVersion: UInt32 = 0
  package var storeGeneration: UInt64 = 0
  package var door: Door = .none
  package var principalKind: PrincipalKind = .service
  /// nil is `_service`: the act concerns the whole service.
  package var tenant: TenantID?
  package var keyName: KeyName?
  package var principal: [UInt8] = []
  package var items: [Item] = []
  package var role: [UInt8] = []
  package var rule: [UInt8] = []
  package var source: [UInt8] = []
  package var subjectDigest: Identifier?
  package var actor: [UInt8] = []
  package var purpose: [UInt8] = []
  package var details: [Detail] = []

  package init(_ entryClass: EntryClass, _ operation: Operation) {
    self.entryClass = entryClass
    self.operation = operation
  }

  package static let serviceTenant = "_service"
  package static let fixedByteCount = 152

  package func detail(_ tag: DetailTag) -> [UInt8]? { details.first { $0.tag == tag }?.value }

  /// `SHA-256(0x00 ‖ entry)`: the RFC 6962 leaf and the next entry's link in one.
  package static func leafHash(_ bytes: Span<UInt8>) -> Digest { SHA256.hash(prefix: 0, bytes) }
}

/// An entry that lacks only what the writer gives: sequence, link, blind.
package struct EntryDraft: Sendable {
  package let bytes: [UInt8]

  /// Fields over their bounds are a bug of the caller: doors bound what comes from outside.
  package init(_ entry: borrowing AuditEntry) {
    bytes = entry.encoded()
    precondition(bytes.count <= Limits.entryBytesMax, "a log entry is too long")
  }
}
