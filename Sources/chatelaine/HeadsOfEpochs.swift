internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineExits
internal import ChatelaineVocabulary

/// Signed heads of every epoch of a log, under one key: its name has the epoch in it, the key itself has not.
final class HeadsOfEpochs {
  private let storage: FileStorage
  private let epochs: LogEpochs
  private let key: NoteKey
  /// A head that was kept elsewhere, its file, and its epoch.
  private var kept: (head: SignedHead, name: String, epoch: UInt32)?
  private var byEpoch: [UInt32: HeadsAgainstLog] = [:]
  private var others: UInt64 = 0

  /// `kept` is a file with a head, which `witness` must have cosigned.
  init(
    _ storage: FileStorage, _ epochs: LogEpochs, key: NoteKey, kept path: String?, witness: WitnessOption? = nil
  ) throws {
    (self.storage, self.epochs, self.key) = (storage, epochs, key)
    guard let path else { return }
    let head = try readHead(path)
    let number = epochs.newest.epochNumber(ofOrigin: head.checkpoint.origin)
    if let fault = head.fault(under: number.map(self.key(ofEpoch:)) ?? key, called: "the kept head") {
      throw EvidenceFailure(fault, of: path)
    }
    try witness?.check(head, under: number.map(self.key(ofEpoch:)) ?? key, called: path)
    kept = (head, path, number ?? epochs.newest.epoch)
  }

  private func key(ofEpoch number: UInt32) -> NoteKey {
    // why: a key of another log stays what it is, and is the wrong one.
    guard epochs.newest.epochNumber(ofOrigin: key.name) != nil else { return key }
    return NoteKey(name: epochs.newest.origin(ofEpoch: number), publicKey: key.publicKey)
  }

  /// Has a reader of an epoch tell of the roots that are wanted.
  func watch(_ reader: inout LogReader) throws {
    let number = reader.epoch.epoch
    let own = kept.flatMap { $0.epoch == number ? ($0.head, $0.name) : nil }
    let heads = try HeadsAgainstLog(storage, reader.epoch, key: key(ofEpoch: number), kept: own)
    heads.watch(&reader)
    byEpoch[number] = heads
  }

  /// What all of them come to, once every epoch was read.
  func verdict(_ readings: [EpochReading]) throws(LogError) -> EvidenceVerdict {
    if let verdict = try laterEpoch() { return verdict }
    for (index, reading) in readings.enumerated() {
      let next = index + 1 < readings.count ? readings[index + 1] : nil
      if let head = reading.link?.head, let verdict = fault(ofEmbedded: head, in: reading.epoch.epoch) { return verdict }
      let isVouchedFor = next.map { isSigned($0.epoch.epoch) } ?? false
      let verdict = byEpoch[reading.epoch.epoch]?.verdict(
        entries: reading.entries, acknowledged: isVouchedFor ? next?.link?.lost.entries?.upperBound : nil)
      if case .truncated(let why)? = verdict, let next, !isVouchedFor {
        return .truncated(
          "\(why). Epoch \(next.epoch.epoch) says that this loss was acknowledged, and no head is signed over it: it is forged, or the service was not started since")
      }
      if let verdict, verdict != .valid { return verdict }
    }
    return keptOfLostEpoch(readings) ?? .valid
  }

  /// Whether a head under the key is over entries of an epoch: anybody can write what says that a loss was acknowledged.
  private func isSigned(_ epoch: UInt32) -> Bool { byEpoch[epoch].map { $0.newest > 0 } ?? false }

  /// The head that an acknowledgement has in it was signed, too.
  private func fault(ofEmbedded bytes: [UInt8], in epoch: UInt32) -> EvidenceVerdict? {
    let name = "the head in entry 0 of epoch \(epoch)"
    guard let head = try? SignedHead(parsing: bytes.span),
      let number = epochs.newest.epochNumber(ofOrigin: head.checkpoint.origin)
    else { return .tampered("\(name) is none of this log") }
    return head.fault(under: key(ofEpoch: number), called: name)
  }

  /// A head of an epoch that the log does not have, and of none before it.
  private func laterEpoch() throws(LogError) -> EvidenceVerdict? {
    let newest = epochs.newest.epoch
    var found = kept.flatMap { $0.epoch > newest ? ($0.epoch, $0.name) : nil }
    for number in try LogEpochs.ofHeads(in: storage) where number > newest {
      guard (try? KeptHeads(storage, key: key(ofEpoch: number), epoch: number))?.newest != nil else { continue }
      found = (number, LogNames.head(number))
    }
    return found.map { number, name in
      .truncated("the log's newest epoch is \(newest), and the head in \(name) was signed in epoch \(number): an old copy was put back")
    }
  }

  /// Of an epoch that was lost with all that was in it.
  private func keptOfLostEpoch(_ readings: [EpochReading]) -> EvidenceVerdict? {
    guard let kept, byEpoch[kept.epoch] == nil else { return nil }
    let isAcknowledged = readings.contains { reading in
      let last = reading.link?.lost.entries?.upperBound
      return isSigned(reading.epoch.epoch) && last.map { kept.head.checkpoint.isOver(noMoreThan: $0, in: kept.epoch) } ?? false
    }
    others += isAcknowledged ? 1 : 0
    return isAcknowledged
      ? nil : .truncated("the log has no epoch \(kept.epoch), in which the head in \(kept.name) was signed")
  }

  var checked: UInt64 { byEpoch.values.reduce(0) { $0 + $1.checked } }
  /// Over entries that are lost, which was acknowledged.
  var lost: UInt64 { byEpoch.values.reduce(others) { $0 + $1.lost } }
  /// Entries that the newest head of the newest epoch was signed over.
  var newest: UInt64 { byEpoch[epochs.newest.epoch]?.newest ?? 0 }
}
