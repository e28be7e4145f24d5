package import ChatelaineAuditLog
internal import ChatelaineAuditTrail
package import ChatelaineCustody
internal import ChatelaineVocabulary

/// What a service is told of its log's heads.
package struct HeadSettings: Sendable {
  package let key: SigningKey
  package let anchor: String?
  package let cadence: HeadCadence
  /// Told why heads are not signed, and nil when they are again.
  package let tell: @Sendable (String?) -> Void

  package init(
    key: SigningKey, anchor: String? = nil, cadence: HeadCadence = HeadCadence(),
    tell: @escaping @Sendable (String?) -> Void = { _ in }
  ) {
    self.key = key
    self.anchor = anchor
    self.cadence = cadence
    self.tell = tell
  }
}

/// The heads that were signed over a log, read before anything is written: the newest of the log's own and the anchor's,
/// of its newest epoch and of any that it does not have.
struct SignedHeads {
  private let settings: HeadSettings
  private let storage: any LogStorage
  private let epoch: EpochDescriptor
  private let signer: NoteSigner
  private let kept: KeptHeads
  /// Of the newest epoch.
  private let found: [FoundHead]
  /// Of later ones.
  private let later: [(epoch: UInt32, head: FoundHead)]

  init(_ settings: HeadSettings, of storage: any LogStorage) throws(StartError) {
    let epoch: EpochDescriptor
    let others: [UInt32]
    do throws(LogError) {
      epoch = try LogEpochs(storage).newest
      others = try LogEpochs.ofHeads(in: storage).filter { $0 > epoch.epoch }
    } catch { throw .log(error) }
    let key = settings.key
    signer = NoteSigner(key: NoteKey(name: epoch.origin, publicKey: key.publicKey)) { key.sign($0) }
    kept = try Self.kept(storage, epoch, epoch.epoch, key)
    var found = Self.heads(kept, epoch.epoch)
    var later: [(UInt32, FoundHead)] = []
    for other in others {
      later += Self.heads(try Self.kept(storage, epoch, other, key), other).map { (other, $0) }
    }
    if let (number, head) = Self.anchored(settings, epoch) {
      if number == epoch.epoch { found.append(head) } else if number > epoch.epoch { later.append((number, head)) }
    }
    (self.found, self.later) = (found, later)
    (self.settings, self.storage, self.epoch) = (settings, storage, epoch)
  }

  private static func kept(
    _ storage: any LogStorage, _ epoch: EpochDescriptor, _ number: UInt32, _ key: SigningKey
  ) throws(StartError) -> KeptHeads {
    let name = NoteKey(name: epoch.origin(ofEpoch: number), publicKey: key.publicKey)
    do throws(KeptHeads.Unusable) { return try KeptHeads(storage, key: name, epoch: number) } catch {
      throw .heads(.unusable(error))
    }
  }

  private static func heads(_ kept: KeptHeads, _ epoch: UInt32) -> [FoundHead] {
    let newest = kept.newest.map { FoundHead($0, in: LogNames.head(epoch)) }
    return [newest, kept.published.map { FoundHead($0, in: LogNames.heads(epoch)) }].compactMap { $0 }
  }

  /// An anchor counts where the key signed it: anybody who can write there could else stop the service.
  private static func anchored(_ settings: HeadSettings, _ epoch: EpochDescriptor) -> (UInt32, FoundHead)? {
    guard let path = settings.anchor, let bytes = try? AnchorFile.read(path), let head = try? SignedHead(parsing: bytes.span),
      let number = epoch.epochNumber(ofOrigin: head.checkpoint.origin), EntryPlace.isEpoch(number),
      head.verdict(of: NoteKey(name: head.checkpoint.origin, publicKey: settings.key.publicKey)) == .valid
    else { return nil }
    return (number, FoundHead(head, in: path))
  }

  var sizes: [UInt64] { found.map(\.head.checkpoint.size) }
  var count: Int { found.count + later.count }

  /// The place of the last entry that each was signed over, and its note.
  var places: [(place: EntryPlace, note: [UInt8])] {
    let all = found.map { (epoch.epoch, $0) } + later.map { ($0.epoch, $0.head) }
    return all.compactMap { epoch, found in
      let size = found.head.checkpoint.size
      guard size > 0, size >> 48 == 0 else { return nil }
      return (EntryPlace(epoch: epoch, sequence: size - 1), found.head.note.encoded)
    }
  }

  /// Never a head that is inconsistent with an earlier one: the log must have what was signed.
  func check(_ log: LogWriter.Examined) throws(StartError) {
    try checkEpochs()
    do throws(HeadFault) { try log.check(found, in: storage) } catch { throw .heads(error) }
  }

  /// The same of a log that was read whole; `roots` are those at the heads' sizes.
  func check(entries: UInt64, roots: [UInt64: Digest]) throws(StartError) {
    try checkEpochs()
    try checkContent(roots)
    for one in found where one.head.checkpoint.size > entries {
      throw .heads(.beyondLog(size: one.head.checkpoint.size, entries: entries, file: one.file))
    }
  }

  /// What the log has must be what was signed.
  func checkContent(_ roots: [UInt64: Digest]) throws(StartError) {
    for one in found {
      guard let root = roots[one.head.checkpoint.size], root != one.head.checkpoint.root else { continue }
      throw .heads(.differs(size: one.head.checkpoint.size, file: one.file))
    }
  }

  private func checkEpochs() throws(StartError) {
    guard let last = later.max(by: { $0.epoch < $1.epoch }) else { return }
    throw .heads(.laterEpoch(epoch: last.epoch, newest: epoch.epoch, file: last.head.file))
  }

  func keeper(of log: AuditLog, after examined: LogWriter.Examined, _ clock: LogClock) -> HeadKeeper {
    HeadKeeper(
      log, examined.headStart(kept), signer: signer, anchor: settings.anchor, cadence: settings.cadence, clock: clock,
      tell: settings.tell)
  }
}
