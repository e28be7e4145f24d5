package import ChatelaineAuditTrail
internal import ChatelainePrimitives
package import ChatelaineVocabulary

/// An index of one epoch of a log, in a directory of its reader's own: which blocks of 256 entries have a term. Derived,
/// and trusted by nobody: what it points at is read from the log and held against the log's tree.
///
/// Beside its parts it keeps the tree's larger subtrees (`NodeFile`) and how far it has come (`IndexState`).
package struct EntryIndex {
  private let log: LogDirectory
  private let storage: any LogStorage
  private var state: IndexState
  private var parts: [IndexPart] = []
  private var nodes: NodeFile
  private let hash: IndexHash

  /// Entries that it covers.
  package var size: UInt64 { state.tree.size }
  /// Of the tree over them.
  package var root: Digest { state.tree.root }

  /// Takes up the index that is there, or begins one, with parts of at most 2^20 entries, a multiple of 256. `storage` is
  /// its directory, locked; `log` the log's, of the epoch.
  package init(
    in storage: any LogStorage, of log: LogDirectory, partEntries: UInt64 = 1 << 20
  ) throws(IndexFault) {
    (self.storage, self.log) = (storage, log)
    let names: [String]
    do throws(StorageFailure) { names = try storage.list() } catch { throw .storage(error) }
    if names.contains(IndexState.name(log.epoch)) {
      guard let state = IndexState(loadingFrom: storage, log.epoch) else { throw .damaged }
      self.state = state
      guard let nodes = NodeFile(storage, log.epoch, forWriting: true), nodes.continues(state.tree) else { throw .damaged }
      self.nodes = nodes
    } else {
      state = IndexState(log.epoch, partEntries: partEntries)
      do throws(StorageFailure) { nodes = try NodeFile.create(in: storage, log.epoch) } catch { throw .storage(error) }
    }
    hash = IndexHash(secret: state.secret)
    parts = try Self.open(names, storage, log.epoch, state)
  }

  /// The parts, none left out; files of the same part that are older are removed.
  private static func open(
    _ names: [String], _ storage: any LogStorage, _ epoch: EpochDescriptor, _ state: IndexState
  ) throws(IndexFault) -> [IndexPart] {
    var ends: [UInt64: UInt64] = [:]
    for name in names {
      guard let (number, end) = IndexPart.parse(name, epoch: epoch.epoch) else { continue }
      let newest = max(end, ends[number] ?? 0)
      if let older = [end, ends[number] ?? newest].min(), older < newest {
        try? storage.remove(IndexPart.name(epoch: epoch.epoch, number, end: older))
      }
      ends[number] = newest
    }
    var parts: [IndexPart] = []
    let size = state.tree.size
    for number in 0..<(size + state.partEntries - 1) / state.partEntries {
      guard let end = ends[number], end >= min(size, (number + 1) * state.partEntries) else { throw .damaged }
      do throws(IndexPart.Damaged) {
        parts.append(try IndexPart(storage, epoch: epoch.epoch, number, end: end, secret: state.secret))
      } catch { throw .damaged }
    }
    return parts
  }

  // MARK: Going on

  /// Takes in what the log has behind the entries that are covered; `progress` gets the bytes read, where that is much.
  package mutating func catchUp(progress: (UInt64) -> Void = { _ in }) throws(IndexFault) {
    try checkEnd()
    var run = EntryRun(log.storage, epoch: log.epoch.epoch, from: state.place, size, after: state.leaf)
    var part = IndexPartBuilder(state.tree, partEntries: state.partEntries)
    var isThere = true
    while isThere {
      let before = run.place
      isThere = gather(&run, &part)
      if before.segment == run.place.segment { progress(run.place.offset - before.offset) }
      if part.isFull || !isThere, part.tree.size > size { try write(&part, run) }
    }
    // why: what is odd at the very end may be on its way; before a later segment it is not.
    guard run.place.segment + 1 >= log.walkEnd else { throw .brokenLog(size) }
  }

  /// Takes in a frame; false where none is there.
  private func gather(_ run: inout EntryRun, _ part: inout IndexPartBuilder) -> Bool {
    let place = run.place
    do throws(EntryRun.Broken) { try run.next { part.take($0, hash) } } catch {
      part.drop()
      return false
    }
    part.complete(run.previousLeaf, in: place)
    return true
  }

  /// Writes what was gathered; the state last, for it is what makes it count.
  private mutating func write(_ part: inout IndexPartBuilder, _ run: EntryRun) throws(IndexFault) {
    let epoch = log.epoch.epoch
    var replaced: [String] = []
    do {
      try nodes.write(part.takeNodes(), from: StoredNode.count(size: size))
      for (number, values) in part.takeValues() {
        let known = Int(number) < parts.count ? parts[Int(number)] : nil
        let end = min(run.nextSequence, (number + 1) * state.partEntries)
        let merged = values.merged(with: try known?.values() ?? [])
        try IndexPart.write(merged, to: storage, epoch: epoch, number, end: end, secret: state.secret)
        let new = try IndexPart(storage, epoch: epoch, number, end: end, secret: state.secret)
        if known == nil { parts.append(new) } else { parts[Int(number)] = new }
        if let known, known.end != end { replaced.append(IndexPart.name(epoch: epoch, number, end: known.end)) }
      }
      (state.tree, state.place, state.leaf) = (part.tree, run.place, run.previousLeaf)
      try state.save(to: storage)
      for name in replaced { try? storage.remove(name) }
    } catch let error as StorageFailure { throw .storage(error) } catch { throw .damaged }
  }

  /// That the log still has the last entry that is covered, and that its newest header's tree is a beginning of ours.
  private func checkEnd() throws(IndexFault) {
    guard size > 0 else { return }
    _ = try entries(ofBlock: (size - 1) >> UInt64(StoredNode.levelMin))
    for number in (0..<UInt64(log.segmentCount)).reversed() {
      guard let header = log.readHeader(number) else { throw .otherLog }
      guard header.firstSequence <= size else { continue }
      return try check(header.treeRoot, at: header.firstSequence)
    }
  }

  /// That the entries that are covered go on from a tree of that size and root: a signed head's, or a header's.
  package func check(_ root: Digest, at size: UInt64) throws(IndexFault) {
    var source = ProofSource(log, nodes: nodes)
    let proof = try? TreeProof.consistency(from: size, to: self.size) { node throws(ProofSource.Missing) in
      try source.node(node)
    }
    guard size <= self.size, let proof,
      TreeProof.isConsistent(old: size, oldRoot: root, new: self.size, newRoot: self.root, proof: proof)
    else { throw .otherLog }
  }

  // MARK: Looking up

  /// The blocks that may have entries with a term of each set, in the order that is asked for, until `visit` wants no more.
  package func blocks(
    of terms: [Set<IndexTerm>], newestFirst: Bool, visit: (_ block: UInt64) throws -> Bool
  ) throws {
    let hashes = terms.map { $0.map(hash.of) }
    for part in newestFirst ? parts.reversed() : parts {
      let found = try blocks(of: hashes, in: part)
      for block in newestFirst ? found.reversed() : found {
        guard try visit(part.number * (state.partEntries / StoredNode.leavesMin) + block) else { return }
      }
    }
  }

  private func blocks(of hashes: [[UInt64]], in part: IndexPart) throws(IndexFault) -> [UInt64] {
    var found: Set<UInt64>?
    for alternatives in hashes {
      var blocks: Set<UInt64> = []
      do throws(IndexPart.Damaged) {
        for hash in alternatives { blocks.formUnion(try part.blocks(of: hash)) }
      } catch { throw .damaged }
      found = found.map { $0.intersection(blocks) } ?? blocks
      if found?.isEmpty ?? true { return [] }
    }
    return found?.sorted() ?? []
  }

  /// The entries of a block, as the log has them, each of which is in the tree over the entries that are covered.
  package func entries(ofBlock block: UInt64) throws(IndexFault) -> [[UInt8]] {
    let first = block << UInt64(StoredNode.levelMin)
    var source = ProofSource(log, nodes: nodes)
    // why: the siblings of the first entry up to the block's own hash are made from all the others.
    guard let entries = try? source.entries(ofBlock: block), let entry = entries.first, first < size,
      let proof = try? TreeProof.inclusion(of: first, in: size, node: { node throws(ProofSource.Missing) in
        try source.node(node)
      }),
      TreeProof.isIncluded(leaf: AuditEntry.leafHash(entry.span), index: first, size: size, root: root, proof: proof)
    else { throw .otherLog }
    return Array(entries.prefix(Int(min(UInt64(entries.count), size - first))))
  }
}
