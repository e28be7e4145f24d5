package import ChatelaineVocabulary

/// What the first entry of a later epoch says of the one before it: where that one ends, what was lost, and the newest
/// head that is known of it.
package struct EpochLink: Equatable, Sendable {
  /// Entries of the epoch before, and the root of its tree.
  package let size: UInt64
  package let root: Digest
  package let lost: LostRange
  /// A signed note; nil where none is known.
  package let head: [UInt8]?

  /// A longer note is left out.
  private static let headBytesMax = 8192

  package init(size: UInt64, root: Digest, lost: LostRange, head: [UInt8]?) {
    self.size = size
    self.root = root
    self.lost = lost
    self.head = head.flatMap { $0.count <= Self.headBytesMax ? $0 : nil }
  }

  /// nil where the entry is no acknowledgement.
  package init?(_ entry: AuditEntry) {
    guard entry.entryClass == .intent, entry.operation == .rollbackAcknowledge, entry.sequence == 0,
      let size = entry.detail(.previousSize), let root = entry.detail(.previousRoot), let lost = entry.detail(.lost),
      let range = LostRange(String(decoding: lost, as: UTF8.self))
    else { return nil }
    self.init(
      size: size.span.bigEndian(at: 0, as: UInt64.self), root: Digest(root.span), lost: range, head: entry.detail(.head))
  }

  package var details: [AuditEntry.Detail] {
    [
      .init(.previousSize, ByteWriter.u64Bytes(size)), .init(.previousRoot, root.bytes),
      .init(.lost, Array(lost.text.utf8)),
    ] + (head.map { [.init(.head, $0)] } ?? [])
  }
}
