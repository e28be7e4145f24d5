package import ChatelaineAuditTrail
internal import ChatelainePrimitives
internal import ChatelaineVocabulary

/// The files of a log's newest epoch.
package struct LogDirectory {
  package let storage: any LogStorage
  package let epoch: EpochDescriptor
  /// Segments 0 to this, without a gap.
  package let segmentCount: Int
  /// The first segment that is not there although a later one is, or although it is the first.
  package let missing: UInt64?

  package init(_ storage: any LogStorage) throws(LogError) {
    self.storage = storage
    let names: [String]
    do throws(StorageFailure) { names = try storage.list() } catch { throw .storage(error) }
    epoch = try Self.readEpoch(names, storage)
    let newest = epoch.epoch
    let numbers = names.compactMap(LogNames.parseSegment).filter { $0.epoch == newest }.map(\.number).sorted()
    segmentCount = numbers.enumerated().prefix { $0.element == UInt64($0.offset) }.count
    missing = segmentCount < max(1, numbers.count) ? UInt64(segmentCount) : nil
  }

  /// Segments to read, the missing one included: reading it is what names the fault.
  var walkEnd: UInt64 { UInt64(segmentCount) + (missing == nil ? 0 : 1) }

  private static func readEpoch(_ names: [String], _ storage: any LogStorage) throws(LogError) -> EpochDescriptor {
    guard let newest = names.compactMap(LogNames.parseEpoch).max() else {
      guard names.contains(where: { LogNames.parseSegment($0) != nil }) else { throw .noLog(path: storage.path) }
      throw .corrupt(LogFault(.epochDescriptor, segment: 0, offset: 0, sequence: 0), file: storage.path)
    }
    // why: nothing ties an epoch to the one before it yet, so a forged one would hide what is there.
    if let other = names.first(where: { LogNames.epochNumber($0).map { $0 != 1 } ?? false }) {
      throw .corrupt(LogFault(.unsupportedEpoch, segment: 0, offset: 0, sequence: nil), file: other)
    }
    let bytes: [UInt8]
    do throws(StorageFailure) {
      bytes = try storage.open(LogNames.epoch(newest), forWriting: false).read(at: 0, count: EpochDescriptor.byteCountMax + 1)
    } catch { throw .storage(error) }
    guard let epoch = try? EpochDescriptor(parsing: bytes.span), epoch.epoch == newest else {
      throw .corrupt(LogFault(.epochDescriptor, segment: 0, offset: 0, sequence: 0), file: LogNames.epoch(newest))
    }
    return epoch
  }

  /// A verifier that stands before the newest segment, where the tree file and the headers agree.
  func resumed() -> ChainVerifier? {
    guard missing == nil, segmentCount > 1 else { return nil }
    let number = UInt64(segmentCount - 1)
    guard let file = TreeFile(loadingFrom: storage), file.segment == number,
      let header = readHeader(number), let before = readHeaderPage(number - 1),
      header.previousHeaderHash == SHA256.hash(before), header.firstSequence == file.tree.size,
      header.treeRoot == file.tree.root
    else { return nil }
    return ChainVerifier(epoch: epoch, resumingAt: header, frame: file.firstFrame, incarnation: file.incarnation, tree: file.tree)
  }

  private func readHeaderPage(_ number: UInt64) -> [UInt8]? {
    guard let file = try? storage.open(LogNames.segment(epoch: epoch.epoch, number), forWriting: false) else { return nil }
    return try? file.read(at: 0, count: SegmentHeader.byteCount)
  }

  private func readHeader(_ number: UInt64) -> SegmentHeader? {
    readHeaderPage(number).flatMap { try? SegmentHeader(parsing: $0.span) }
  }

  /// A walk over one segment; `sequence` is what it should begin with.
  func walk(_ number: UInt64, sequence: UInt64) throws(LogError) -> SegmentWalk {
    let name = LogNames.segment(epoch: epoch.epoch, number)
    guard number != missing else {
      throw .corrupt(LogFault(.missingSegment, segment: number, offset: 0, sequence: sequence), file: name)
    }
    let file: any LogFile
    do throws(StorageFailure) { file = try storage.open(name, forWriting: false) } catch { throw .storage(error) }
    return try SegmentWalk(file, name: name, number: number, hasSuccessor: number + 1 < walkEnd)
  }
}
