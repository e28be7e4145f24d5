internal import ChatelainePrimitives
package import ChatelaineVocabulary

/// What one durable write adds to a segment: a header, a body, a trailer, zeros to the alignment.
///
///      0 4 "CHF1"  4 1 kind  5 3 zero  8 8 frame no  16 8 first seq  24 4 count  28 4 body length
///     32 16 process nonce  48 body  then 32 trailer
package enum Frame {
  package static let headerByteCount = 48
  package static let trailerByteCount = 32
  package static let overheadByteCount = headerByteCount + trailerByteCount
  package static let sealBodyByteCount = 80
  static let magic = Array("CHF1".utf8)

  package enum Kind: UInt8, Sendable {
    case entries = 1
    case signedNote = 2
    case seal = 3
    case purged = 4
  }

  package struct Header: Equatable, Sendable {
    package var kind: Kind
    package var number: UInt64
    package var firstSequence: UInt64
    package var count: Int
    package var bodyByteCount: Int
    package var processNonce: Identifier

    /// Header, body, trailer and the zeros behind.
    package func paddedByteCount(alignment: Int) -> Int {
      (Frame.overheadByteCount + bodyByteCount + alignment - 1) / alignment * alignment
    }
  }

  /// What a seal says of its segment.
  package struct Seal: Equatable, Sendable {
    package var lastSequence: UInt64
    package var treeSize: UInt64
    package var treeRoot: Digest
    /// SHA-256 of the file from its first byte to the seal's.
    package var fileHash: Digest

    package init(lastSequence: UInt64, treeSize: UInt64, treeRoot: Digest, fileHash: Digest) {
      self.lastSequence = lastSequence
      self.treeSize = treeSize
      self.treeRoot = treeRoot
      self.fileHash = fileHash
    }
  }

  package static func parseHeader(_ bytes: Span<UInt8>) -> Header? {
    guard bytes.count >= headerByteCount, bytes.extracting(0..<4).equals(magic), bytes.extracting(5..<8).isZero,
      let kind = Kind(rawValue: bytes[4])
    else { return nil }
    var cursor = ByteCursor(at: 8)
    guard let number = try? cursor.u64(bytes), let firstSequence = try? cursor.u64(bytes),
      let count = try? cursor.u32(bytes), let body = try? cursor.u32(bytes),
      let nonce = try? cursor.identifier(bytes)
    else { return nil }
    return Header(
      kind: kind, number: number, firstSequence: firstSequence, count: Int(count), bodyByteCount: Int(body),
      processNonce: nonce)
  }

  static func encode(_ header: Header, into writer: inout ByteWriter) {
    writer.raw(magic)
    writer.u8(header.kind.rawValue)
    writer.zeros(3)
    writer.u64(header.number)
    writer.u64(header.firstSequence)
    writer.u32(UInt32(header.count))
    writer.u32(UInt32(header.bodyByteCount))
    writer.identifier(header.processNonce)
  }

  /// A whole seal frame, padded.
  package static func encodeSeal(
    _ seal: Seal, number: UInt64, processNonce: Identifier, alignment: Int
  ) -> [UInt8] {
    let header = Header(
      kind: .seal, number: number, firstSequence: seal.lastSequence &+ 1, count: 0, bodyByteCount: sealBodyByteCount,
      processNonce: processNonce)
    var writer = ByteWriter(capacity: header.paddedByteCount(alignment: alignment))
    encode(header, into: &writer)
    writer.u64(seal.lastSequence)
    writer.u64(seal.treeSize)
    writer.digest(seal.treeRoot)
    writer.digest(seal.fileHash)
    writer.digest(trailer(writer.bytes.span.extracting(0..<headerByteCount), writer.bytes.span.extracting(headerByteCount...)))
    writer.zeros(header.paddedByteCount(alignment: alignment) - writer.bytes.count)
    return writer.bytes
  }

  static func parseSeal(_ body: Span<UInt8>) -> Seal? {
    var cursor = ByteCursor()
    guard body.count == sealBodyByteCount, let last = try? cursor.u64(body), let size = try? cursor.u64(body),
      let root = try? cursor.digest(body), let hash = try? cursor.digest(body)
    else { return nil }
    return Seal(lastSequence: last, treeSize: size, treeRoot: root, fileHash: hash)
  }

  /// `SHA-256(0x02 ‖ header ‖ last leaf hash)` for entries, `SHA-256(0x02 ‖ header ‖ body)` for the rest.
  static func trailer(_ header: Span<UInt8>, _ covered: Span<UInt8>) -> Digest {
    var hash = SHA256()
    hash.update([2])
    hash.update(header)
    hash.update(covered)
    return hash.finish()
  }

  /// Whether `bytes` begin with a frame that is whole in itself, whatever stands before it (FRAME-1 to
  /// FRAME-6): what recovery looks for behind a damaged place.
  package static func selfContained(_ bytes: Span<UInt8>, alignment: Int, frameBytesMax: Int) -> Header? {
    guard let header = parseHeader(bytes), isPossible(header) else { return nil }
    let padded = header.paddedByteCount(alignment: alignment)
    guard padded <= min(frameBytesMax, bytes.count),
      bytes.extracting((overheadByteCount + header.bodyByteCount)..<padded).isZero
    else { return nil }
    let body = bytes.extracting(headerByteCount..<headerByteCount + header.bodyByteCount)
    let head = bytes.extracting(0..<headerByteCount)
    let end = headerByteCount + header.bodyByteCount
    let stored = Digest(bytes.extracting(end..<end + trailerByteCount))
    guard header.kind == .entries else { return trailer(head, body) == stored ? header : nil }
    guard let leaf = lastLeaf(of: body, header) else { return nil }
    return trailer(head, leaf.bytes.span) == stored ? header : nil
  }

  /// Whether count and body length can be those of the kind.
  private static func isPossible(_ header: Header) -> Bool {
    switch header.kind {
    case .entries: (1...Limits.frameEntriesMax).contains(header.count)
    case .signedNote: header.count == 0
    case .seal: header.count == 0 && header.bodyByteCount == sealBodyByteCount
    case .purged:
      (1...Limits.frameEntriesMax).contains(header.count) && header.bodyByteCount == header.count * Digest.byteCount
    }
  }

  /// The leaf hash of the last entry, or nil where the entries are not a chain of their own.
  private static func lastLeaf(of body: Span<UInt8>, _ header: Header) -> Digest? {
    var cursor = ByteCursor()
    var last: Digest?
    for index in 0..<header.count {
      guard let length = try? cursor.u32(body), let range = try? cursor.range(Int(length), body) else { return nil }
      let entry = body.extracting(range)
      var fields = ByteCursor(at: 8)
      guard (try? AuditEntry.validate(entry)) != nil,
        let sequence = try? fields.u64(entry), sequence == header.firstSequence &+ UInt64(index),
        let previous = try? fields.digest(entry), last == nil || last == previous
      else { return nil }
      last = AuditEntry.leafHash(entry)
    }
    return cursor.offset == body.count ? last : nil
  }
}
