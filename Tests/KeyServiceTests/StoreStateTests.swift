import ChatelaineAuditLog
import ChatelaineAuditTrail
import ChatelaineKeyStore
import ChatelaineVocabulary
import Foundation
import Testing

@testable import ChatelaineKeyService

/// A start after a crash, when nothing but uses of keys was noted for longer than a segment.
@Suite struct StoreStateTests {
  /// More than a segment of these tests holds.
  static let uses = (0..<3000).map { _ in
    var entry = AuditEntry(.keyUse, .encrypt)
    entry.outcome = .ok
    return EntryDraft(entry)
  }

  @Test func `a new segment tells what the store is, and a start after a crash reads no other`() throws {
    let shop = try Workshop()
    try shop.initialize()
    let service = try shop.open().0
    _ = try service.createTenant(tenant("acme"), by: shop.caller, tags)
    let before = service.logHead
    for _ in 0..<3 { _ = try service.append(Self.uses) }
    #expect(service.logHead.segment > before.segment + 1)
    let end = Date(timeIntervalSinceNow: 10)
    while try shop.entries().last?.entry.operation != .storeState, Date() < end { usleep(10_000) }
    let crashed = try shop.copy()
    service.close()
    let (next, report) = try crashed.open()
    #expect(!report.hasReadWholeLog && report.recovery.segmentsRead == 1)
    #expect(try next.tenants(limit: 9, by: shop.caller, tags).rows.map(\.id) == [tenant("acme")])
    next.close()
    let told = try crashed.entries().map(\.entry).filter { $0.operation == .storeState }
    #expect(!told.isEmpty && told.allSatisfy { $0.entryClass == .service && $0.detail(.storeRoot)?.count == 32 })
  }

  @Test func `the control: where a segment says nothing, every entry is read, and what the start finds is the same`() throws {
    let shop = try Workshop()
    try shop.initialize()
    try shop.running { _ = try $0.createTenant(tenant("acme"), by: shop.caller, tags) }
    let (writer, _) = try LogWriter.open(in: try shop.storage(), options: shop.options)
    for _ in 0..<3 { try writer.commit([Self.uses]) { _, _ in } }
    let copy = try shop.copy()
    let (next, report) = try copy.open()
    #expect(report.hasReadWholeLog && report.resolved.isEmpty)
    next.close()
  }

  @Test func `an old copy of the store is refused, whatever newer segments say`() throws {
    let shop = try Workshop()
    try shop.initialize()
    try shop.running { _ = try $0.createTenant(tenant("acme"), by: shop.caller, tags) }
    let old = try shop.copy()
    try shop.running { service in
      _ = try service.createTenant(tenant("globex"), by: shop.caller, tags)
      for _ in 0..<3 { _ = try service.append(Self.uses) }
    }
    try shop.restoreStore(of: old)
    guard case .storeRolledBack = shop.refusalToOpen() else { return #expect(Bool(false), "it was not refused") }
  }
}
