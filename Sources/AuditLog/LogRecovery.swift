package import ChatelaineAuditTrail
internal import ChatelainePrimitives
package import ChatelaineVocabulary

/// What a start found and did.
package struct LogRecovery: Equatable, Sendable {
  /// An interrupted write: moved to quarantine, zeroed, noted in the log.
  package struct Tear: Equatable, Sendable {
    package let segment: UInt64
    package let offset: UInt64
    package let byteCount: UInt64
    package let quarantineFile: String
  }

  package var tear: Tear?
  /// Segments read; the sealed ones before are taken from their headers where the tree file allows it.
  package var segmentsRead: Int
}

/// A place in the log that is known from elsewhere: the log must reach beyond it.
package struct KnownHead: Equatable, Sendable {
  package let sequence: UInt64

  package init(sequence: UInt64) { self.sequence = sequence }
}

extension LogWriter {
  /// Makes a new log in an empty directory: first segment, then the epoch descriptor, which makes it a log.
  package static func create(
    in storage: any LogStorage, name: String, options: LogOptions = LogOptions(), clock: LogClock = .system
  ) throws(LogError) -> EpochDescriptor {
    do throws(StorageFailure) {
      guard try !storage.list().contains(where: { LogNames.parseEpoch($0) != nil }) else {
        throw StorageFailure(.create, path: storage.path, errno: 17)
      }
      try removeLeftovers(in: storage)
      guard let epoch = try? EpochDescriptor(logID: SecureRandom.identifier(), created: clock.wall(), name: name) else {
        throw StorageFailure(.create, path: storage.path, errno: 22)
      }
      _ = try createFirstSegment(of: epoch, in: storage, options: options, as: LogNames.segment(epoch: epoch.epoch, 0))
      try createDurably(LogNames.epoch(epoch.epoch), epoch.encoded(), in: storage)
      return epoch
    } catch { throw .storage(error) }
  }

  /// Removes what a creation that was interrupted left: a spare, a first segment without a frame.
  ///
  /// Segments with anything in them are the rest of a log that lost its descriptor: never removed.
  private static func removeLeftovers(in storage: any LogStorage) throws(StorageFailure) {
    let names = try storage.list()
    for name in names where LogNames.parseSegment(name) != nil {
      let isEmpty = try isWithoutFrames(storage.open(name, forWriting: false))
      guard isEmpty, name == LogNames.segment(epoch: 1, 0) else {
        throw StorageFailure(.create, path: "\(storage.path)/\(name)", errno: 17)
      }
      try storage.remove(name)
    }
    if names.contains(LogNames.spare) { try storage.remove(LogNames.spare) }
  }

  private static func isWithoutFrames(_ file: any LogFile) throws(StorageFailure) -> Bool {
    let size = try file.size()
    for offset in stride(from: UInt64(SegmentHeader.byteCount), to: size, by: 1 << 20) {
      let bytes = try file.read(at: offset, count: 1 << 20)
      guard bytes.span.isZero else { return false }
    }
    return true
  }

  /// A header page and zeros, under a name that is durable then.
  static func createFirstSegment(
    of epoch: EpochDescriptor, in storage: any LogStorage, options: LogOptions, as name: String
  ) throws(StorageFailure) -> OpenSegment {
    let spare = SpareSegment(storage: storage, targetBytes: options.firstSegmentBytes)
    let (file, size) = try spare.take(bytesMin: options.firstSegmentBytes)
    let header = SegmentHeader(
      logID: epoch.logID, epoch: epoch.epoch, alignment: options.alignment ?? storage.sectorBytes, number: 0,
      firstSequence: 0, previousLeaf: epoch.hash, treeRoot: MerkleFrontier.emptyRoot, fileSize: size,
      frameBytesMax: options.frameBytesMax, previousHeaderHash: .zero)
    let page = header.encoded()
    try file.write(page.span, at: 0)
    try file.sync()
    try storage.rename(LogNames.spare, to: name)
    try storage.syncDirectory()
    return OpenSegment(header: header, page: page, file: file)
  }

  private static func createDurably(_ name: String, _ bytes: [UInt8], in storage: any LogStorage) throws(StorageFailure) {
    try prepareDurably(name, bytes, in: storage)
    try storage.rename(LogNames.prepared(name), to: name)
    try storage.syncDirectory()
  }

  /// Writes a file that has a name of its own until it is renamed.
  static func prepareDurably(_ name: String, _ bytes: [UInt8], in storage: any LogStorage) throws(StorageFailure) {
    let prepared = LogNames.prepared(name)
    try? storage.remove(prepared)
    let file = try storage.create(prepared)
    try file.write(bytes.span, at: 0)
    try file.sync()
  }

  /// A log whose end was read and holds, of which nothing was changed.
  package struct Examined {
    package let epoch: EpochDescriptor
    fileprivate let storage: any LogStorage
    fileprivate let reading: Reading
    fileprivate let header: SegmentHeader
    /// At those of the sizes asked for that were passed.
    package let roots: [UInt64: Digest]

    /// Segments that were read.
    package var segmentsRead: Int { reading.segmentsRead }
    package var entries: UInt64 { reading.verifier.nextSequence }
    /// The tree that reading began with.
    var resumed: MerkleFrontier { reading.resumed }

    /// What signing of heads begins with, once the log is open.
    package func headStart(_ kept: KeptHeads) -> HeadStart {
      var verifier = reading.verifier
      let nodes = NodeKeeper(
        storage, epoch, resumed: reading.resumed, nodes: verifier.takeNodes(), size: verifier.tree.size)
      let follower = LogFollower(
        verifier, epoch: epoch, segment: header.number, offset: reading.end.end, in: storage)
      return HeadStart(follower: follower, storage: storage, epoch: epoch, kept: kept, nodes: nodes)
    }
  }

  /// Reads how a log ends, and refuses what is neither whole nor torn at its end. Writes nothing.
  ///
  /// Calls `visit` with each entry read, oldest first. `sizes` are those at which the root is wanted.
  package static func examine(
    _ storage: any LogStorage, knownHead: KnownHead? = nil, rootsAt sizes: [UInt64] = [],
    visit: (Span<UInt8>) -> Void = { _ in }
  ) throws(LogError) -> Examined {
    let directory = try LogDirectory(storage)
    let roots = RootsAtSizes(sizes)
    let reading = try readToEnd(of: directory, roots, visit: visit)
    let (verifier, end) = (reading.verifier, reading.end)
    guard let header = verifier.segment else { preconditionFailure("a walk begins a segment") }
    if let knownHead, verifier.nextSequence <= knownHead.sequence {
      let fault = LogFault(
        .behindKnownHead, segment: header.number, offset: end.end, sequence: verifier.nextSequence)
      throw .corrupt(fault, file: LogNames.segment(epoch: header.epoch, header.number))
    }
    return Examined(
      epoch: directory.epoch, storage: storage, reading: reading, header: header, roots: roots.found)
  }

  /// Opens a log for writing that nobody compares with anything.
  package static func open(
    in storage: any LogStorage, options: LogOptions = LogOptions(), clock: LogClock = .system,
    knownHead: KnownHead? = nil, visit: (Span<UInt8>) -> Void = { _ in }
  ) throws(LogError) -> sending (LogWriter, LogRecovery) {
    try open(examine(storage, knownHead: knownHead, visit: visit), options: options, clock: clock)
  }

  /// Opens a log for writing, and mends an interrupted write.
  package static func open(
    _ examined: Examined, options: LogOptions = LogOptions(), clock: LogClock = .system
  ) throws(LogError) -> sending (LogWriter, LogRecovery) {
    let (storage, header) = (examined.storage, examined.header)
    let (verifier, end) = (examined.reading.verifier, examined.reading.end)
    var recovery = LogRecovery(tear: nil, segmentsRead: examined.segmentsRead)
    do throws(StorageFailure) {
      let segment = try reopen(header, end: end, verifier, in: storage)
      if case .torn(let count, _) = end.tail {
        recovery.tear = try quarantine(segment, byteCount: count, in: storage, clock: clock)
      } else {
        recovery.tear = TearMarker.load(
          from: storage,
          ofLogEndingAt: .init(segment: header.number, offset: end.end, hasFrames: end.lastFrame != nil))
      }
      try settle(segment, lastFrame: end.lastFrame, in: storage)
      try? storage.remove(LogNames.spare)
      let writer = LogWriter(
        epoch: examined.epoch, state: verifier, segment: segment, storage: storage, options: options)
      if let tear = recovery.tear { try writer.note(tear, clock: clock) }
      TearMarker.remove(from: storage)
      return (writer, recovery)
    } catch { throw .storage(error) }
  }

  fileprivate typealias Reading = (
    verifier: ChainVerifier, end: SegmentEnd, segmentsRead: Int, resumed: MerkleFrontier
  )

  /// Reads the newest segment where the tree file allows it, else all of them.
  ///
  /// why: nothing but the newest segment's own frames shows that the tree file's frame number is right;
  /// a wrong one would be written into the next frame. Without a frame everything is read.
  private static func readToEnd(
    of directory: LogDirectory, _ roots: RootsAtSizes, visit: (Span<UInt8>) -> Void
  ) throws(LogError) -> Reading {
    if let resumed = directory.resumed() {
      var hasVisited = false
      do throws(LogError) {
        let reading = try read(directory, with: resumed, roots) { entry in
          hasVisited = true
          visit(entry)
        }
        if reading.end.lastFrame != nil { return reading }
      } catch { if hasVisited { throw error } }
    }
    return try read(directory, with: ChainVerifier(epoch: directory.epoch), roots, visit: visit)
  }

  private static func read(
    _ directory: LogDirectory, with start: ChainVerifier, _ roots: RootsAtSizes, visit: (Span<UInt8>) -> Void
  ) throws(LogError) -> Reading {
    var verifier = start
    verifier.keepsNodes = true
    verifier.watch(from: roots.first(from: start.tree.size), by: roots)
    var end: SegmentEnd?
    for number in verifier.nextSegment..<directory.walkEnd {
      var walk = try directory.walk(number, sequence: verifier.nextSequence)
      end = try walk.run(&verifier, visit: visit)
    }
    guard let end else { preconditionFailure("a log has a segment, or misses one") }
    return (verifier, end, Int(directory.walkEnd - start.nextSegment), start.tree)
  }

  private static func reopen(
    _ header: SegmentHeader, end: SegmentEnd, _ verifier: ChainVerifier, in storage: any LogStorage
  ) throws(StorageFailure) -> OpenSegment {
    let file = try storage.open(LogNames.segment(epoch: header.epoch, header.number), forWriting: true)
    var segment = OpenSegment(header: header, page: header.encoded(), file: file)
    segment.offset = end.end
    segment.dirtyEnd = end.end
    segment.fileHash = verifier.fileHash
    segment.isSealed = verifier.isSealed
    return segment
  }

  /// Copies the torn area aside and marks it as not yet noted.
  private static func quarantine(
    _ segment: OpenSegment, byteCount: UInt64, in storage: any LogStorage, clock: LogClock
  ) throws(StorageFailure) -> LogRecovery.Tear {
    let name = LogNames.quarantine(of: segment.header.number, at: segment.offset, clock.wall())
    let torn = try segment.file.read(at: segment.offset, count: Int(byteCount))
    let copy = try storage.create(name)
    try copy.write(torn.span, at: 0)
    try copy.sync()
    let tear = LogRecovery.Tear(
      segment: segment.header.number, offset: segment.offset, byteCount: byteCount, quarantineFile: name)
    try TearMarker.save(tear, to: storage)
    return tear
  }

  /// Makes durable what was read, torn or not: writes zeros as far as an interrupted write can have
  /// reached, then the last whole frame (or the header page) again, and syncs the file and its name.
  ///
  /// After a failed sync, or a kill in the middle of one, the page cache can show what the disk does
  /// not hold; and pages that a failed sync left clean are not written by the next one.
  private static func settle(
    _ segment: OpenSegment, lastFrame: UInt64?, in storage: any LogStorage
  ) throws(StorageFailure) {
    let reach = min(segment.offset + UInt64(segment.header.frameBytesMax), try segment.file.size())
    let zeros = [UInt8](repeating: 0, count: Int(reach - segment.offset))
    try segment.file.write(zeros.span, at: segment.offset)
    let lastStart = lastFrame ?? 0
    let last = try segment.file.read(at: lastStart, count: Int(segment.offset - lastStart))
    try segment.file.write(last.span, at: lastStart)
    try segment.file.sync()
    try storage.syncDirectory()
  }

  private func note(_ tear: LogRecovery.Tear, clock: LogClock) throws(StorageFailure) {
    var entry = AuditEntry(.recovered, .logRecovered)
    entry.outcome = .ok
    entry.wall = clock.wall()
    entry.bootNanoseconds = clock.bootNanoseconds()
    entry.details = [
      .init(.segment, ByteWriter.u64Bytes(tear.segment)), .init(.offset, ByteWriter.u64Bytes(tear.offset)),
      .init(.length, ByteWriter.u64Bytes(tear.byteCount)),
    ]
    do throws(AppendFailure) { try commit([[EntryDraft(entry)]]) { _, _ in } } catch {
      switch error {
      case .unavailable(let failure), .poisoned(let failure): throw failure
      case .closed: return
      }
    }
  }
}
