package import ChatelaineAuditTrail

/// Why a log and the heads that were signed over it do not go together.
package enum HeadFault: Error, Equatable, Sendable {
  case unusable(KeptHeads.Unusable)
  /// The log ends before what was signed: it was cut, or an older copy was put back.
  case beyondLog(size: UInt64, entries: UInt64, file: String)
  /// A head was signed in an epoch that the log does not have: an older copy was put back.
  case laterEpoch(epoch: UInt32, newest: UInt32, file: String)
  /// The log has other entries than when it was signed.
  case differs(size: UInt64, file: String)
  case log(LogError)
}

/// A head that is held against a log, and where it was found.
package struct FoundHead: Sendable {
  package let head: SignedHead
  package let file: String

  package init(_ head: SignedHead, in file: String) {
    self.head = head
    self.file = file
  }
}

extension LogWriter.Examined {
  /// Holds heads against the log that was read; `roots` has what was passed on the way.
  package func check(_ heads: [FoundHead], in storage: any LogStorage) throws(HeadFault) {
    for found in heads {
      let checkpoint = found.head.checkpoint
      guard checkpoint.size <= entries else {
        throw .beyondLog(size: checkpoint.size, entries: entries, file: found.file)
      }
      guard try holds(checkpoint, storage) else { throw .differs(size: checkpoint.size, file: found.file) }
    }
  }

  private func holds(_ checkpoint: Checkpoint, _ storage: any LogStorage) throws(HeadFault) -> Bool {
    if let root = roots[checkpoint.size] { return root == checkpoint.root }
    let directory: LogDirectory
    do throws(LogError) { directory = try LogDirectory(storage) } catch { throw .log(error) }
    // why: a proof holds or not, whoever wrote what it was made from; the tree it leads to is the header's.
    var source = ProofSource(directory)
    let proof = try? TreeProof.consistency(from: checkpoint.size, to: resumed.size) { node throws(ProofSource.Missing) in
      try source.node(node)
    }
    if let proof,
      TreeProof.isConsistent(
        old: checkpoint.size, oldRoot: checkpoint.root, new: resumed.size, newRoot: resumed.root, proof: proof)
    {
      return true
    }
    return try readingAll(storage, checkpoint)
  }

  private func readingAll(_ storage: any LogStorage, _ checkpoint: Checkpoint) throws(HeadFault) -> Bool {
    do throws(LogError) {
      var reader = try LogReader(storage)
      let roots = RootsAtSizes([checkpoint.size])
      reader.watch(from: roots.first(from: 0), by: roots)
      _ = try reader.readAvailable { _ in }
      return roots.found[checkpoint.size] == checkpoint.root
    } catch { throw .log(error) }
  }
}

extension HeadFault {
  /// What is wrong and how to mend it.
  package var sentence: String {
    switch self {
    case .unusable(.storage(let failure)):
      "The signed heads at \(failure.path) cannot be read (\(failure.reason)): check path, permissions and disk."
    case .unusable(.otherKey(let file)):
      "The log's heads in '\(file)' were signed by another key: name the key that goes with this log, or move 'head' and 'heads' to a place where they are kept."
    case .unusable(.damaged(let file)):
      "The log's file '\(file)' is not as it was written, and holds no head under the key: keep it, and restore it from a backup of the same time."
    case .beyondLog(let size, let entries, let file):
      "The log has \(entries) entries, and a head in '\(file)' was signed over \(size): entries \(entries) to \(size - 1) were cut off, or an old copy of the log was put back. Keep the files, restore the newest log."
    case .laterEpoch(let epoch, let newest, let file):
      "The log's newest epoch is \(newest), and a head in '\(file)' was signed in epoch \(epoch): an old copy of the log was put back. Keep the files, restore the newest log."
    case .differs(let size, let file):
      "The log's first \(size) entries are not those that a head in '\(file)' was signed over: the log was rewritten. Keep the files, restore the log as it was."
    case .log(let error): "The log cannot be read to check its heads: \(error)"
    }
  }
}
