internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineCustody
internal import ChatelaineExits
internal import ChatelaineVocabulary
internal import Glibc

/// How far a reader of the log has come, in a small file of its own: the log, the next entry, the one before it by its
/// hash. A log that does not go on from there is another one, or was cut or rewritten.
///
/// Noted once the entries are printed: after an interruption some are printed twice, and none is left out.
struct LogCursor {
  private static let firstWord = "chatelaine-cursor-v1"
  private static let byteCountMax = 1024

  private let path: String
  private(set) var epoch: EpochDescriptor
  private var next: UInt64 = 0
  private var leaf: Digest
  /// Of the entry before `next`, as the log has it now.
  private var found: Digest?
  /// Up to which the entries are printed by this call.
  private var printed: (next: UInt64, leaf: Digest)?
  /// Nothing was printed with it before.
  private(set) var isNew: Bool

  /// `epochs` are those of the log that are to be printed, oldest first.
  init(_ path: String, of epochs: [EpochDescriptor]) throws(Failure) {
    self.path = path
    epoch = epochs[0]
    leaf = epochs[0].hash
    isNew = unsafe access(path, F_OK) != 0 && errno == ENOENT
    guard !isNew else { return }
    let words = try Self.words(path)
    guard words.count == 5, words[0] == Self.firstWord, let next = UInt64(words[3]), let leaf = Digest(hex: words[4])
    else { throw Failure(.data, "\(printable(path)): this is no cursor of the log's: name another file, or remove it") }
    guard words[1] == epoch.logID.hex, let epoch = epochs.first(where: { words[2] == "\($0.epoch)" }) else {
      throw Failure(.data, "\(printable(path)): this cursor is of another log (\(words[1])): use it with that log")
    }
    (self.next, self.leaf, self.epoch) = (next, leaf, epoch)
  }

  private static func words(_ path: String) throws(Failure) -> [String] {
    guard let bytes = try InputFile(path).readAll(atMost: byteCountMax) else { return [] }
    return String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isWhitespace).map(String.init)
  }

  /// Takes the entries of the log in order; whether this one is to be printed.
  mutating func isPast(_ entry: AuditEntry) -> Bool {
    if entry.sequence == next, found == nil { found = entry.previous }
    return entry.sequence >= next && found == leaf
  }

  /// This entry is printed, or was not asked for.
  mutating func pass(_ entry: AuditEntry, leafHash: Digest) { printed = (entry.sequence + 1, leafHash) }

  /// Once an epoch is read to its end. With another one behind it, goes on there: what it had seen beyond this end is
  /// lost, and the first entry of that epoch says so.
  mutating func check(
    _ verifier: ChainVerifier, before following: EpochDescriptor?, in storage: FileStorage
  ) throws {
    if verifier.nextSequence == next, found == nil { found = verifier.previousLeaf }
    if found == nil, let following, try isAcknowledged(verifier, following, storage) {
      printError(
        "chatelaine: entries \(verifier.nextSequence) to \(next - 1) of epoch \(epoch.epoch), which \(printable(path)) has seen, are lost: that was acknowledged")
    } else {
      try check()
    }
    guard let following else { return }
    (epoch, next, leaf, found) = (following, 0, following.hash, nil)
    printed = (0, following.hash)
  }

  private func isAcknowledged(
    _ verifier: ChainVerifier, _ following: EpochDescriptor, _ storage: FileStorage
  ) throws -> Bool {
    var source = ProofSource(try LogDirectory(storage, epoch: following.epoch))
    let bytes = (try? source.entry(0)) ?? []
    guard let entry = try? AuditEntry(parsing: bytes.span), let link = EpochLink(entry), link.size == verifier.nextSequence,
      let last = link.lost.entries?.upperBound
    else { return false }
    return last.epoch > epoch.epoch || last.sequence + 1 >= next
  }

  private func check() throws(Failure) {
    guard let found else {
      throw Failure(
        .data,
        "the log ends before entry \(next), which \(printable(path)) has seen: its end was cut, or an old copy was put back")
    }
    guard found == leaf else {
      throw Failure(
        .data, "the log is not the one that \(printable(path)) has seen: it was rewritten before entry \(next)")
    }
  }

  mutating func note() throws(Failure) {
    guard isNew || printed != nil else { return }
    if let printed { (next, leaf, found) = (printed.next, printed.leaf, printed.leaf) }
    (printed, isNew) = (nil, false)
    let words = [Self.firstWord, epoch.logID.hex, "\(epoch.epoch)", "\(next)", leaf.hex]
    let file = try OutputFile(path, isSecret: false)
    try file.write(Array((words.joined(separator: " ") + "\n").utf8))
    try file.finish()
  }
}
