internal import ChatelainePrimitives
package import ChatelaineVocabulary

/// What a tenant's entries come to: how many there are, the last one's number, and a hash over all of them in order.
package struct TenantHistory: Equatable, Sendable {
  private static let label = Array("chatelaine/v1/tenant-history".utf8)
  private static let linkPrefix: UInt8 = 3

  package private(set) var count: UInt64
  package private(set) var lastSequence: UInt64
  package private(set) var hash: Digest

  /// Before the first entry: `SHA-256(label ‖ tenant)`.
  package init(of tenant: Span<UInt8>) {
    (count, lastSequence, hash) = (0, 0, SHA256.hash(Self.label + tenant.copied()))
  }

  /// As it was kept.
  package init(count: UInt64, lastSequence: UInt64, hash: Digest) {
    (self.count, self.lastSequence, self.hash) = (count, lastSequence, hash)
  }

  /// `SHA-256(0x03 ‖ hash ‖ leaf)`.
  package mutating func take(_ sequence: UInt64, leaf: Digest) {
    count += 1
    lastSequence = sequence
    hash = MerkleFrontier.hash(Self.linkPrefix, hash, leaf)
  }

  /// The tenant's leaf of the tree over all tenants: `SHA-256(0x00 ‖ u8 tenant ‖ count ‖ last ‖ hash)`.
  package func leafHash(of tenant: Span<UInt8>) -> Digest {
    var leaf = InlineArray<128, UInt8>(repeating: 0)
    var bytes = leaf.mutableSpan
    bytes.put(UInt8(tenant.count), at: 0)
    bytes.put(copying: tenant, at: 1)
    bytes.put(count, at: 1 + tenant.count)
    bytes.put(lastSequence, at: 9 + tenant.count)
    bytes.put(hash, at: 17 + tenant.count)
    return SHA256.hash(prefix: 0, leaf.span.extracting(0..<49 + tenant.count))
  }
}

extension AuditEntry {
  /// Where the tenant stands in a well-formed entry.
  static func tenant(in entry: Span<UInt8>) -> Range<Int> {
    let start = fixedByteCount + 1
    return start..<start + Int(entry[fixedByteCount])
  }

  /// Whether a well-formed entry is one of this tenant, or of `_service`.
  package static func isOf(_ tenant: [UInt8], _ entry: Span<UInt8>) -> Bool {
    entry.extracting(Self.tenant(in: entry)).equals(tenant)
  }

  /// The hash of the entry before, in a well-formed entry.
  package static func previous(in entry: Span<UInt8>) -> Digest { Digest(entry.extracting(16..<48)) }

  /// Whether a tenant's history begins here, if it has not begun: what only a tenant that is there can have.
  ///
  /// why: names that nobody has can be asked for by anyone, without end.
  package static func beginsHistory(_ entry: Span<UInt8>) -> Bool {
    if entry[1] == EntryClass.intent.rawValue { return true }
    if entry[4] == 0, entry[5] == UInt8(Outcome.ok.rawValue) { return true }
    guard let entry = try? AuditEntry(parsing: entry) else { return false }
    return entry.items.contains { $0.outcome == .ok }
  }
}
