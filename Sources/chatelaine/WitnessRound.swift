internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineCustody
internal import ChatelaineExits
internal import ChatelaineOutside
internal import ChatelaineVocabulary
internal import Glibc

/// What came of asking a witness for its cosignature.
enum WitnessOutcome {
  case cosigned(seconds: UInt64)
  /// Nothing wrong with the log: the witness was not reached, or did not do its part.
  case failed(String)
  /// The log is not the one that the witness cosigned.
  case alarm(EvidenceVerdict)
}

/// A witness that is asked, and where.
struct AskedWitness {
  let key: WitnessKey
  let address: WebAddress
}

/// One head, submitted to witnesses one after the other (C2SP tlog-witness).
struct WitnessRound {
  /// Sizes that a witness may name in a row: each is asked for anew.
  private static let conflictsMax = 3
  /// How far a witness's clock may be ahead.
  private static let secondsAheadMax: UInt64 = 300

  let head: SignedHead
  let storage: FileStorage
  let epoch: EpochDescriptor
  let log: LogOption
  let folder: WitnessFolder
  let trust: String?
  let timeoutSeconds: Int

  func ask(_ witness: AskedWitness) throws -> WitnessOutcome {
    let state = try folder.state(of: witness.key)
    if let state, let verdict = try contradiction(of: state, "it") { return .alarm(verdict) }
    var old = state?.checkpoint.size ?? 0
    for _ in 0..<Self.conflictsMax {
      let request = WitnessRequest(old: old, proof: try proof(from: old).hashes, head: head)
      let answer: WitnessAnswer
      do throws(OutsideError) { answer = try submit(request, to: witness) } catch { return .failed(error.words) }
      switch answer {
      case .cosigned(let cosigned, let seconds):
        guard seconds <= wallSeconds() + Self.secondsAheadMax else {
          return .failed("its cosignature is from the future by this machine's clock: one of the two clocks is wrong")
        }
        try folder.keep(cosigned, of: witness.key)
        return .cosigned(seconds: seconds)
      case .conflict(let size) where size == old || size > head.checkpoint.size:
        return conflict(size, old)
      case .conflict(let size): old = size
      case .inconsistent: return .alarm(Self.otherLog(old))
      default: return .failed(answer.words(origin: head.checkpoint.origin))
      }
    }
    return .failed("it named one other size after the other: somebody else submits heads of this log")
  }

  private func submit(_ request: WitnessRequest, to witness: AskedWitness) throws(OutsideError) -> WitnessAnswer {
    let post = HTTPRequest(
      "POST", witness.address, path: "/add-checkpoint", headers: [("Content-Type", "text/plain; charset=utf-8")],
      body: HTTPRequest.Body(request.encoded))
    let answer = try post.send(
      by: Deadline(seconds: timeoutSeconds), trust: trust, bodyBytesMax: WitnessAnswer.bodyBytesMax)
    return WitnessAnswer(
      status: answer.status, contentType: answer.contentType, body: answer.body, to: request, of: witness.key)
  }

  // MARK: What no one log can have

  /// What was cosigned before must be the beginning of what the log is now. `who` cosigned it.
  func contradiction(of state: SignedHead, _ who: String) throws -> EvidenceVerdict? {
    let (kept, now) = (state.checkpoint, head.checkpoint)
    guard kept.size <= now.size else {
      return .truncated(
        "\(who) cosigned \(kept.size) entries of this log, and its newest head has \(now.size): it was cut off, or an old copy was put back")
    }
    guard try proof(from: kept.size).root != kept.root else { return nil }
    return .forked("the log's first \(kept.size) entries are not those that \(who) cosigned: it was rewritten")
  }

  private func conflict(_ size: UInt64, _ asked: UInt64) -> WitnessOutcome {
    if size > head.checkpoint.size {
      return .alarm(
        .truncated(
          "it says that it cosigned \(size) entries of this log, and the newest head has \(head.checkpoint.size): the log was cut off or an old copy put back, or another log is signed under the same key"))
    }
    return size == head.checkpoint.size
      ? .alarm(Self.otherLog(size)) : .failed("it refuses the size that it names itself")
  }

  private static func otherLog(_ size: UInt64) -> EvidenceVerdict {
    .forked(
      "its log of \(size) entries is not the beginning of this one: the log was rewritten, or another is signed under the same key")
  }

  /// The root of the first `old` entries, and what shows that they begin those of the head.
  private func proof(from old: UInt64) throws -> (root: Digest, hashes: [Digest]) {
    let new = head.checkpoint
    return try log.make(storage, epoch) { (source) throws(ProofSource.Missing) -> (Digest, [Digest])? in
      let root = try TreeProof.root(size: old) { node throws(ProofSource.Missing) in try source.node(node) }
      let hashes = try TreeProof.consistency(from: old, to: new.size) { node throws(ProofSource.Missing) in
        try source.node(node)
      }
      let holds = TreeProof.isConsistent(old: old, oldRoot: root, new: new.size, newRoot: new.root, proof: hashes)
      return holds && hashes.count <= WitnessRequest.hashesMax ? (root, hashes) : nil
    }
  }
}

/// Seconds after 1970.
func wallSeconds() -> UInt64 { UInt64(max(0, time(nil))) }

extension WitnessAnswer {
  /// Why it is no cosignature, in words that follow the witness's name.
  func words(origin: String) -> String {
    switch self {
    case .unknownLog: "it does not know this log (404): have its operator add the origin \(printable(origin)) and its public key"
    case .otherKey: "it knows this log under another public key (403): give its operator the one that 'chatelaine signing-key show' prints"
    case .badCosignature: "its cosignature does not hold under its public key"
    case .noCosignature: "it answered without a cosignature of its own: is the public key in the policy this witness's?"
    case .later(let status): "it cannot answer now (\(status))"
    case .malformed(let status): "what it answered (\(status)) is no witness's answer: is the address its submission prefix?"
    case .cosigned, .conflict, .inconsistent: ""
    }
  }
}
