package import ChatelaineAuditTrail
package import ChatelaineVocabulary

/// A further epoch of a log: made ready whole, its first entry included, and named only once the key store, which nobody
/// writes without its key, names that entry. Until then the log is what it was; from then on a start names it.
extension LogWriter {
  /// Makes an epoch ready under names that no reader looks at, in place of what an earlier try left. Gives the leaf hash
  /// of its first entry.
  package static func prepareEpoch(
    _ epoch: EpochDescriptor, beginningWith entry: AuditEntry, in storage: any LogStorage,
    options: LogOptions = LogOptions()
  ) throws(LogError) -> Digest {
    do throws(StorageFailure) {
      let name = LogNames.prepared(LogNames.segment(epoch: epoch.epoch, 0))
      for left in [name, LogNames.spare] where try storage.list().contains(left) { try storage.remove(left) }
      let segment = try createFirstSegment(of: epoch, in: storage, options: options, as: name)
      let writer = LogWriter(
        epoch: epoch, state: ChainVerifier(epoch: epoch), segment: segment, storage: storage, options: options)
      do throws(AppendFailure) { try writer.commit([[EntryDraft(entry)]]) { _, _ in } } catch {
        switch error {
        case .unavailable(let failure), .poisoned(let failure): throw failure
        case .closed: preconditionFailure("a writer of its own is not closed")
        }
      }
      try prepareDurably(LogNames.epoch(epoch.epoch), epoch.encoded(), in: storage)
      try storage.syncDirectory()
      return writer.previousLeaf
    } catch { throw .storage(error) }
  }

  /// Whether an epoch is ready whose first entry is this one, and goes on from the newest that is there.
  package static func isEpochPrepared(
    _ number: UInt32, firstEntry leaf: Digest, in storage: any LogStorage
  ) throws(LogError) -> Bool {
    let names: [String]
    do throws(StorageFailure) { names = try storage.list() } catch { throw .storage(error) }
    let (descriptor, segment) = (LogNames.epoch(number), LogNames.segment(epoch: number, 0))
    guard names.contains(LogNames.prepared(descriptor)), !names.contains(descriptor),
      let epoch = try LogEpochs.read(LogNames.prepared(descriptor), storage), epoch.epoch == number,
      epoch.goesOn(from: try LogEpochs(storage).newest)
    else { return false }
    let name = names.contains(segment) ? segment : LogNames.prepared(segment)
    guard names.contains(name) else { return false }
    let file: any LogFile
    do throws(StorageFailure) { file = try storage.open(name, forWriting: false) } catch { throw .storage(error) }
    var verifier = ChainVerifier(epoch: epoch)
    var walk = try SegmentWalk(file, name: name, number: 0, hasSuccessor: false)
    _ = try walk.run(&verifier) { _ in }
    return verifier.nextSequence == 1 && verifier.previousLeaf == leaf
  }

  /// Gives an epoch that is ready its names. The descriptor is last: an epoch is there when it is.
  package static func nameEpoch(_ number: UInt32, in storage: any LogStorage) throws(LogError) {
    do throws(StorageFailure) {
      let (descriptor, segment) = (LogNames.epoch(number), LogNames.segment(epoch: number, 0))
      if try !storage.list().contains(segment) { try storage.rename(LogNames.prepared(segment), to: segment) }
      try storage.syncDirectory()
      try storage.rename(LogNames.prepared(descriptor), to: descriptor)
      try storage.syncDirectory()
      // Derived, and of the epoch before.
      try? storage.remove(LogNames.tree)
      TearMarker.remove(from: storage)
    } catch { throw .storage(error) }
  }
}
