/// The first thing that is wrong with a log, and where.
package struct LogFault: Error, Equatable, Sendable {
  package enum Kind: Equatable, Sendable {
    case epochDescriptor
    /// An epoch that does not go on from the one before it, as its descriptor or its first entry says.
    case epochLink
    /// Files of an epoch without a descriptor.
    case epochStray
    case missingSegment
    case headerPage
    /// The header page is whole but says another log, epoch, number, sequence, link or root than the chain.
    case headerState
    case headerLink
    case fileSize
    case frameHeader
    case frameNumber
    case frameSequence
    case frameCount
    case frameLength
    case trailer
    case padding
    case entry(EntryFault)
    case entryLength
    case entrySequence
    /// The entry's hash is not the one that its successor or its frame names.
    case entryChanged
    case entryLink
    case sealTree
    case sealFileHash
    case afterSeal
    case notSealed
    /// A whole frame of a kind that the format keeps for later versions.
    case unsupportedFrame(Frame.Kind)
    /// The file ends, or its frames, before a frame or head that exists elsewhere.
    case behindKnownHead
    /// Bytes that are not zero beyond any frame that can have been in flight.
    case bytesBeyondTear
    /// A whole frame behind a damaged one.
    case frameBehindDamage
  }

  package let kind: Kind
  package let segment: UInt64
  /// Byte offset in the segment's file.
  package let offset: UInt64
  /// The first sequence that is not as it was written, where one can be named.
  package let sequence: UInt64?

  package init(_ kind: Kind, segment: UInt64, offset: UInt64, sequence: UInt64?) {
    self.kind = kind
    self.segment = segment
    self.offset = offset
    self.sequence = sequence
  }

  /// One English sentence for an operator.
  package var sentence: String {
    let place = sequence.map { "entry \($0): " } ?? ""
    return "\(place)\(kind.sentence)"
  }
}

extension LogFault.Kind {
  fileprivate var sentence: String {
    switch self {
    case .epochDescriptor: "the epoch descriptor is missing or not well formed"
    case .epochLink: "the epoch does not go on from the one before it"
    case .epochStray: "there are segments of an epoch that has no descriptor: it was removed, or somebody put them there"
    case .missingSegment: "a segment file is missing"
    case .headerPage: "the segment's header page is damaged"
    case .headerState: "the segment's header does not continue the segment before it"
    case .headerLink: "the segment's header does not name the header page before it"
    case .fileSize: "the segment file is shorter or longer than it was made"
    case .frameHeader: "the frame's header is damaged"
    case .frameNumber: "the frame's number is not the next one"
    case .frameSequence: "the frame does not begin with the next sequence"
    case .frameCount: "the frame's count of entries is out of bounds or wrong"
    case .frameLength: "the frame is longer than the segment allows"
    case .trailer: "the frame's trailer does not match its content"
    case .padding: "bytes behind the frame are not zero"
    case .entry(let fault): "the entry is not well formed (\(fault.words))"
    case .entryLength: "the entry's length is wrong"
    case .entrySequence: "the entry's sequence is not the next one"
    case .entryChanged: "the entry was changed: its hash is not the one its successor names"
    case .entryLink: "the entry does not name the hash of the entry before it"
    case .sealTree: "the seal names another tree than the entries make"
    case .sealFileHash: "the seal names another file hash than the file has"
    case .afterSeal: "bytes behind the seal are not zero"
    case .notSealed: "the segment has a successor but no seal"
    case .unsupportedFrame(let kind):
      "the frame is of kind \(kind.rawValue) (\(kind.words)), which this version does not read"
    case .behindKnownHead: "the log ends before a head that is known from elsewhere: it was cut or rolled back"
    case .bytesBeyondTear: "there are bytes beyond what an interrupted write can leave"
    case .frameBehindDamage: "a damaged place is followed by a whole frame"
    }
  }
}

extension Frame.Kind {
  fileprivate var words: String {
    switch self {
    case .entries: "entries"
    case .signedNote: "signed note"
    case .seal: "seal"
    case .purged: "purged entries"
    }
  }
}

extension EntryFault {
  fileprivate var words: String {
    switch self {
    case .length: "it is shorter than its fields say, or longer"
    case .version: "its version is not 1"
    case .entryClass: "its class is unknown"
    case .itemCount: "it has too many items"
    case .tenant: "its tenant is no tenant id"
    case .keyName: "its key name is none"
    case .principal: "its principal is too long"
    case .subjectDigest: "its subject digest is neither 0 nor 16 bytes"
    case .detail: "its detail breaks the rules"
    }
  }
}
