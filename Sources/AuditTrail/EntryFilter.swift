package import ChatelaineVocabulary

/// Which entries to show; what is nil does not matter.
package struct EntryFilter: Sendable {
  /// A tenant id, or `_service`.
  package var tenant: String?
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
  package var since: WallTime?
  /// Entries before this time.
  package var until: WallTime?

  /// Ids of the keys of that name, as far as entries have told them.
  private var keyIDs: Set<Identifier> = []

  package init() {}

  /// Takes the entries of a log in order: those that made a key tell which id it has, by which a batch over several
  /// keys names it.
  package mutating func takes(_ entry: AuditEntry) -> Bool {
    if let keyName, entry.operation == .keyCreate, entry.keyName == keyName, isOfTenant(entry) {
      keyIDs.insert(entry.keyID)
    }
    return matches(entry)
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
      && (since.map { entry.wall >= $0 } ?? true)
      && (until.map { entry.wall < $0 } ?? true)
  }

  private func isOfTenant(_ entry: AuditEntry) -> Bool {
    tenant == nil || tenant == entry.tenant?.rawValue ?? AuditEntry.serviceTenant
  }
}
