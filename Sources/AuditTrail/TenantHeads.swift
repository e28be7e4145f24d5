package import ChatelaineVocabulary

/// What an entry of class tenant-heads commits to: of the first `size` entries, the root over all tenants' histories.
package struct TenantHeads: Equatable, Sendable {
  package let size: UInt64
  package let tenants: UInt64
  package let root: Digest

  package init(size: UInt64, tenants: UInt64, root: Digest) {
    (self.size, self.tenants, self.root) = (size, tenants, root)
  }

  /// nil where the entry is of another class, or says something else than tenant heads do.
  package init?(_ entry: AuditEntry) {
    guard entry.entryClass == .tenantHeads, entry.operation == .tenantHeads, entry.outcome == .ok, entry.tenant == nil,
      entry.details.map(\.tag) == [.count, .coveredSize, .tenantsRoot]
    else { return nil }
    let (tenants, root) = (Self.number(entry.details[0].value), entry.details[2].value)
    self.init(size: Self.number(entry.details[1].value), tenants: tenants, root: Digest(root.span))
    guard size > 0, size <= entry.sequence, entry.sequence - size <= Limits.historyLagMax else { return nil }
  }

  /// Of eight bytes.
  private static func number(_ bytes: [UInt8]) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }

  package func entry(wall: WallTime, bootNanoseconds: UInt64) -> AuditEntry {
    var entry = AuditEntry(.tenantHeads, .tenantHeads)
    entry.outcome = .ok
    (entry.wall, entry.bootNanoseconds) = (wall, bootNanoseconds)
    entry.details = [
      .init(.count, ByteWriter.u64Bytes(tenants)), .init(.coveredSize, ByteWriter.u64Bytes(size)),
      .init(.tenantsRoot, root.bytes),
    ]
    return entry
  }
}

/// Holds the tenant heads of a log against its entries, while it is read from the first on.
package struct TenantHeadsCheck: Sendable {
  private var histories = TenantHistories()
  /// Entries that tenant heads to come may cover or not: their tenants, and hashes but for the last.
  private var tenants: [Int32] = []
  private var leaves: [Digest] = []
  private var applied = 0
  private var coveredBefore: UInt64 = 0
  /// Tenant heads that hold.
  package private(set) var checked: UInt64 = 0
  /// The first entry that does not hold.
  package private(set) var wrong: UInt64?

  package init() {}

  package mutating func take(_ entry: Span<UInt8>) {
    guard wrong == nil else { return }
    var cursor = ByteCursor(at: 8)
    let sequence = (try? cursor.u64(entry)) ?? 0
    if sequence == 0 { begin() }
    if !tenants.isEmpty, leaves.count < tenants.count { leaves.append(AuditEntry.previous(in: entry)) }
    if entry[1] == EntryClass.tenantHeads.rawValue {
      guard let heads = (try? AuditEntry(parsing: entry)).flatMap(TenantHeads.init), holds(heads) else {
        return wrong = sequence
      }
      checked += 1
    }
    tenants.append(histories.number(of: entry).map(Int32.init) ?? -1)
    while UInt64(tenants.count - applied) > Limits.historyLagMax { applyOne() }
    drop()
  }

  /// An epoch has histories of its own.
  private mutating func begin() {
    let checked = checked
    self = TenantHeadsCheck()
    self.checked = checked
  }

  private mutating func holds(_ heads: TenantHeads) -> Bool {
    guard heads.size > coveredBefore, heads.size >= histories.size else { return false }
    while histories.size < heads.size {
      guard applied < leaves.count else { return false }
      applyOne()
    }
    coveredBefore = heads.size
    return histories.heads() == heads
  }

  private mutating func applyOne() {
    let tenant = tenants[applied]
    histories.apply(tenant < 0 ? nil : Int(tenant), leaves[applied])
    applied += 1
  }

  private mutating func drop() {
    guard applied >= 65_536, 2 * applied >= tenants.count else { return }
    tenants.removeFirst(applied)
    leaves.removeFirst(applied)
    applied = 0
  }
}

extension TenantHeadsCheck {
  /// tampered where an entry is wrong.
  package var verdict: EvidenceVerdict {
    guard let wrong else { return .valid }
    return .tampered(
      "entry \(wrong), of tenants' histories, says other than the entries before it: the service that wrote it was made to lie, or the log was written anew")
  }
}
