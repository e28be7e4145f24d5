package import ChatelaineAuditTrail
package import ChatelaineVocabulary

/// What proofs over a log are made from: hashes of large subtrees from `nodes`, of small ones from the entries below.
///
/// Checks nothing of what it reads: whoever makes a proof from it sees whether it leads to the signed root.
package struct ProofSource {
  /// The log has not what was asked for.
  package struct Missing: Error, Equatable {}

  private let directory: LogDirectory
  private let file: NodeFile?
  /// In place of the file, in the order of completion.
  private let nodes: [StoredNode]
  private var block: (number: UInt64, entries: [[UInt8]])?

  /// With the file `nodes`.
  package init(_ directory: LogDirectory) {
    self.directory = directory
    file = NodeFile(directory.storage, directory.epoch)
    nodes = []
  }

  /// With such a file that is kept elsewhere.
  init(_ directory: LogDirectory, nodes file: NodeFile) {
    self.directory = directory
    self.file = file
    nodes = []
  }

  /// With what reading the whole log gives: where there is no such file, or it leads nowhere.
  package init(readingAll directory: LogDirectory, progress: (UInt64) -> Void = { _ in }) throws(LogError) {
    self.directory = directory
    var reader = try LogReader(directory.storage, epoch: directory.epoch.epoch)
    nodes = try reader.readNodes(progress: progress)
    file = nil
  }

  package mutating func entry(_ sequence: UInt64) throws(Missing) -> [UInt8] {
    let entries = try entries(ofBlock: sequence >> UInt64(StoredNode.levelMin))
    let index = Int(sequence % StoredNode.leavesMin)
    guard entries.indices.contains(index) else { throw Missing() }
    return entries[index]
  }

  package mutating func node(_ node: TreeNode) throws(Missing) -> Digest {
    if node.level >= StoredNode.levelMin {
      guard let stored = stored(node) else { throw Missing() }
      return stored.hash
    }
    let first = node.index << UInt64(node.level)
    let entries = try entries(ofBlock: first >> UInt64(StoredNode.levelMin))
    let start = Int(first % StoredNode.leavesMin)
    let end = start + 1 << node.level
    guard end <= entries.count else { throw Missing() }
    var tree = MerkleFrontier()
    for entry in entries[start..<end] { tree.append(AuditEntry.leafHash(entry.span)) }
    return tree.root
  }

  private func stored(_ node: TreeNode) -> StoredNode? {
    if let file { return file.read(node) }
    let position = StoredNode.position(of: node)
    return position < UInt64(nodes.count) ? nodes[Int(position)] : nil
  }

  // MARK: Entries

  /// Up to 256 entries, from a multiple of it on.
  mutating func entries(ofBlock number: UInt64) throws(Missing) -> [[UInt8]] {
    if let block, block.number == number { return block.entries }
    var place: (segment: UInt64, offset: UInt64) = (0, UInt64(SegmentHeader.byteCount))
    if number > 0 {
      guard let before = stored(TreeNode(level: StoredNode.levelMin, index: number - 1)) else { throw Missing() }
      place = (before.segment, before.offset)
    }
    let first = number << UInt64(StoredNode.levelMin)
    let entries: [[UInt8]]
    do throws(StorageFailure) {
      entries = try read(from: place.segment, place.offset, first..<first + StoredNode.leavesMin)
    } catch { throw Missing() }
    block = (number, entries)
    return entries
  }

  /// The entries of a range, as far as they are there, from the frame on that is at that place.
  private func read(
    from segment: UInt64, _ offset: UInt64, _ wanted: Range<UInt64>
  ) throws(StorageFailure) -> [[UInt8]] {
    var found: [[UInt8]] = []
    var (segment, offset) = (segment, offset)
    while segment < UInt64(directory.segmentCount) {
      let name = LogNames.segment(epoch: directory.epoch.epoch, segment)
      let file = try directory.storage.open(name, forWriting: false)
      let page = try file.read(at: 0, count: SegmentHeader.byteCount)
      guard let header = try? SegmentHeader(parsing: page.span) else { return found }
      while let frame = try frame(at: offset, in: file, header) {
        if frame.header.kind == .seal { break }
        guard frame.header.kind == .entries, frame.header.firstSequence < wanted.upperBound else { return found }
        Self.take(frame, wanted, into: &found)
        guard found.count < wanted.count else { return found }
        offset += UInt64(frame.header.paddedByteCount(alignment: header.alignment))
      }
      segment += 1
      offset = UInt64(SegmentHeader.byteCount)
    }
    return found
  }

  private func frame(
    at offset: UInt64, in file: any LogFile, _ segment: SegmentHeader
  ) throws(StorageFailure) -> (header: Frame.Header, body: [UInt8])? {
    let head = try file.read(at: offset, count: Frame.headerByteCount)
    guard let header = Frame.parseHeader(head.span), header.bodyByteCount <= segment.frameBytesMax else { return nil }
    let body = try file.read(at: offset + UInt64(Frame.headerByteCount), count: header.bodyByteCount)
    return body.count == header.bodyByteCount ? (header, body) : nil
  }

  private static func take(
    _ frame: (header: Frame.Header, body: [UInt8]), _ wanted: Range<UInt64>, into found: inout [[UInt8]]
  ) {
    var cursor = ByteCursor()
    let body = frame.body
    for index in 0..<UInt64(max(0, frame.header.count)) {
      guard let count = try? cursor.u32(body.span), let range = try? cursor.range(Int(count), body.span) else { return }
      let sequence = frame.header.firstSequence &+ index
      // why: in order and none left out, or the place of one would tell another.
      if wanted.contains(sequence), sequence == wanted.lowerBound + UInt64(found.count) { found.append(Array(body[range])) }
    }
  }
}

extension LogReader {
  /// Reads to the end, and gives the large subtrees.
  fileprivate mutating func readNodes(progress: (UInt64) -> Void) throws(LogError) -> [StoredNode] {
    keepNodes()
    _ = try readAvailable(visit: { _ in }, progress: progress)
    return takeNodes()
  }
}
