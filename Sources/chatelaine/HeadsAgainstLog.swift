internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineExits
internal import ChatelaineVocabulary
internal import Synchronization

/// Holds signed heads against an epoch of a log while it is read: one that was kept elsewhere, the newest beside the log,
/// and every published one.
final class HeadsAgainstLog: TreeWatch {
  private struct State {
    /// Ascending.
    var few: [(head: SignedHead, name: String)]
    var list: HeadListReader?
    var published: SignedHead?
    var checked: UInt64 = 0
    var lost: UInt64 = 0
    var newest: UInt64 = 0
    var verdict: EvidenceVerdict?
  }

  private let key: NoteKey
  private let epoch: EpochDescriptor
  private let state: Mutex<State>

  /// `kept` is a head of this epoch, and its file.
  init(_ storage: FileStorage, _ epoch: EpochDescriptor, key: NoteKey, kept: (head: SignedHead, name: String)?) throws {
    self.key = key
    self.epoch = epoch
    var few: [(head: SignedHead, name: String)] = []
    if let kept { few.append(kept) }
    let name = LogNames.head(epoch.epoch)
    let list: HeadListReader?
    do {
      list = try HeadListReader(storage, epoch: epoch.epoch)
      if let own = try KeptHeads(storage, key: key, epoch: epoch.epoch).newest { few.append((own, name)) }
    } catch let error as KeptHeads.Unusable {
      throw failure(of: error)
    } catch let error as StorageFailure { throw LogError.storage(error) }
    state = Mutex(State(few: few.sorted { $0.head.checkpoint.size < $1.head.checkpoint.size }, list: list))
  }

  /// Has a reader tell of the roots that are wanted.
  func watch(_ reader: inout LogReader) {
    let first = state.withLock { state in
      advance(&state)
      return next(state)
    }
    reader.watch(from: first, by: self)
  }

  func reached(_ root: Digest) -> UInt64 {
    state.withLock { state in
      let size = next(state)
      while let first = state.few.first, first.head.checkpoint.size == size {
        compare(first.head, first.name, root, &state)
        state.few.removeFirst()
      }
      while let head = state.published, head.checkpoint.size == size {
        compare(head, LogNames.heads(epoch.epoch), root, &state)
        advance(&state)
      }
      return next(state)
    }
  }

  private func next(_ state: State) -> UInt64 {
    min(state.few.first?.head.checkpoint.size ?? .max, state.published?.checkpoint.size ?? .max)
  }

  private func compare(_ head: SignedHead, _ name: String, _ root: Digest, _ state: inout State) {
    state.checked += 1
    state.newest = head.checkpoint.size
    guard head.checkpoint.root != root, state.verdict == nil else { return }
    state.verdict = .forked(
      "the log's first \(head.checkpoint.size) entries are not those that the head in \(name) was signed over")
  }

  /// Takes the next published head, which has more entries than the one before and holds.
  private func advance(_ state: inout State) {
    let before = state.published?.checkpoint.size ?? 0
    state.published = nil
    do throws(StorageFailure) {
      guard let head = try state.list?.next() else {
        if state.list?.isAtEnd == false { state.verdict = state.verdict ?? .tampered("what is in heads is no head") }
        return
      }
      if let fault = head.fault(under: key, called: "a head in heads") { return state.verdict = state.verdict ?? fault }
      guard head.checkpoint.size >= before else {
        return state.verdict = state.verdict ?? .tampered("the heads in heads are not in order")
      }
      state.published = head
    } catch { state.verdict = state.verdict ?? .tampered("heads cannot be read: \(error.reason)") }
  }

  /// What all of them come to, once the epoch was read to its end. `acknowledged` is the last entry whose loss the next
  /// epoch takes note of.
  func verdict(entries: UInt64, acknowledged: EntryPlace?) -> EvidenceVerdict {
    state.withLock { state in
      while let head = state.published, state.verdict == nil, isAcknowledged(head, acknowledged) {
        state.lost += 1
        advance(&state)
      }
      if let verdict = state.verdict { return verdict }
      state.lost += UInt64(state.few.count { isAcknowledged($0.head, acknowledged) })
      let missing = state.few.filter { !isAcknowledged($0.head, acknowledged) }.map { ($0.head.checkpoint.size, $0.name) }
        + (state.published.map { [($0.checkpoint.size, LogNames.heads(epoch.epoch))] } ?? [])
      guard let (size, name) = missing.max(by: { $0.0 < $1.0 }) else { return .valid }
      return .truncated(
        "the log has \(entries) entries, and the head in \(name) was signed over \(size): entries \(entries) to \(size - 1) were cut off, or an old copy was put back")
    }
  }

  private func isAcknowledged(_ head: SignedHead, _ last: EntryPlace?) -> Bool {
    last.map { head.checkpoint.isOver(noMoreThan: $0, in: epoch.epoch) } ?? false
  }

  /// Over entries that are lost, which was acknowledged: nothing shows more of them.
  var lost: UInt64 { state.withLock { $0.lost } }
  var checked: UInt64 { state.withLock { $0.checked } }
  var newest: UInt64 { state.withLock { $0.newest } }
}

extension Checkpoint {
  /// Whether the entries of an epoch that it is over end at this one, or before it.
  func isOver(noMoreThan last: EntryPlace, in epoch: UInt32) -> Bool {
    guard size >> 48 == 0 else { return false }
    return last.epoch > epoch || (last.epoch == epoch && size <= last.sequence + 1)
  }
}
