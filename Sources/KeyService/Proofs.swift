package import ChatelaineAuditLog
package import ChatelaineAuditTrail

/// What shows something of the log to whoever has the public key. It uses no key and names nobody, so it gets no entry:
/// one who asks learns leaf hashes, how many entries there are, and what the heads say.
///
/// Both read files: for a thread that may block.
extension KeyService {
  /// The newest published head, and what shows that a log of `size` entries is the beginning of its log.
  package func newestHead(from size: UInt64?) throws(ServiceError) -> PublishedHead {
    guard let heads else { throw .notSigned }
    do throws(ProofFault) { return try heads.newest(from: size) } catch { throw .proof(error) }
  }

  /// That an entry is in the log of the newest published head, without the entry.
  package func proof(of sequence: UInt64) throws(ServiceError) -> EntryProof {
    guard let heads else { throw .notSigned }
    do throws(ProofFault) { return try heads.proof(of: sequence) } catch { throw .proof(error) }
  }
}
