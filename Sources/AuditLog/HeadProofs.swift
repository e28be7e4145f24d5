package import ChatelaineAuditTrail
package import ChatelaineVocabulary

/// Why a running log gives no proof now.
package enum ProofFault: Error, Equatable, Sendable {
  /// The newest published head, of so many entries, does not cover the entry; the next one is due then.
  case notCovered(size: UInt64, milliseconds: UInt32)
  /// No head is published yet; a start publishes one at once.
  case noHead
  /// The log's files do not lead to the signed root, or `nodes` is being made.
  case unmade
}

/// The newest published head, and what shows that the log of so many entries is the beginning of its log.
package struct PublishedHead: Equatable, Sendable {
  package let head: SignedHead
  /// RFC 6962 §2.1.2; none where nobody asked, and where the log is not longer than what was asked for.
  package let consistency: [Digest]
}

/// Proofs from the files of a log that is being written: each reads at most two blocks of 256 entries, and checks what
/// it made against the signed root.
extension HeadKeeper {
  /// Blocks: for a thread that may.
  package func newest(from size: UInt64?) throws(ProofFault) -> PublishedHead {
    guard let head = now.published else { throw .noHead }
    guard let size, size < head.checkpoint.size else { return PublishedHead(head: head, consistency: []) }
    let hashes = try make { (source) throws(ProofSource.Missing) in
      // why: only whoever has the older root can see whether it holds; this side sees the new one's.
      try TreeProof.consistency(from: size, to: head.checkpoint.size) { node throws(ProofSource.Missing) in
        try source.node(node)
      }
    }
    return PublishedHead(head: head, consistency: hashes)
  }

  /// That an entry is in the log of the newest published head, without the entry where nothing else is said. Blocks.
  package func proof(of sequence: UInt64, withEntry: Bool = false) throws(ProofFault) -> EntryProof {
    guard let head = now.published else { throw .noHead }
    let (size, root) = (head.checkpoint.size, head.checkpoint.root)
    guard sequence < size else { throw .notCovered(size: size, milliseconds: millisecondsToNext) }
    let (entry, hashes) = try make { (source) throws(ProofSource.Missing) in
      let entry = try source.entry(sequence)
      let hashes = try TreeProof.inclusion(of: sequence, in: size) { node throws(ProofSource.Missing) in
        try source.node(node)
      }
      return (entry, hashes)
    }
    guard TreeProof.isIncluded(leaf: AuditEntry.leafHash(entry.span), index: sequence, size: size, root: root, proof: hashes) else {
      throw .unmade
    }
    return EntryProof(entry: withEntry ? entry : nil, index: sequence, hashes: hashes, head: head)
  }

  private func make<Made>(
    _ make: (inout ProofSource) throws(ProofSource.Missing) -> Made
  ) throws(ProofFault) -> Made {
    guard let directory = try? LogDirectory(storage) else { throw .unmade }
    var source = ProofSource(directory)
    do throws(ProofSource.Missing) { return try make(&source) } catch { throw .unmade }
  }
}
