package import ChatelainePrimitives
package import ChatelaineVocabulary

/// Recomputes a log from its bytes: links, tree, trailers, seals. Trusts no stored hash.
///
/// Fed with header pages and frames in file order; holds the state between two frames.
package struct ChainVerifier: Sendable {
  package private(set) var nextSequence: UInt64 = 0
  package private(set) var nextFrame: UInt64 = 0
  package private(set) var previousLeaf: Digest
  package private(set) var tree = MerkleFrontier()
  /// The segment under way.
  package private(set) var segment: SegmentHeader?
  package private(set) var isSealed = false
  /// Hash of the file up to the next frame.
  package private(set) var fileHash = SHA256()
  package private(set) var lastIncarnation: UInt32 = 0
  private let epoch: EpochDescriptor
  private var previousHeaderHash: Digest = .zero
  private var watch: (any TreeWatch)?
  private var watchedSize = UInt64.max
  /// Whether subtrees are kept as they are completed, for proofs.
  package var keepsNodes = false
  private var nodes: [StoredNode] = []
  /// Of a verifier for a piece of a segment: what it found, in place of tree and file hash.
  private var piece: CheckedPiece?

  package init(epoch: EpochDescriptor) {
    self.epoch = epoch
    previousLeaf = epoch.hash
  }

  /// Takes the chain up at a segment whose header is trusted with a tree: for a start that does not
  /// read the sealed segments again. The header page itself is fed next.
  package init(epoch: EpochDescriptor, resumingAt header: SegmentHeader, frame: UInt64, incarnation: UInt32, tree: MerkleFrontier) {
    self.epoch = epoch
    nextSequence = header.firstSequence
    nextFrame = frame
    lastIncarnation = incarnation
    previousLeaf = header.previousLeaf
    self.tree = tree
    previousHeaderHash = header.previousHeaderHash
    isSealed = true
    segmentBefore = header.number == 0 ? nil : header.number - 1
  }

  private var segmentBefore: UInt64?

  /// The number that the next segment must have.
  package var nextSegment: UInt64 { (segment?.number ?? segmentBefore).map { $0 + 1 } ?? 0 }

  /// Checks a segment's header page against the chain.
  package mutating func beginSegment(_ page: Span<UInt8>) throws(LogFault) {
    let number = nextSegment
    func fault(_ kind: LogFault.Kind) -> LogFault {
      LogFault(kind, segment: number, offset: 0, sequence: nextSequence)
    }
    guard segment == nil || isSealed else { throw fault(.notSealed) }
    guard let header = try? SegmentHeader(parsing: page) else { throw fault(.headerPage) }
    guard header.logID == epoch.logID, header.epoch == epoch.epoch, header.number == number,
      header.firstSequence == nextSequence, header.previousLeaf == previousLeaf, header.treeRoot == tree.root
    else { throw fault(.headerState) }
    guard header.previousHeaderHash == previousHeaderHash else { throw fault(.headerLink) }
    segment = header
    isSealed = false
    previousHeaderHash = SHA256.hash(page)
    fileHash = SHA256()
    fileHash.update(page)
  }

  /// The padded length of the frame that begins with `head`, or the fault that makes it none.
  package func paddedByteCount(_ head: Span<UInt8>, offset: UInt64) throws(LogFault) -> Int {
    guard let segment else { preconditionFailure("a frame outside a segment") }
    guard let header = Frame.parseHeader(head) else { throw fault(.frameHeader, offset) }
    let count = header.paddedByteCount(alignment: segment.alignment)
    guard count <= segment.frameBytesMax else { throw fault(.frameLength, offset) }
    return count
  }

  /// Checks one whole frame, padding included, and takes it into the chain. Calls `visit` with each
  /// entry once the frame has passed.
  package mutating func frame(
    _ bytes: Span<UInt8>, offset: UInt64, visit: (Span<UInt8>) -> Void = { _ in }
  ) throws(LogFault) {
    guard let header = Frame.parseHeader(bytes) else { throw fault(.frameHeader, offset) }
    guard header.number == nextFrame else { throw fault(.frameNumber, offset) }
    guard header.firstSequence == nextSequence else { throw fault(.frameSequence, offset) }
    guard !isSealed else { throw fault(.afterSeal, offset) }
    let end = Frame.headerByteCount + header.bodyByteCount
    guard bytes.extracting((end + Frame.trailerByteCount)...).isZero else { throw fault(.padding, offset) }
    switch header.kind {
    case .entries: try entries(header, bytes, end: end, offset: offset, visit: visit)
    case .seal: try seal(header, bytes, end: end, offset: offset)
    case .signedNote, .purged: throw reserved(header, bytes, offset: offset)
    }
    nextFrame += 1
    if piece == nil { fileHash.update(bytes) }
  }

  private func fault(_ kind: LogFault.Kind, _ offset: UInt64, sequence: UInt64? = nil) -> LogFault {
    LogFault(kind, segment: segment?.number ?? 0, offset: offset, sequence: sequence ?? nextSequence)
  }

  // MARK: Frames of entries

  private mutating func entries(
    _ header: Frame.Header, _ bytes: Span<UInt8>, end: Int, offset: UInt64, visit: (Span<UInt8>) -> Void
  ) throws(LogFault) {
    guard (1...Limits.frameEntriesMax).contains(header.count) else { throw fault(.frameCount, offset) }
    let body = bytes.extracting(Frame.headerByteCount..<end)
    var checked: [CheckedEntry] = []
    checked.reserveCapacity(header.count)
    var cursor = ByteCursor()
    for index in 0..<header.count {
      let sequence = header.firstSequence + UInt64(index)
      guard let length = try? cursor.u32(body), let range = try? cursor.range(Int(length), body) else {
        throw fault(.entryLength, offset, sequence: sequence)
      }
      checked.append(try check(body.extracting(range), range: range, sequence: sequence, offset: offset))
    }
    guard cursor.offset == body.count else { throw fault(.frameCount, offset) }
    let trailer = Frame.trailer(bytes.extracting(0..<Frame.headerByteCount), checked[checked.count - 1].leaf.bytes.span)
    let trailerMatches = Digest(bytes.extracting(end..<end + Frame.trailerByteCount)) == trailer
    try checkLinks(checked, trailerMatches: trailerMatches, first: header.firstSequence, offset: offset)
    for entry in checked {
      if piece == nil { take(entry.leaf, offset: offset) } else { piece?.take(entry.leaf, entry.range, offset: offset) }
      visit(body.extracting(entry.range))
    }
    nextSequence += UInt64(header.count)
    previousLeaf = checked[checked.count - 1].leaf
    lastIncarnation = checked[checked.count - 1].incarnation
  }

  private mutating func take(_ leaf: Digest, offset: UInt64) {
    if keepsNodes, let segment {
      tree.append(leaf, completing: StoredNode.levelMin) { node, hash in
        nodes.append(StoredNode(node: node, hash: hash, segment: segment.number, offset: offset))
      }
    } else {
      tree.append(leaf)
    }
    if tree.size == watchedSize, let watch { watchedSize = watch.reached(tree.root) }
  }

  /// Has `watch` told of the root when the tree has `size` leaves, if it does not have more already.
  package mutating func watch(from size: UInt64, by watch: any TreeWatch) {
    self.watch = watch
    watchedSize = size
    if tree.size == size { watchedSize = watch.reached(tree.root) }
  }

  /// The subtrees that were completed since the last call.
  package mutating func takeNodes() -> [StoredNode] {
    defer { nodes = [] }
    return nodes
  }

  private struct CheckedEntry {
    let range: Range<Int>
    let leaf: Digest
    let previous: Digest
    let incarnation: UInt32
  }

  private func check(
    _ bytes: Span<UInt8>, range: Range<Int>, sequence: UInt64, offset: UInt64
  ) throws(LogFault) -> CheckedEntry {
    do throws(EntryFault) { try AuditEntry.validate(bytes) } catch {
      throw fault(.entry(error), offset, sequence: sequence)
    }
    var cursor = ByteCursor(at: 8)
    guard let stored = try? cursor.u64(bytes), stored == sequence else {
      throw fault(.entrySequence, offset, sequence: sequence)
    }
    guard let previous = try? cursor.digest(bytes) else { throw fault(.entryLength, offset, sequence: sequence) }
    cursor = ByteCursor(at: 80)
    let incarnation = (try? cursor.u32(bytes)) ?? 0
    return CheckedEntry(
      range: range, leaf: AuditEntry.leafHash(bytes), previous: previous, incarnation: incarnation)
  }

  /// Finds the first entry that neither its successor nor the trailer confirms.
  private func checkLinks(
    _ entries: [CheckedEntry], trailerMatches: Bool, first: UInt64, offset: UInt64
  ) throws(LogFault) {
    guard entries[0].previous == previousLeaf else { throw fault(.entryLink, offset, sequence: first) }
    for index in entries.indices.dropFirst() where entries[index].previous != entries[index - 1].leaf {
      throw fault(.entryChanged, offset, sequence: first + UInt64(index - 1))
    }
    guard trailerMatches else { throw fault(.trailer, offset, sequence: first + UInt64(entries.count - 1)) }
  }

  // MARK: Frames of later versions

  /// Why a frame of a reserved kind is not read: because it is one, or because it is none.
  private func reserved(_ header: Frame.Header, _ bytes: Span<UInt8>, offset: UInt64) -> LogFault {
    guard let segment else { preconditionFailure("a frame outside a segment") }
    let isWhole = Frame.selfContained(bytes, alignment: segment.alignment, frameBytesMax: segment.frameBytesMax) != nil
    return fault(isWhole ? .unsupportedFrame(header.kind) : .trailer, offset)
  }

  // MARK: Seals

  private mutating func seal(
    _ header: Frame.Header, _ bytes: Span<UInt8>, end: Int, offset: UInt64
  ) throws(LogFault) {
    let body = bytes.extracting(Frame.headerByteCount..<end)
    let trailer = Frame.trailer(bytes.extracting(0..<Frame.headerByteCount), body)
    guard Digest(bytes.extracting(end..<end + Frame.trailerByteCount)) == trailer else { throw fault(.trailer, offset) }
    guard header.count == 0, let seal = Frame.parseSeal(body) else { throw fault(.frameCount, offset) }
    guard piece == nil, tree.size >= 1, seal.treeSize == tree.size, seal.lastSequence &+ 1 == nextSequence, seal.treeRoot == tree.root else {
      throw fault(.sealTree, offset)
    }
    let soFar = fileHash
    guard seal.fileHash == soFar.finish() else { throw fault(.sealFileHash, offset) }
    isSealed = true
  }
}

// MARK: Pieces

extension ChainVerifier {
  /// Checks whole frames of the segment under way by themselves, for a verifier that stands before them to join: they
  /// begin at the numbers and the link that the first of them claims. nil where they are not all frames of entries, each
  /// going on from the one before.
  ///
  /// `offset` is where they begin in the file. The same checks as of `frame`, done ahead and on any thread.
  package func check(ahead frames: Span<UInt8>, offset: UInt64) -> CheckedPiece? {
    let firstEntry = Frame.headerByteCount + 4
    guard let header = Frame.parseHeader(frames), header.kind == .entries, let segment,
      frames.count >= firstEntry + AuditEntry.fixedByteCount
    else { return nil }
    var verifier = self
    (verifier.nextFrame, verifier.nextSequence) = (header.number, header.firstSequence)
    verifier.previousLeaf = AuditEntry.previous(in: frames.extracting(firstEntry...))
    verifier.piece = CheckedPiece(verifier.standing, offset: offset)
    var start = 0
    while start < frames.count {
      guard let head = Frame.parseHeader(frames.extracting(start...)) else { return nil }
      let end = start + head.paddedByteCount(alignment: segment.alignment)
      guard end - start <= segment.frameBytesMax, end <= frames.count else { return nil }
      do throws(LogFault) {
        try verifier.frame(frames.extracting(start..<end), offset: offset + UInt64(start))
      } catch { return nil }
      start = end
    }
    var piece = verifier.piece
    piece?.end = verifier.standing
    return piece
  }

  /// Goes on behind a piece that begins where this verifier stands; false where it does not. `fileHash` is that of the
  /// file up to the piece's end.
  package mutating func join(_ piece: CheckedPiece, fileHash: SHA256) -> Bool {
    guard !isSealed, !keepsNodes, piece.start.goesOn(from: standing) else { return false }
    if watchedSize > tree.size, watchedSize - tree.size <= piece.tree.count {
      for leaf in piece.leaves { take(leaf, offset: piece.offset) }
    } else {
      tree.append(piece.tree)
    }
    (nextFrame, nextSequence) = (piece.end.nextFrame, piece.end.nextSequence)
    (previousLeaf, lastIncarnation) = (piece.end.previousLeaf, piece.end.lastIncarnation)
    self.fileHash = fileHash
    return true
  }

  private var standing: CheckedPiece.Standing {
    CheckedPiece.Standing(
      nextFrame: nextFrame, nextSequence: nextSequence, previousLeaf: previousLeaf, lastIncarnation: lastIncarnation)
  }
}
