package import ChatelaineAuditTrail
internal import ChatelaineVocabulary

/// The file `nodes`: hashes of the tree's larger subtrees, and where the log has their entries, so that a proof is made
/// from a few reads. Derived, and trusted by nobody: a proof made from it counts when it leads to a signed root.
///
///      0  8 "CHNODE" 00 01     8 16 log id    24  4 epoch    28  4 zero
///     32 + 48 n: 32 hash   8 segment   8 offset of the frame with the subtree's last entry, in the order of completion
package struct NodeFile: Sendable {
  private static let magic = Array("CHNODE".utf8) + [0, 1]
  private static let headerByteCount: UInt64 = 32
  private static let recordByteCount: UInt64 = 48

  private let file: any LogFile
  /// Nodes that are there.
  private(set) var count: UInt64

  /// nil where there is none of this log.
  package init?(_ storage: any LogStorage, _ epoch: EpochDescriptor, forWriting: Bool = false) {
    guard let file = try? storage.open(LogNames.nodes(epoch.epoch), forWriting: forWriting),
      let header = try? file.read(at: 0, count: Int(Self.headerByteCount)), header == Self.header(epoch),
      let size = try? file.size()
    else { return nil }
    self.file = file
    count = (size - Self.headerByteCount) / Self.recordByteCount
  }

  private init(_ file: any LogFile) {
    self.file = file
    count = 0
  }

  /// A new one, in the place of any other.
  static func create(in storage: any LogStorage, _ epoch: EpochDescriptor) throws(StorageFailure) -> NodeFile {
    try? storage.remove(LogNames.nodes(epoch.epoch))
    let file = try storage.create(LogNames.nodes(epoch.epoch))
    try file.write(header(epoch).span, at: 0)
    return NodeFile(file)
  }

  private static func header(_ epoch: EpochDescriptor) -> [UInt8] {
    var writer = ByteWriter(capacity: Int(headerByteCount))
    writer.raw(magic)
    writer.identifier(epoch.logID)
    writer.u32(epoch.epoch)
    writer.u32(0)
    return writer.bytes
  }

  package func read(_ node: TreeNode) -> StoredNode? {
    let position = StoredNode.position(of: node)
    guard position < count,
      let bytes = try? file.read(
        at: Self.headerByteCount + position * Self.recordByteCount, count: Int(Self.recordByteCount)),
      bytes.count == Int(Self.recordByteCount)
    else { return nil }
    var cursor = ByteCursor()
    guard let hash = try? cursor.digest(bytes.span), let segment = try? cursor.u64(bytes.span),
      let offset = try? cursor.u64(bytes.span)
    else { return nil }
    return StoredNode(node: node, hash: hash, segment: segment, offset: offset)
  }

  /// Whether the file has what a tree has that was taken up: its larger subtrees are the last of it.
  func continues(_ tree: MerkleFrontier) -> Bool {
    guard count >= StoredNode.count(size: tree.size) else { return false }
    for (subtree, level) in zip(tree.subtrees, (0..<64).reversed().filter { tree.size >> UInt64($0) & 1 == 1 }) {
      guard level >= StoredNode.levelMin else { return true }
      let index = tree.size >> UInt64(level) - 1
      guard read(TreeNode(level: level, index: index))?.hash == subtree else { return false }
    }
    return true
  }

  /// Writes nodes that follow one another from place `position` on; not synced, for it can be made anew.
  mutating func write(_ nodes: [StoredNode], from position: UInt64) throws(StorageFailure) {
    guard !nodes.isEmpty else { return }
    var writer = ByteWriter(capacity: nodes.count * Int(Self.recordByteCount))
    for node in nodes {
      writer.digest(node.hash)
      writer.u64(node.segment)
      writer.u64(node.offset)
    }
    try file.write(writer.bytes.span, at: Self.headerByteCount + position * Self.recordByteCount)
    count = max(count, position + UInt64(nodes.count))
  }
}
