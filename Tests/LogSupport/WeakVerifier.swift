internal import ChatelaineAuditTrail
internal import ChatelaineVocabulary

/// What a verifier must not be (immudb's mistake): it takes the stored `prev` of each entry for the hash
/// of the one before, and never hashes an entry. It checks numbers, order and seals' sizes.
package enum WeakVerifier {
  package static func accepts(_ segments: [[UInt8]]) -> Bool {
    var nextFrame: UInt64 = 0
    var nextSequence: UInt64 = 0
    for bytes in segments {
      guard let header = try? SegmentHeader(parsing: bytes.span.extracting(0..<SegmentHeader.byteCount)),
        header.firstSequence == nextSequence
      else { return false }
      var offset = SegmentHeader.byteCount
      while offset < bytes.count, let frame = Frame.parseHeader(bytes.span.extracting(offset...)) {
        guard frame.number == nextFrame, frame.firstSequence == nextSequence else { return false }
        guard frame.kind != .entries || accepts(frame, bytes.span.extracting((offset + 48)...)) else {
          return false
        }
        nextFrame += 1
        nextSequence += UInt64(frame.count)
        offset += frame.paddedByteCount(alignment: header.alignment)
      }
    }
    return true
  }

  /// Each entry parses, has its number, and names some entry before it.
  private static func accepts(_ frame: Frame.Header, _ body: Span<UInt8>) -> Bool {
    var cursor = ByteCursor()
    for index in 0..<frame.count {
      guard let length = try? cursor.u32(body), let range = try? cursor.range(Int(length), body),
        let entry = try? AuditEntry(parsing: body.extracting(range)),
        entry.sequence == frame.firstSequence + UInt64(index), entry.previous != .zero
      else { return false }
    }
    return true
  }
}
