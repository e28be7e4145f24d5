package import ChatelaineVocabulary

/// What a witness is sent (C2SP tlog-witness, add-checkpoint): a head, and what shows that it leads on from the head of
/// `old` entries that the witness knows.
package struct WitnessRequest: Equatable, Sendable {
  package static let hashesMax = 63

  package let old: UInt64
  package let proof: [Digest]
  package let head: SignedHead

  /// `proof` is empty where `old` is 0 or the head's own size.
  package init(old: UInt64, proof: [Digest], head: SignedHead) {
    precondition(old <= head.checkpoint.size && proof.count <= Self.hashesMax)
    (self.old, self.proof, self.head) = (old, proof, head)
  }

  package var encoded: [UInt8] {
    let lines = ["old \(old)"] + proof.map { Base64.encode($0.bytes) } + ["", ""]
    return Array(lines.joined(separator: "\n").utf8) + head.note.encoded
  }
}

/// What a witness answers.
package enum WitnessAnswer: Equatable, Sendable {
  /// The head with the witness's cosignature, made so many seconds after 1970 by its clock.
  case cosigned(SignedHead, seconds: UInt64)
  /// It has cosigned a head of another size; where that is the size it was asked for, one of another root.
  case conflict(size: UInt64)
  /// Under the proof, its head is not the beginning of ours.
  case inconsistent
  /// It does not know the log by its origin.
  case unknownLog
  /// It knows the log under another key.
  case otherKey
  /// An answer with a cosignature that does not hold.
  case badCosignature
  /// 200, and none of its own cosignatures in it.
  case noCosignature
  /// Too many questions, or a fault on its side: try again.
  case later(status: Int)
  /// What no witness answers.
  case malformed(status: Int)

  package static let bodyBytesMax = 65_536
  static let sizeType = "text/x.tlog.size"

  /// `contentType` is the header's value, without what follows a semicolon.
  package init(status: Int, contentType: String, body: [UInt8], to request: WitnessRequest, of key: WitnessKey) {
    switch status {
    case 200: self = Self.cosignature(body, request.head, key)
    case 409:
      let size = body.last == UInt8(ascii: "\n") ? Checkpoint.number(Array(body.dropLast())) : nil
      self = size.flatMap { contentType == Self.sizeType ? .conflict(size: $0) : nil } ?? .malformed(status: status)
    case 422: self = .inconsistent
    case 404: self = .unknownLog
    case 403: self = .otherKey
    case 408, 425, 429, 500...599: self = .later(status: status)
    default: self = .malformed(status: status)
    }
  }

  private static func cosignature(_ body: [UInt8], _ head: SignedHead, _ key: WitnessKey) -> WitnessAnswer {
    guard let (note, said) = try? head.note.adding(answer: body, of: key) else { return .malformed(status: 200) }
    switch said {
    case .none: return .noCosignature
    case .invalid: return .badCosignature
    case .cosigned(let seconds): return .cosigned(SignedHead(head.checkpoint, note: note), seconds: seconds)
    }
  }
}

extension SignedHead {
  /// The same head with the cosignatures of `key` that another copy of it has; nil where the other is of another text.
  package func adding(cosignaturesOf key: WitnessKey, from other: SignedHead) -> SignedHead? {
    guard note.text == other.note.text else { return nil }
    let lines = other.note.signatures.map(\.line).joined()
    guard let (note, said) = try? note.adding(answer: Array(lines), of: key), case .cosigned = said else { return nil }
    return SignedHead(checkpoint, note: note)
  }
}
