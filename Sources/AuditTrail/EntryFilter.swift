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
  package var since: WallTime?
  /// Entries before this time.
  package var until: WallTime?

  package init() {}

  package func matches(_ entry: AuditEntry) -> Bool {
    (tenant == nil || tenant == entry.tenant?.rawValue ?? AuditEntry.serviceTenant)
      && (keyName == nil || keyName == entry.keyName)
      && (principal == nil || principal == entry.principal)
      && (operation == nil || operation == entry.operation)
      && (requestID == nil || requestID == entry.requestID)
      && (outcome == nil || outcome == entry.outcome || entry.items.contains { $0.outcome == outcome })
      && (since.map { entry.wall >= $0 } ?? true)
      && (until.map { entry.wall < $0 } ?? true)
  }
}
