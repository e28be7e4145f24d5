package import ChatelaineAuditTrail
internal import ChatelaineVocabulary
internal import Glibc

/// The epochs of a log, each of which names the descriptor before it. A new one begins when the loss of a part of the log,
/// or of the key store, was acknowledged; numbers of epochs that were lost are left out.
package struct LogEpochs: Sendable {
  /// Ascending; the first is 1.
  package let all: [EpochDescriptor]

  package var newest: EpochDescriptor { all[all.count - 1] }

  package init(_ storage: any LogStorage) throws(LogError) {
    let names: [String]
    do throws(StorageFailure) { names = try storage.list() } catch { throw .storage(error) }
    try self.init(storage, names)
  }

  init(_ storage: any LogStorage, _ names: [String]) throws(LogError) {
    let numbers = names.compactMap(LogNames.parseEpoch).sorted()
    try Self.checkStrays(names, numbers, storage)
    guard let first = numbers.first else { throw .noLog(path: storage.path) }
    guard first == 1 else { throw Self.fault(.epochDescriptor, LogNames.epoch(1)) }
    var all: [EpochDescriptor] = []
    for number in numbers {
      let name = LogNames.epoch(number)
      guard let epoch = try Self.read(name, storage), epoch.epoch == number else { throw Self.fault(.epochDescriptor, name) }
      guard all.last.map({ epoch.goesOn(from: $0) }) ?? true else { throw Self.fault(.epochLink, name) }
      all.append(epoch)
    }
    self.all = all
  }

  private static func fault(_ kind: LogFault.Kind, _ file: String) -> LogError {
    .corrupt(LogFault(kind, segment: 0, offset: 0, sequence: kind == .epochStray ? nil : 0), file: file)
  }

  /// Segments of an epoch that has no descriptor: removed, or put there. An epoch that is being begun has its descriptor
  /// under another name.
  private static func checkStrays(
    _ names: [String], _ numbers: [UInt32], _ storage: any LogStorage
  ) throws(LogError) {
    for name in names {
      guard let epoch = LogNames.parseSegment(name)?.epoch, !numbers.contains(epoch) else { continue }
      if numbers.isEmpty { throw .corrupt(LogFault(.epochDescriptor, segment: 0, offset: 0, sequence: 0), file: storage.path) }
      guard names.contains(LogNames.prepared(LogNames.epoch(epoch))) else { throw fault(.epochStray, name) }
    }
  }

  /// nil where it is none.
  static func read(_ name: String, _ storage: any LogStorage) throws(LogError) -> EpochDescriptor? {
    do throws(StorageFailure) {
      let bytes = try storage.open(name, forWriting: false).read(at: 0, count: EpochDescriptor.byteCountMax + 1)
      return try? EpochDescriptor(parsing: bytes.span)
    } catch { throw .storage(error) }
  }
}

extension LogEpochs {
  /// The epochs that heads lie beside the log of, whoever signed them.
  package static func ofHeads(in storage: any LogStorage) throws(LogError) -> [UInt32] {
    do throws(StorageFailure) { return LogNames.epochsOfHeads(try storage.list()).sorted() } catch { throw .storage(error) }
  }
}

/// One epoch, read to its end.
package struct EpochReading {
  package let reader: LogReader
  package let end: LogReader.End
  /// What its first entry says of the epoch before, and that entry; nil in the first epoch.
  package let link: EpochLink?
  package let acknowledgement: AuditEntry?

  package var epoch: EpochDescriptor { reader.epoch }
  package var entries: UInt64 { reader.verifier.nextSequence }
}

extension LogEpochs {
  /// Reads every epoch, oldest first, and holds each one's first entry against the end of the one before.
  ///
  /// `prepare` gets each reader before it reads, `visit` each entry and its epoch.
  package func readAll(
    _ storage: any LogStorage, ahead: ReadAhead? = nil, prepare: (inout LogReader) throws -> Void = { _ in },
    visit: (UInt32, Span<UInt8>) -> Void = { _, _ in }, progress: (UInt64) -> Void = { _ in }
  ) throws -> [EpochReading] {
    var readings: [EpochReading] = []
    for epoch in all {
      var reader = try LogReader(storage, epoch: epoch.epoch, ahead: ahead)
      try prepare(&reader)
      readings.append(
        try reader.readLinked(
          after: readings.last, liveIn: epoch == newest ? storage : nil, visit: visit, progress: progress))
    }
    return readings
  }

  /// Bytes of all segments as they are now, for progress.
  package func totalBytes(_ storage: any LogStorage) throws(LogError) -> UInt64 {
    var total: UInt64 = 0
    for epoch in all { total += try LogReader(storage, epoch: epoch.epoch).totalBytes() }
    return total
  }
}

extension LogReader {
  /// Reads to the end; where the epoch is a later one, its first entry must say how the one before ended.
  ///
  /// `storage` is given where a service may be writing.
  package mutating func readLinked(
    after before: EpochReading?, liveIn storage: (any LogStorage)?, visit: (UInt32, Span<UInt8>) -> Void = { _, _ in },
    progress: (UInt64) -> Void = { _ in }
  ) throws(LogError) -> EpochReading {
    var first: AuditEntry?
    let number = epoch.epoch
    var end: End
    do throws(LogError) {
      end = try readAvailable(
        visit: { bytes in
          if first == nil { first = try? AuditEntry(parsing: bytes) }
          visit(number, bytes)
        }, progress: progress)
      end = try retried(end, storage) { visit(number, $0) }
    } catch {
      // why: whatever stands behind it, what is wrong with the first entry comes first.
      if let before, let first { _ = try link(first, after: before) }
      throw error
    }
    guard let before else { return EpochReading(reader: self, end: end, link: nil, acknowledgement: nil) }
    return EpochReading(reader: self, end: end, link: try link(first, after: before), acknowledgement: first)
  }

  /// How the epoch goes on from the one before, as its first entry says it and the one before has it.
  private func link(_ first: AuditEntry?, after before: EpochReading) throws(LogError) -> EpochLink {
    guard let link = first.flatMap(EpochLink.init), link.size == before.entries,
      link.root == before.reader.verifier.tree.root
    else {
      throw .corrupt(
        LogFault(.epochLink, segment: 0, offset: UInt64(SegmentHeader.byteCount), sequence: 0),
        file: LogNames.segment(epoch: epoch.epoch, 0))
    }
    return link
  }

  /// Where a service is writing, its frame under way looks torn for a moment: then look again.
  private mutating func retried(
    _ end: End, _ storage: (any LogStorage)?, visit: (Span<UInt8>) -> Void
  ) throws(LogError) -> End {
    var end = end
    for _ in 0..<20 {
      guard case .torn = end.tail, let files = storage as? FileStorage, files.isBeingWritten else { return end }
      usleep(50_000)
      end = try readAvailable(visit: visit)
    }
    return end
  }
}
