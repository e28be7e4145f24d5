internal import ChatelaineVocabulary

extension ChainVerifier {
  /// The lowest sequence that nothing confirms, in bytes where the next frame should stand and does not.
  ///
  /// An entry is confirmed by `prev` of the next one, or by the trailer if it is the frame's last. Looks
  /// only at what is needed for that: lengths, links, and whether each entry is one.
  package func firstUnconfirmed(_ bytes: Span<UInt8>) -> UInt64 {
    guard bytes.count >= Frame.headerByteCount, bytes.extracting(0..<4).equals(Frame.magic),
      bytes[4] == Frame.Kind.entries.rawValue, Self.u64(bytes, at: 8) == nextFrame,
      Self.u64(bytes, at: 16) == nextSequence
    else { return nextSequence }
    let count = Self.u64(bytes, at: 20) & 0xffff_ffff
    var cursor = ByteCursor(at: Frame.headerByteCount)
    var previous = previousLeaf
    for sequence in nextSequence..<nextSequence + count {
      let length = Int((try? cursor.u32(bytes)) ?? 0)
      var link = ByteCursor(at: cursor.offset + 16)
      guard (try? link.digest(bytes)) == previous else { return max(nextSequence, max(sequence, 1) - 1) }
      guard let range = try? cursor.range(length, bytes) else { return sequence }
      let entry = bytes.extracting(range)
      guard (try? AuditEntry.validate(entry)) != nil, Self.u64(entry, at: 8) == sequence else { return sequence }
      previous = AuditEntry.leafHash(entry)
    }
    let trailer = Frame.trailer(bytes.extracting(0..<Frame.headerByteCount), previous.bytes.span)
    let isConfirmed = (try? cursor.digest(bytes)) == trailer
    return isConfirmed || count == 0 ? nextSequence : nextSequence + count - 1
  }

  private static func u64(_ bytes: Span<UInt8>, at offset: Int) -> UInt64 {
    var cursor = ByteCursor(at: offset)
    return (try? cursor.u64(bytes)) ?? 0
  }
}
