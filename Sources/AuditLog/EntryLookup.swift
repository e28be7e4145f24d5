internal import ChatelaineAuditTrail
package import ChatelaineVocabulary

extension LogDirectory {
  /// The leaf hash of one entry, found by the headers of segments and frames; nil where no such entry is found.
  ///
  /// Checks nothing on its way: for a caller that knows the hash the entry must have.
  package func leafHash(of sequence: UInt64) throws(LogError) -> Digest? {
    do throws(StorageFailure) {
      var number = segmentCount - 1
      while number >= 0 {
        let file = try storage.open(LogNames.segment(epoch: epoch.epoch, UInt64(number)), forWriting: false)
        let page = try file.read(at: 0, count: SegmentHeader.byteCount)
        guard let header = try? SegmentHeader(parsing: page.span) else { return nil }
        if header.firstSequence <= sequence { return try Self.leafHash(of: sequence, in: file, header) }
        number -= 1
      }
      return nil
    } catch { throw .storage(error) }
  }

  private static func leafHash(
    of sequence: UInt64, in file: any LogFile, _ segment: SegmentHeader
  ) throws(StorageFailure) -> Digest? {
    var offset = UInt64(SegmentHeader.byteCount)
    while true {
      let head = try file.read(at: offset, count: Frame.headerByteCount)
      guard let frame = Frame.parseHeader(head.span), frame.bodyByteCount <= segment.frameBytesMax else { return nil }
      let end = frame.firstSequence.addingReportingOverflow(UInt64(frame.count))
      if frame.kind == .entries, !end.overflow, (frame.firstSequence..<end.partialValue).contains(sequence) {
        let body = try file.read(at: offset + UInt64(Frame.headerByteCount), count: frame.bodyByteCount)
        return leafHash(ofEntry: sequence - frame.firstSequence, in: body.span)
      }
      offset += UInt64(frame.paddedByteCount(alignment: segment.alignment))
    }
  }

  private static func leafHash(ofEntry index: UInt64, in body: Span<UInt8>) -> Digest? {
    var cursor = ByteCursor()
    var left = index
    while let count = try? cursor.u32(body), let range = try? cursor.range(Int(count), body) {
      if left == 0 { return AuditEntry.leafHash(body.extracting(range)) }
      left -= 1
    }
    return nil
  }
}
