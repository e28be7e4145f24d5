package import ChatelaineVocabulary

/// Which entries to show; what is nil does not matter.
package struct EntryFilter: Sendable {
  /// A tenant id, or `_service`.
  package var tenant: String? { didSet { tenantBytes = tenant.map { Array($0.utf8) } } }
  private var tenantBytes: [UInt8]?
  package var keyName: KeyName?
  package var principal: [UInt8]?
  package var operation: Operation?
  package var outcome: Outcome?
  package var requestID: Identifier?
  /// As `EntryText.escaped` writes it.
  package var actor: String?
  package var subject: Identifier?
  /// Entries behind this sequence.
  package var after: UInt64?
  /// Entries before this sequence.
  package var before: UInt64?
  package var since: WallTime?
  /// Entries before this time.
  package var until: WallTime?

  /// Ids of the keys of that name, as far as entries have told them.
  private(set) var keyIDs: Set<Identifier> = []

  package init() {}

  /// Takes the entries of a log in order: those that made a key tell which id it has, by which a batch over several
  /// keys names it.
  package mutating func takes(_ entry: AuditEntry) -> Bool {
    if let keyName, entry.operation == .keyCreate, entry.keyName == keyName, isOfTenant(entry) {
      keyIDs.insert(entry.keyID)
    }
    return matches(entry)
  }

  /// A key of that name has this id, whatever entries told.
  package mutating func knows(_ id: Identifier) { keyIDs.insert(id) }

  /// A well-formed entry, where it is one of those; others are not taken apart where a look at their bytes tells.
  package func taken(_ bytes: Span<UInt8>) -> AuditEntry? {
    guard mayTake(bytes), let entry = try? AuditEntry(parsing: bytes), matches(entry) else { return nil }
    return entry
  }

  private func mayTake(_ bytes: Span<UInt8>) -> Bool {
    (tenantBytes.map { AuditEntry.isOf($0, bytes) } ?? true)
      && (operation.map { bytes.bigEndian(at: 2, as: UInt16.self) == $0.rawValue } ?? true)
      && (since.map { bytes.bigEndian(at: 64, as: UInt64.self) >= $0.nanoseconds } ?? true)
      && (until.map { bytes.bigEndian(at: 64, as: UInt64.self) < $0.nanoseconds } ?? true)
  }

  private func matches(_ entry: AuditEntry) -> Bool {
    isOfTenant(entry) && (keyName == nil || keyName == entry.keyName || entry.itemKeys.contains(where: keyIDs.contains))
      && (principal == nil || principal == entry.principal)
      && (operation == nil || operation == entry.operation)
      && (requestID == nil || requestID == entry.requestID)
      && (outcome == nil || outcome == entry.outcome || entry.items.contains { $0.outcome == outcome })
      && (actor == nil || actor == EntryText.escaped(entry.actor))
      && (subject == nil || subject == entry.subjectDigest)
      && (after.map { entry.sequence > $0 } ?? true)
      && (before.map { entry.sequence < $0 } ?? true)
      && (since.map { entry.wall >= $0 } ?? true)
      && (until.map { entry.wall < $0 } ?? true)
  }

  private func isOfTenant(_ entry: AuditEntry) -> Bool {
    tenant == nil || tenant == entry.tenant?.rawValue ?? AuditEntry.serviceTenant
  }
}
