package import ChatelaineAuditLog
package import ChatelaineAuditTrail
package import ChatelaineCustody
internal import ChatelaineKeyStore
package import ChatelaineVocabulary

/// Store, log and signed heads of different times, each right in itself: an older copy of one of them, or of several, was
/// put back. What differs in content is no rollback.
package struct Rollback: Sendable {
  package let lost: LostRange
  /// What the log says was changed, and the store that was put back does not have.
  package let changes: [LostChange]
  /// What the next epoch says of this one.
  let link: EpochLink
  let newest: EpochDescriptor
  /// Of the next epoch: higher than any that is known to have been.
  let number: UInt32
  /// The highest that the log or the store names.
  let generation: UInt64
}

/// A change of the key store, as the log has it.
package struct LostChange: Equatable, Sendable {
  package let place: EntryPlace
  package let wall: WallTime
  package let operation: Operation
  package let tenant: TenantID?
  package let keyName: KeyName?
  package let generation: UInt64
}

/// A log that was read whole, and what it says of a store.
struct WholeLog {
  let newest: EpochDescriptor
  let readings: [EpochReading]
  /// Of the newest epoch.
  let history: StoreHistory
  /// Roots of the newest epoch, at the sizes that heads were signed over.
  let roots: [UInt64: Digest]
  let changes: [LostChange]

  init(
    _ storage: any LogStorage, for store: StoreHeadRow, _ signed: SignedHeads?,
    progress: (UInt64, UInt64) -> Void = { _, _ in }
  ) throws(StartError) {
    do {
      let epochs = try LogEpochs(storage)
      let (newest, total) = (epochs.newest, try epochs.totalBytes(storage))
      let isOfNewest = store.logPlace.epoch == newest.epoch
      var history = StoreHistory(named: isOfNewest ? store.logPlace.sequence : .max)
      var changes: [LostChange] = []
      var done: UInt64 = 0
      let roots = RootsAtSizes(signed?.sizes ?? [])
      readings = try epochs.readAll(storage) { reader in
        if reader.epoch == newest { reader.watch(from: roots.first(from: 0), by: roots) }
      } visit: { epoch, bytes in
        if epoch == newest.epoch { history.take(bytes) }
        if let change = LostChange(bytes, in: epoch), change.generation > store.generation { changes.append(change) }
      } progress: { passed in
        done += passed
        progress(done, total)
      }
      (self.newest, self.history, self.roots, self.changes) = (newest, history, roots.found, changes)
    } catch let error as LogError { throw .log(error) } catch let error as StartError { throw error } catch {
      preconditionFailure("reading a log throws log errors")
    }
  }

  var entries: UInt64 { readings[readings.count - 1].entries }
  var root: Digest { readings[readings.count - 1].reader.verifier.tree.root }
  var end: LogReader.End { readings[readings.count - 1].end }
  var generation: UInt64 { history.lastState?.generation ?? 0 }
}

extension LostChange {
  /// nil for an entry that is no outcome of a change that was made.
  fileprivate init?(_ bytes: Span<UInt8>, in epoch: UInt32) {
    guard [EntryClass.outcome.rawValue, EntryClass.recovered.rawValue].contains(bytes[1]),
      let entry = try? AuditEntry(parsing: bytes), entry.outcome == .ok, entry.detail(.intentSequence) != nil
    else { return nil }
    self.init(
      place: EntryPlace(epoch: epoch, sequence: entry.sequence), wall: entry.wall, operation: entry.operation,
      tenant: entry.tenant, keyName: entry.keyName, generation: entry.storeGeneration)
  }
}

extension KeyService {
  /// What an older copy that was put back lacks; nil where the three go together. Throws what is no rollback. Changes
  /// nothing.
  package static func findRollback(
    storePath: String, log storage: any LogStorage, masterKeys: MasterKeySet, heads: HeadSettings? = nil
  ) throws(StartError) -> Rollback? {
    let examined: KeyStore.Examined
    do throws(KeyStoreError) { examined = try examineStore(storePath, masterKeys) } catch { throw .store(error) }
    return try findRollback(examined.row, storage, heads)
  }

  static func findRollback(
    _ store: StoreHeadRow, _ storage: any LogStorage, _ heads: HeadSettings?
  ) throws(StartError) -> Rollback? {
    let signed = try heads.map { heads throws(StartError) in try SignedHeads(heads, of: storage) }
    let log = try WholeLog(storage, for: store, signed)
    guard store.logID == log.newest.logID else { throw .otherLog(store: store.logID, log: log.newest.logID) }
    try signed?.checkContent(log.roots)
    let entries = try lostEntries(store, log, signed)
    let generations = try lostGenerations(store, log, isLogWhole: entries == nil)
    guard entries != nil || generations != nil else { return nil }
    let places = signed?.places ?? []
    let lost = LostRange(entries: entries, generations: generations, of: state(store, log, places.map(\.note)))
    let highest = [log.newest.epoch, store.logPlace.epoch] + places.map(\.place.epoch)
    return Rollback(
      lost: lost, changes: log.changes,
      link: EpochLink(
        size: log.entries, root: log.root, lost: lost, head: places.max { $0.place < $1.place }?.note),
      newest: log.newest, number: (highest.max() ?? 0) + 1, generation: max(store.generation, log.generation))
  }

  /// From the log's end to the last entry that store or heads name.
  private static func lostEntries(
    _ store: StoreHeadRow, _ log: WholeLog, _ signed: SignedHeads?
  ) throws(StartError) -> ClosedRange<EntryPlace>? {
    let end = EntryPlace(epoch: log.newest.epoch, sequence: log.entries)
    if store.logPlace.epoch == end.epoch, store.logPlace < end { try matchNamed(store, with: log.history) }
    let known = [store.logPlace] + (signed?.places.map(\.place) ?? [])
    guard let last = known.max(), last >= end else { return nil }
    return end...last
  }

  /// From the store's generation to the last that the log names.
  private static func lostGenerations(
    _ store: StoreHeadRow, _ log: WholeLog, isLogWhole: Bool
  ) throws(StartError) -> ClosedRange<UInt64>? {
    if store.generation < log.generation { return store.generation + 1...log.generation }
    guard store.logPlace.epoch >= log.newest.epoch else {
      throw .otherEpoch(store: store.logPlace.epoch, log: log.newest.epoch)
    }
    if store.generation == log.generation, store.logPlace.epoch == log.newest.epoch {
      guard store.root == log.history.lastState?.root else { throw .storeDiffers(generation: store.generation) }
    } else if isLogWhole {
      _ = try match(store, with: log.history, logID: log.newest.logID)
    }
    return nil
  }

  /// All that the ranges were reckoned from.
  private static func state(_ store: StoreHeadRow, _ log: WholeLog, _ notes: [[UInt8]]) -> [UInt8] {
    var writer = ByteWriter(capacity: 1024)
    writer.identifier(log.newest.logID)
    writer.digest(log.newest.hash)
    writer.u64(log.entries)
    writer.digest(log.root)
    writer.u64(store.generation)
    writer.digest(store.root)
    writer.u64(store.logSequence)
    writer.digest(store.logLeafHash)
    for note in notes { writer.raw(note) }
    return writer.bytes
  }
}
