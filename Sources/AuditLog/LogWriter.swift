package import ChatelaineAuditTrail
internal import ChatelainePrimitives
package import ChatelaineVocabulary

/// Evidence that a run of entries is on disk. Only the log's writer can mint one.
package struct AuditReceipt: ~Copyable, Sendable {
  package let logID: Identifier
  package let epoch: UInt32
  package let firstSequence: UInt64
  /// One for each entry, in order.
  package let leafHashes: [Digest]

  fileprivate init(logID: Identifier, epoch: UInt32, firstSequence: UInt64, leafHashes: [Digest]) {
    self.logID = logID
    self.epoch = epoch
    self.firstSequence = firstSequence
    self.leafHashes = leafHashes
  }
}

#if CHATELAINE_TEST_UNLOGGED
  extension AuditReceipt {
    /// Evidence of nothing, for the build that measures what the log costs.
    static func ofNothing(_ epoch: EpochDescriptor, count: Int) -> AuditReceipt {
      AuditReceipt(
        logID: epoch.logID, epoch: epoch.epoch, firstSequence: 0, leafHashes: Array(repeating: .zero, count: count))
    }
  }
#endif

/// A result that must not leave before its entry is durable.
package struct Withheld<Value: ~Copyable>: ~Copyable {
  private let value: Value

  package init(_ value: consuming Value) { self.value = value }

  package consuming func release(_ receipt: borrowing AuditReceipt) -> Value { value }
}

/// What can be made unreadable without being looked at.
package protocol Erasable {
  func erase()
}

extension Withheld where Value: Erasable {
  /// Erases the result: there will be no receipt for it.
  package consuming func erase() { value.erase() }
}

/// Why entries could not be made durable. Nothing that waited for them may be answered.
package enum AppendFailure: Error, Equatable, Sendable {
  /// Not now: the disk is full, or refuses. A later append may succeed.
  case unavailable(StorageFailure)
  /// A sync failed, or the live segment was unlinked: what the disk holds is unknown. Only a restart,
  /// which reads the disk again, can tell.
  case poisoned(StorageFailure)
  /// The log was closed.
  case closed
}

/// What became of an append.
package enum AppendOutcome: ~Copyable, Sendable {
  case durable(AuditReceipt)
  case failed(AppendFailure)
}

/// The one writer of a log: frames, durability, segments. Lives on one thread; `AuditLog` puts a
/// mailbox before it.
package final class LogWriter {
  package let epoch: EpochDescriptor
  package private(set) var nextSequence: UInt64
  package private(set) var previousLeaf: Digest
  package private(set) var tree: MerkleFrontier
  package let incarnation: UInt32
  private let storage: any LogStorage
  private let options: LogOptions
  private let processNonce: Identifier
  private var builder: FrameBuilder
  private var segment: OpenSegment
  private var nextFrame: UInt64
  private var poison: StorageFailure?
  package private(set) var spare: SpareSegment

  /// The segment that frames go to.
  struct OpenSegment {
    var header: SegmentHeader
    var headerHash: Digest
    var file: any LogFile
    /// Where the next frame goes.
    var offset: UInt64
    /// End of what failed writes may have left behind `offset`.
    var dirtyEnd: UInt64
    var fileHash: SHA256
    var isSealed: Bool
  }

  init(
    epoch: EpochDescriptor, state: ChainVerifier, segment: OpenSegment, storage: any LogStorage, options: LogOptions
  ) {
    self.epoch = epoch
    self.storage = storage
    self.options = options
    self.segment = segment
    nextSequence = state.nextSequence
    nextFrame = state.nextFrame
    previousLeaf = state.previousLeaf
    tree = state.tree
    incarnation = state.lastIncarnation + 1
    processNonce = SecureRandom.identifier()
    builder = FrameBuilder(
      alignment: segment.header.alignment, frameBytesMax: segment.header.frameBytesMax, processNonce: processNonce,
      incarnation: incarnation)
    spare = SpareSegment(storage: storage, targetBytes: options.nextSize(after: segment.header.fileSize))
  }

  /// Bytes of the segment under way that are used, and its size.
  package var segmentFill: (used: UInt64, size: UInt64) { (segment.offset, segment.header.fileSize) }
  package var segmentNumber: UInt64 { segment.header.number }

  // MARK: Commit

  /// Makes groups of entries durable, in order. Calls `deliver` with a group's index and receipt as soon
  /// as its last entry is on disk; groups not delivered when it throws have no receipt, ever.
  package func commit(
    _ groups: [[EntryDraft]], deliver: (Int, consuming AuditReceipt) -> Void
  ) throws(AppendFailure) {
    if let poison { throw .poisoned(poison) }
    var delivery = Delivery(groups: groups.map(\.count), firstSequence: nextSequence)
    var queue = DraftQueue(groups)
    while !queue.isEmpty {
      let leaves = try commitFrame(&queue)
      for done in delivery.take(leaves) {
        let receipt = AuditReceipt(
          logID: epoch.logID, epoch: epoch.epoch, firstSequence: done.firstSequence, leafHashes: done.leafHashes)
        deliver(done.group, receipt)
      }
      // why: after the replies are on their way, off their path.
      for leaf in leaves { tree.append(leaf) }
    }
  }

  /// Writes one frame of as many groups as fit, syncs it, and returns the leaf hashes.
  ///
  /// A group is split only where it is longer than a whole frame: else a disk that fills between two frames would
  /// refuse calls whose entries say that they were done.
  private func commitFrame(_ queue: inout DraftQueue) throws(AppendFailure) -> [Digest] {
    startFrame()
    if segment.isSealed || !builder.fits(queue.next.prefix(1), room: room) {
      try roll()
      startFrame()
      precondition(builder.fits(queue.next.prefix(1), room: room), "a segment cannot hold one entry")
    }
    let most = min(queue.count, Limits.frameEntriesMax)
    var blinds = Blinds(count: most)
    var leaves: [Digest] = []
    leaves.reserveCapacity(most)
    while !queue.isEmpty {
      let fitting = builder.fittingCount(queue.next, room: room)
      guard leaves.isEmpty || fitting == queue.next.count else { break }
      for draft in queue.take(fitting) { leaves.append(builder.append(draft, blind: blinds.next())) }
      guard queue.isAtGroup else { break }
    }
    try builder.finish { (frame) throws(AppendFailure) in try write(frame) }
    nextSequence += UInt64(leaves.count)
    nextFrame += 1
    previousLeaf = leaves[leaves.count - 1]
    return leaves
  }

  private func startFrame() {
    builder.begin(number: nextFrame, firstSequence: nextSequence, previousLeaf: previousLeaf)
  }

  /// Bytes left for frames of entries: a seal always fits behind them.
  private var room: Int {
    let seal = (Frame.overheadByteCount + Frame.sealBodyByteCount + builder.alignment - 1) / builder.alignment
    return Int(segment.header.fileSize - segment.offset) - seal * builder.alignment
  }

  /// Writes a frame at the segment's end and makes it durable.
  private func write(_ frame: Span<UInt8>) throws(AppendFailure) {
    try clearFailedWrite()
    let end = segment.offset + UInt64(frame.count)
    segment.dirtyEnd = end
    do throws(StorageFailure) { try segment.file.write(frame, at: segment.offset) } catch { throw .unavailable(error) }
    try sync(segment.file)
    segment.dirtyEnd = end
    segment.offset = end
    segment.fileHash.update(frame)
  }

  /// Writes zeros over what a failed write left behind the segment's end.
  ///
  /// Synced on its own: if they were in flight with the next frame, a crash could keep that frame and the
  /// old bytes behind it, which behind a seal no log that was written has.
  private func clearFailedWrite() throws(AppendFailure) {
    guard segment.dirtyEnd > segment.offset else { return }
    let zeros = [UInt8](repeating: 0, count: Int(segment.dirtyEnd - segment.offset))
    do throws(StorageFailure) { try segment.file.write(zeros.span, at: segment.offset) } catch { throw .unavailable(error) }
    try sync(segment.file)
    segment.dirtyEnd = segment.offset
  }

  /// After a failed sync nothing is known of what the disk holds: no retry, no further entry.
  private func sync(_ file: any LogFile) throws(AppendFailure) {
    do throws(StorageFailure) {
      try file.sync()
      guard try file.isLinked() else { throw StorageFailure(.sync, path: storage.path, errno: 2) }
    } catch {
      poison = error
      throw .poisoned(error)
    }
  }

  // MARK: Segments

  /// Seals the segment and goes on in the next one. Each step is left undone or done for good, so that a
  /// failure is taken up again by the next append.
  private func roll() throws(AppendFailure) {
    let next: (file: any LogFile, size: UInt64)
    do throws(StorageFailure) { next = try spare.take(bytesMin: options.firstSegmentBytes) } catch {
      throw .unavailable(error)
    }
    if !segment.isSealed { try seal() }
    let header = nextHeader(fileSize: next.size)
    let page = header.encoded()
    let name = LogNames.segment(epoch: epoch.epoch, header.number)
    do throws(StorageFailure) { try next.file.write(page.span, at: 0) } catch { throw .unavailable(error) }
    try sync(next.file)
    do throws(StorageFailure) {
      try storage.rename(LogNames.spare, to: name)
      try storage.syncDirectory()
    } catch {
      // why: whether the name is durable is unknown now, and it cannot be made twice.
      poison = error
      throw .poisoned(error)
    }
    // Derived or cosmetic from here on: a failure costs time at the next start, nothing else.
    try? segment.file.truncate(to: segment.offset)
    segment = OpenSegment(header: header, page: page, file: next.file)
    TreeFile(segment: header.number, firstFrame: nextFrame, incarnation: incarnation, tree: tree).save(to: storage)
    spare = SpareSegment(storage: storage, targetBytes: options.nextSize(after: header.fileSize))
  }

  private func seal() throws(AppendFailure) {
    let soFar = segment.fileHash
    let seal = Frame.Seal(
      lastSequence: nextSequence &- 1, treeSize: tree.size, treeRoot: tree.root, fileHash: soFar.finish())
    let frame = Frame.encodeSeal(seal, number: nextFrame, processNonce: processNonce, alignment: builder.alignment)
    try write(frame.span)
    nextFrame += 1
    segment.isSealed = true
  }

  private func nextHeader(fileSize: UInt64) -> SegmentHeader {
    SegmentHeader(
      logID: epoch.logID, epoch: epoch.epoch, alignment: builder.alignment, number: segment.header.number + 1,
      firstSequence: nextSequence, previousLeaf: previousLeaf, treeRoot: tree.root, fileSize: fileSize,
      frameBytesMax: builder.frameBytesMax, previousHeaderHash: segment.headerHash)
  }
}

extension LogWriter.OpenSegment {
  /// A segment with a header page and no frame.
  init(header: SegmentHeader, page: [UInt8], file: any LogFile) {
    var hash = SHA256()
    hash.update(page)
    self.init(
      header: header, headerHash: SHA256.hash(page), file: file, offset: UInt64(SegmentHeader.byteCount),
      dirtyEnd: UInt64(SegmentHeader.byteCount), fileHash: hash, isSealed: false)
  }
}

/// Entries that wait for a frame, group by group.
private struct DraftQueue {
  private let groups: [[EntryDraft]]
  private var group = 0
  private var taken = 0
  /// Entries that are left.
  private(set) var count: Int

  init(_ groups: [[EntryDraft]]) {
    self.groups = groups
    count = groups.reduce(0) { $0 + $1.count }
  }

  var isEmpty: Bool { count == 0 }
  /// Whether the next entry is the first of its group.
  var isAtGroup: Bool { taken == 0 }
  /// What is left of the group under way.
  var next: ArraySlice<EntryDraft> { groups[group][taken...] }

  mutating func take(_ wanted: Int) -> ArraySlice<EntryDraft> {
    let drafts = next.prefix(wanted)
    count -= drafts.count
    taken += drafts.count
    if taken == groups[group].count { (group, taken) = (group + 1, 0) }
    return drafts
  }
}

/// Hands leaf hashes that arrive frame by frame to the groups they belong to.
private struct Delivery {
  private let groups: [Int]
  private var sequence: UInt64
  private var group = 0
  private var pending: [Digest] = []

  init(groups: [Int], firstSequence: UInt64) {
    self.groups = groups
    sequence = firstSequence
  }

  struct Group {
    let group: Int
    let firstSequence: UInt64
    let leafHashes: [Digest]
  }

  /// The groups that these leaves complete.
  mutating func take(_ leaves: [Digest]) -> [Group] {
    var complete: [Group] = []
    var rest = leaves[...]
    while group < groups.count {
      let missing = groups[group] - pending.count
      pending.append(contentsOf: rest.prefix(missing))
      rest = rest.dropFirst(missing)
      guard pending.count == groups[group] else { break }
      complete.append(Group(group: group, firstSequence: sequence, leafHashes: pending))
      sequence += UInt64(pending.count)
      pending.removeAll()
      group += 1
    }
    return complete
  }
}

/// Random blinds of a batch, from one call to the kernel.
private struct Blinds {
  private let bytes: [UInt8]
  private var cursor = ByteCursor()

  init(count: Int) { bytes = SecureRandom.bytes(count * Identifier.byteCount) }

  mutating func next() -> Identifier {
    var at = cursor
    guard let blind = try? at.identifier(bytes.span) else { preconditionFailure("drawn for every draft") }
    cursor = at
    return blind
  }
}
