package import ChatelaineAuditTrail
internal import ChatelainePrimitives
internal import ChatelaineVocabulary

/// The files of one epoch of a log.
package struct LogDirectory {
  package let storage: any LogStorage
  package let epoch: EpochDescriptor
  /// Segments 0 to this, without a gap.
  package let segmentCount: Int
  /// The first segment that is not there although a later one is, or although it is the first.
  package let missing: UInt64?

  /// Without an epoch: the newest. One that the log has not is a bug of the caller.
  package init(_ storage: any LogStorage, epoch number: UInt32? = nil) throws(LogError) {
    self.storage = storage
    let names: [String]
    do throws(StorageFailure) { names = try storage.list() } catch { throw .storage(error) }
    let epochs = try LogEpochs(storage, names)
    guard let epoch = number.map({ number in epochs.all.first { $0.epoch == number } }) ?? epochs.newest else {
      preconditionFailure("the log has no such epoch")
    }
    self.epoch = epoch
    let numbers = names.compactMap(LogNames.parseSegment).filter { $0.epoch == epoch.epoch }.map(\.number).sorted()
    segmentCount = numbers.enumerated().prefix { $0.element == UInt64($0.offset) }.count
    missing = segmentCount < max(1, numbers.count) ? UInt64(segmentCount) : nil
  }

  /// Segments to read, the missing one included: reading it is what names the fault.
  var walkEnd: UInt64 { UInt64(segmentCount) + (missing == nil ? 0 : 1) }

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

  func readHeader(_ number: UInt64) -> SegmentHeader? {
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
