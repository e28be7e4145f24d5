package import ChatelaineVocabulary

/// The methods of `chatelaine.v1.KeyService` that use no key: what they give is about the log.
package enum ProofMethod: String, CaseIterable, Sendable {
  case getHead = "GetHead"
  case proveEntry = "ProveEntry"

  package init?(_ name: Span<UInt8>) {
    guard let match = Self.allCases.first(where: { name.equals($0.bytes) }) else { return nil }
    self = match
  }

  package var bytes: [UInt8] { Array(rawValue.utf8) }
}

/// A question about the log, as the data door takes it.
package enum ProofCall: Equatable, Sendable {
  /// The newest published head, and what shows that the log grew from so many entries; nil: the head alone.
  case head(from: UInt64?)
  case entry(sequence: UInt64)

  /// Parses the message of `method` in `range`: both have one number, field 1.
  package init(_ method: ProofMethod, _ bytes: Span<UInt8>, in range: Range<Int>) throws(CallFault) {
    var number: UInt64?
    var reader = ProtobufReader(range)
    var fault: CallFault?
    do throws(MalformedBytes) {
      while fault == nil, let field = try reader.next(bytes) {
        guard field.number == 1 else {
          fault = .unknownField(field.number)
          continue
        }
        if number != nil { fault = .duplicateField(1) }
        number = try field.varint()
      }
    } catch { throw .malformed }
    if let fault { throw fault }
    switch method {
    // why: a log of no entries is the beginning of any.
    case .getHead: self = .head(from: number == 0 ? nil : number)
    case .proveEntry: self = .entry(sequence: number ?? 0)
    }
  }

  package var method: ProofMethod {
    switch self {
    case .head: .getHead
    case .entry: .proveEntry
    }
  }

  private var number: UInt64 {
    switch self {
    case .head(let size): size ?? 0
    case .entry(let sequence): sequence
    }
  }

  package var byteCount: Int { 1 + Protobuf.varintByteCount(number) }

  package func append(to output: inout OutputRawSpan) { Protobuf.append(field: 1, varint: number, to: &output) }
}

/// What is answered: one field of bytes, and for a head the hashes of a consistency proof.
package struct ProofReply: Equatable, Sendable {
  /// A signed note, or a tlog-proof.
  package let bytes: [UInt8]
  package let hashes: [Digest]

  package init(_ bytes: [UInt8], hashes: [Digest] = []) {
    self.bytes = bytes
    self.hashes = hashes
  }

  /// The longest that is read: a proof's own bound.
  package static let byteCountMax = 262_144
  package static let hashesMax = 65

  package var byteCount: Int {
    Protobuf.fieldByteCount(1, bytes.count) + hashes.count * Protobuf.fieldByteCount(2, Digest.byteCount)
  }

  package func append(to output: inout OutputRawSpan) {
    let bytes = self.bytes
    Protobuf.append(field: 1, bytes.span, to: &output)
    for hash in hashes {
      Protobuf.append(field: 2, byteCount: Digest.byteCount, to: &output)
      output.append(hash)
    }
  }

  /// Parses a reply; fields of a later service are passed over.
  package init(_ bytes: Span<UInt8>, in range: Range<Int>) throws(MalformedBytes) {
    var (first, hashes): ([UInt8]?, [Digest]) = (nil, [])
    var reader = ProtobufReader(range)
    while let field = try reader.next(bytes) {
      switch field.number {
      case 1:
        let value = try field.bytes()
        guard value.count <= Self.byteCountMax else { throw MalformedBytes() }
        first = bytes.extracting(value).copied()
      case 2:
        let value = try field.bytes()
        guard value.count == Digest.byteCount, hashes.count < Self.hashesMax else { throw MalformedBytes() }
        var cursor = ByteCursor(at: value.lowerBound)
        hashes.append(try cursor.digest(bytes))
      default: break
      }
    }
    guard let first, !first.isEmpty else { throw MalformedBytes() }
    self.init(first, hashes: hashes)
  }
}
