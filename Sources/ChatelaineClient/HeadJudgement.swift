internal import ChatelaineAuditTrail
internal import ChatelaineWire

/// What a head that the service gave is, beside the one that was kept.
enum HeadJudgement: Equatable {
  case same
  /// It holds under the key, and leads on from the kept one.
  case newer(SignedHead)
  /// The head is there where it holds under the key.
  case alarm(LogAlarm, SignedHead?)

  init(of reply: ProofReply, kept bytes: [UInt8]?, under key: NoteKey) {
    var kept: SignedHead?
    if let bytes {
      guard let head = Self.head(bytes), head.isSigned(byWhoever: key) else {
        self = .alarm(LogAlarm(.keptHead, bytes, reply.bytes), nil)
        return
      }
      kept = head
    }
    guard let found = Self.head(reply.bytes), found.isSigned(byWhoever: key) else {
      self = .alarm(LogAlarm(.notSigned, bytes, reply.bytes), nil)
      return
    }
    self = Self.judge(found, reply, kept, bytes, key)
  }

  private static func judge(
    _ found: SignedHead, _ reply: ProofReply, _ kept: SignedHead?, _ bytes: [UInt8]?, _ key: NoteKey
  ) -> HeadJudgement {
    let isOfKey = found.verdict(of: key) == .valid
    guard let kept else {
      return isOfKey ? .newer(found) : .alarm(LogAlarm(.otherEpoch, nil, reply.bytes), nil)
    }
    let (old, new) = (kept.checkpoint, found.checkpoint)
    guard isOfKey, old.origin.utf8.elementsEqual(new.origin.utf8) else {
      let alarm = LogAlarm(.otherEpoch, bytes, reply.bytes, missing: min(new.size, old.size)..<old.size)
      return .alarm(alarm, isOfKey ? found : nil)
    }
    guard old.size <= new.size else {
      return .alarm(LogAlarm(.shorter, bytes, reply.bytes, missing: new.size..<old.size), found)
    }
    if old.size == new.size, old.root == new.root { return .same }
    let proof = Proof.consistency(ConsistencyProof(hashes: reply.hashes, old: kept, new: found))
    return proof.verdict(of: key) == .valid ? .newer(found) : .alarm(LogAlarm(.forked, bytes, reply.bytes), found)
  }

  /// Of which log and epoch a proof says it is.
  static func origin(ofProof bytes: [UInt8]) -> String? {
    guard let proof = try? Proof(parsing: bytes), case .entry(let entry) = proof else { return nil }
    return entry.head.checkpoint.origin
  }

  static func head(_ bytes: [UInt8]) -> SignedHead? { try? SignedHead(parsing: bytes.span) }
}

extension SignedHead {
  /// Whether the key, under the name of any epoch of its log, signed it.
  fileprivate func isSigned(byWhoever key: NoteKey) -> Bool {
    func log(_ origin: String) -> Substring? { origin.lastIndex(of: "/").map { origin[..<$0] } }
    guard let mine = log(key.name), let its = log(checkpoint.origin), mine.utf8.elementsEqual(its.utf8),
      UInt32(checkpoint.origin.dropFirst(its.count + 1)) != nil
    else { return false }
    return verdict(of: NoteKey(name: checkpoint.origin, publicKey: key.publicKey)) == .valid
  }
}

extension LogAlarm {
  init(_ kind: Kind, _ kept: [UInt8]?, _ found: [UInt8]?, missing: Range<UInt64>? = nil) {
    let sentence =
      switch kind {
      case .shorter: "The log has fewer entries than a head that was kept: it was cut, or an older copy was put back."
      case .forked: "The log is not the one of the head that was kept: it was written anew, or there are two."
      case .otherEpoch: "The log is in another epoch than the key or the kept head: ask its operator what was lost, and for the epoch's key."
      case .notSigned: "The service gives no head of its log that holds under the key."
      case .keptHead: "The head that was kept does not hold under the key: look at who can write there."
      case .receipt: "The log has another entry in the place that a receipt names: it was written anew."
      }
    self.init(kind: kind, kept: kept, found: found, missing: missing, sentence: sentence)
  }
}
