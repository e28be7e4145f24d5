package import ChatelaineVocabulary

/// Where the log holds a call's entry, as replies carry it: the last field, of fixed size, so that a reply is
/// complete but for these bytes while it waits for the log.
package struct WireReceipt: Equatable, Sendable {
  package let logID: Identifier
  package let epoch: UInt32
  package let sequence: UInt64
  package let leafHash: Digest

  package init(logID: Identifier, epoch: UInt32, sequence: UInt64, leafHash: Digest) {
    self.logID = logID
    self.epoch = epoch
    self.sequence = sequence
    self.leafHash = leafHash
  }

  /// The message, every field written.
  package static let byteCount = 66
  /// The message as field 15.
  package static let fieldByteCount = 2 + byteCount
  package static let fieldNumber = 15

  package func append(to output: inout OutputRawSpan) {
    Protobuf.append(field: Self.fieldNumber, byteCount: Self.byteCount, to: &output)
    Protobuf.append(field: 1, byteCount: 16, to: &output)
    output.append(logID)
    Protobuf.append(varint: 2 << 3 | 5, to: &output)
    output.append(bigEndian: epoch.byteSwapped)
    Protobuf.append(varint: 3 << 3 | 1, to: &output)
    output.append(bigEndian: sequence.byteSwapped)
    Protobuf.append(field: 4, byteCount: 32, to: &output)
    output.append(leafHash)
  }

  /// Parses a receipt; one that names no log or no entry is none.
  package init(_ bytes: Span<UInt8>, in range: Range<Int>) throws(MalformedBytes) {
    var (logID, epoch, sequence, leafHash): (Identifier?, UInt32, UInt64, Digest?) = (nil, 0, 0, nil)
    var reader = ProtobufReader(range)
    while let field = try reader.next(bytes) {
      switch (field.number, field.value) {
      case (1, .bytes(let range)):
        var cursor = ByteCursor(at: range.lowerBound)
        guard range.count == Identifier.byteCount else { throw MalformedBytes() }
        logID = try cursor.identifier(bytes)
      case (2, .fixed32(let value)): epoch = value
      case (3, .fixed64(let value)): sequence = value
      case (4, .bytes(let range)):
        var cursor = ByteCursor(at: range.lowerBound)
        guard range.count == Digest.byteCount else { throw MalformedBytes() }
        leafHash = try cursor.digest(bytes)
      default: break
      }
    }
    guard let logID, let leafHash else { throw MalformedBytes() }
    self.init(logID: logID, epoch: epoch, sequence: sequence, leafHash: leafHash)
  }
}
