package import ChatelaineVocabulary

/// What a proof, or a kept head, turned out to be.
package enum EvidenceVerdict: Equatable, Sendable {
  case valid
  /// Something in it is not as it was made.
  case tampered(String)
  /// It ends too early, or the log does.
  case truncated(String)
  /// Two heads that no one log can have, both under the key.
  case forked(String)
  /// The key that was given did not sign it.
  case wrongKey
  /// Witnesses that were asked for did not cosign the head.
  case unwitnessed(String)
  case unsupported
  case nothing
}

/// A proof of either kind.
package enum Proof: Equatable, Sendable {
  case entry(EntryProof)
  case consistency(ConsistencyProof)

  package init(parsing file: [UInt8]) throws(ProofMalformed) {
    let title = ConsistencyProof.title.utf8
    // why: one that was cut within its first line is still one.
    if file.starts(with: title.dropLast()) || (!file.isEmpty && title.starts(with: file)) {
      self = .consistency(try ConsistencyProof(parsing: file))
    } else {
      self = .entry(try EntryProof(parsing: file))
    }
  }

  /// Checks everything with nothing but the key. `leaf` is the entry's hash as whoever checks knows it: needed where
  /// the proof has no entry, and compared where it has one.
  package func verdict(of key: NoteKey, leaf: Digest? = nil) -> EvidenceVerdict {
    switch self {
    case .entry(let proof): proof.verdict(of: key, leaf: leaf)
    case .consistency(let proof): proof.verdict(of: key)
    }
  }
}

extension ProofMalformed {
  package var verdict: EvidenceVerdict {
    switch self {
    case .empty: .nothing
    case .version: .unsupported
    case .truncated: .truncated("the file ends before it is whole")
    case .tooLong: .tampered("the file is longer than any proof")
    case .line(let number): .tampered("line \(number) is not what stands there in a proof")
    case .head(let error): .tampered("the signed head: \(error.words)")
    }
  }
}

extension SignedHead {
  /// nil where the key's signature holds.
  package func fault(under key: NoteKey, called name: String) -> EvidenceVerdict? {
    switch verdict(of: key) {
    case .valid: nil
    case .otherKey: .wrongKey
    case .invalid: .tampered("the signature of \(name) does not hold")
    }
  }
}

extension EntryProof {
  func verdict(of key: NoteKey, leaf: Digest?) -> EvidenceVerdict {
    if let fault = head.fault(under: key, called: "the head") { return fault }
    guard let hash = entry.map({ AuditEntry.leafHash($0.span) }) ?? leaf else {
      return .tampered("the proof has no entry in it: give the hash of its leaf")
    }
    guard leaf == nil || leaf == hash else { return .tampered("the entry has another leaf hash than the one given") }
    let (size, root) = (head.checkpoint.size, head.checkpoint.root)
    guard TreeProof.isIncluded(leaf: hash, index: index, size: size, root: root, proof: hashes) else {
      return .tampered("entry \(index) and the hashes do not lead to the signed root")
    }
    guard let entry else { return .valid }
    guard let parsed = try? AuditEntry(parsing: entry.span), parsed.sequence == index else {
      return .tampered("what is in the log at \(index) is no entry of that number")
    }
    return .valid
  }
}

extension ConsistencyProof {
  fileprivate func verdict(of key: NoteKey) -> EvidenceVerdict {
    if let fault = old.fault(under: key, called: "the older head") { return fault }
    if let fault = new.fault(under: key, called: "the newer head") { return fault }
    let (old, new) = (old.checkpoint, new.checkpoint)
    guard old.size <= new.size else { return .tampered("the heads are not in order") }
    if old.size == new.size, old.root != new.root {
      return .forked("two heads of size \(old.size) have different roots")
    }
    let holds = TreeProof.isConsistent(
      old: old.size, oldRoot: old.root, new: new.size, newRoot: new.root, proof: hashes)
    return holds ? .valid : .tampered("the hashes do not lead from the one signed root to the other")
  }
}
