package import ChatelaineAuditTrail
internal import ChatelaineVocabulary

/// What could not be done with a log.
package enum LogError: Error, Equatable, Sendable {
  case storage(StorageFailure)
  /// The directory holds no file of a log.
  case noLog(path: String)
  /// The bytes are not a log as it was written: never repaired, never guessed.
  case corrupt(LogFault, file: String)
  /// Well formed, and from here on of a version that this build does not read: not judged, never written to.
  case unsupported(LogFault, file: String)
}

/// Where the frames of a segment end, and what stands behind them.
package struct SegmentEnd: Equatable, Sendable {
  package enum Tail: Equatable, Sendable {
    /// Zeros only.
    case clean
    /// An interrupted write, from the end of the last frame for so many bytes; and why it is no frame.
    case torn(byteCount: UInt64, LogFault)
  }

  /// Offset behind the last whole frame.
  package let end: UInt64
  /// Offset of the last whole frame, nil where there is none.
  package let lastFrame: UInt64?
  package let tail: Tail
}

/// Feeds one segment to a verifier, frame by frame, and tells how it ends.
struct SegmentWalk {
  let name: String
  let number: UInt64
  private var file: WindowedFile
  /// Whether a later segment exists: then nothing may be torn here.
  var hasSuccessor: Bool
  /// nil where one thread reads.
  var ahead: ReadAhead?
  private var offset: UInt64 = 0
  private var lastFrame: UInt64?

  init(_ file: any LogFile, name: String, number: UInt64, hasSuccessor: Bool) throws(LogError) {
    do throws(StorageFailure) { self.file = try WindowedFile(file) } catch { throw .storage(error) }
    self.name = name
    self.number = number
    self.hasSuccessor = hasSuccessor
  }

  /// Goes on at an offset where a verifier stands, behind a writer: what lies further on may be on its way.
  init(_ file: any LogFile, name: String, number: UInt64, from offset: UInt64) throws(LogError) {
    do throws(StorageFailure) { self.file = try WindowedFile(file, windowBytes: 1 << 18) } catch { throw .storage(error) }
    self.name = name
    self.number = number
    self.offset = offset
    hasSuccessor = false
  }

  /// Reads the header page or the next frame, which must be there, and gives the offset behind it.
  mutating func step(
    _ verifier: inout ChainVerifier, visit: (Span<UInt8>) -> Void
  ) throws(LogError) -> UInt64 {
    guard offset > 0 else {
      try read(at: 0, count: SegmentHeader.byteCount) { (page) throws(LogFault) in try verifier.beginSegment(page) }
      offset = UInt64(SegmentHeader.byteCount)
      return offset
    }
    offset += UInt64(try frame(at: offset, &verifier, visit: visit))
    return offset
  }

  /// Looks at the file anew: a writer may have gone on.
  mutating func refresh() throws(LogError) {
    do throws(StorageFailure) { try file.refresh() } catch { throw .storage(error) }
  }

  /// Reads every whole frame from where the last run ended.
  mutating func run(
    _ verifier: inout ChainVerifier, visit: (Span<UInt8>) -> Void, progress: (UInt64) -> Void = { _ in }
  ) throws(LogError) -> SegmentEnd {
    if offset == 0 {
      try read(at: 0, count: SegmentHeader.byteCount) { (page) throws(LogFault) in
        try verifier.beginSegment(page)
      }
      offset = UInt64(SegmentHeader.byteCount)
    }
    var isSecondLook = false
    var (aheadFrom, calm) = (offset, UInt64(ahead?.pieceBytes ?? 0))
    while !verifier.isSealed {
      if let ahead, offset >= aheadFrom {
        readAhead(ahead, &verifier, visit: visit, progress: progress)
        // why: what several threads stopped at is for one to judge, and there may be much of it.
        (aheadFrom, calm) = (offset + calm, 2 * calm)
      }
      do throws(LogError) {
        let count = try frame(at: offset, &verifier, visit: visit)
        lastFrame = offset
        offset += UInt64(count)
        isSecondLook = false
      } catch {
        guard case .corrupt(let fault, _) = error else { throw error }
        if case .unsupportedFrame = fault.kind { throw .unsupported(fault, file: name) }
        if let tail = try judgeTail(verifier, fault, isFinal: isSecondLook) {
          return SegmentEnd(end: offset, lastFrame: lastFrame, tail: tail)
        }
        try refresh()
        isSecondLook = true
        continue
      }
      progress(offset)
    }
    try checkBehindSeal(from: offset, verifier)
    return SegmentEnd(end: offset, lastFrame: lastFrame, tail: .clean)
  }

  /// Goes on over pieces that other threads check, up to the first that is not sound, does not follow, or is none: that is
  /// for `frame` to judge, which gives the answers.
  private mutating func readAhead(
    _ ahead: ReadAhead, _ verifier: inout ChainVerifier, visit: (Span<UInt8>) -> Void, progress: (UInt64) -> Void
  ) {
    guard let segment = verifier.segment, !verifier.keepsNodes, ahead.threads > 1 else { return }
    guard offset + 2 * UInt64(ahead.pieceBytes) <= file.size else { return }
    let cutter = SegmentCutter(
      file.file, size: file.size, segment, from: offset, verifier.fileHash, pieceBytes: ahead.pieceBytes)
    let line = PieceLine(cutter, verifier, piecesMax: ahead.piecesMax)
    let threads = (1..<ahead.threads).map { _ in WorkThread(name: "log-reading") { line.work() } }
    defer {
      line.stop()
      for thread in threads { thread.join() }
    }
    while let (piece, found) = line.next(), let found, verifier.join(found, fileHash: piece.fileHash) {
      for range in found.entries { visit(piece.bytes.span.extracting(range)) }
      (lastFrame, offset) = (piece.lastFrame, piece.end)
      progress(offset)
    }
  }

  /// What stands behind the last frame; nil where that asks for a second look.
  ///
  /// why: a reading of a live log is no snapshot. It can show a frame that was written after the place
  /// before it had been read; that place holds a whole frame by then.
  private mutating func judgeTail(
    _ verifier: ChainVerifier, _ fault: LogFault, isFinal: Bool
  ) throws(LogError) -> SegmentEnd.Tail? {
    do throws(LogError) {
      let tail = try classifyTail(from: offset, verifier, fault)
      return tail == .clean || isFinal ? tail : nil
    } catch {
      if isFinal { throw error }
      return nil
    }
  }

  private mutating func frame(
    at offset: UInt64, _ verifier: inout ChainVerifier, visit: (Span<UInt8>) -> Void
  ) throws(LogError) -> Int {
    let count = try read(at: offset, count: Frame.headerByteCount) { (head) throws(LogFault) in
      try verifier.paddedByteCount(head, offset: offset)
    }
    let (sequence, segment) = (verifier.nextSequence, number)
    try read(at: offset, count: count) { (bytes) throws(LogFault) in
      guard bytes.count == count else { throw LogFault(.frameLength, segment: segment, offset: offset, sequence: sequence) }
      try verifier.frame(bytes, offset: offset, visit: visit)
    }
    return count
  }

  // MARK: Ends

  private mutating func checkBehindSeal(from end: UInt64, _ verifier: ChainVerifier) throws(LogError) {
    guard file.size == end || file.size == verifier.segment?.fileSize else {
      throw .corrupt(LogFault(.fileSize, segment: number, offset: file.size, sequence: verifier.nextSequence), file: name)
    }
    if let found = try firstNonZero(from: end) {
      throw .corrupt(
        LogFault(.afterSeal, segment: number, offset: found, sequence: verifier.nextSequence), file: name)
    }
  }

  /// Tells clean, torn and corrupt apart: `fault` is why no frame begins at `end`.
  private mutating func classifyTail(
    from end: UInt64, _ verifier: ChainVerifier, _ fault: LogFault
  ) throws(LogError) -> SegmentEnd.Tail {
    guard let segment = verifier.segment else { throw .corrupt(fault, file: name) }
    guard !hasSuccessor else {
      throw .corrupt(try isZero(from: end) ? notSealed(verifier, end) : named(fault, verifier, segment), file: name)
    }
    guard file.size == segment.fileSize else {
      throw .corrupt(LogFault(.fileSize, segment: number, offset: file.size, sequence: verifier.nextSequence), file: name)
    }
    guard let last = try lastNonZero(from: end) else { return .clean }
    guard try !hasFrame(numbered: verifier.nextFrame, from: end, to: last, segment) else {
      throw .corrupt(try named(fault, verifier, segment), file: name)
    }
    if last >= end + UInt64(segment.frameBytesMax) {
      throw .corrupt(
        LogFault(.bytesBeyondTear, segment: number, offset: last, sequence: verifier.nextSequence), file: name)
    }
    return .torn(byteCount: last + 1 - end, fault)
  }

  /// The fault with the sequence that the format names: the lowest that nothing confirms.
  private mutating func named(
    _ fault: LogFault, _ verifier: ChainVerifier, _ segment: SegmentHeader
  ) throws(LogError) -> LogFault {
    let sequence = try read(at: fault.offset, count: segment.frameBytesMax) { (bytes) throws(LogFault) in
      verifier.firstUnconfirmed(bytes)
    }
    return LogFault(fault.kind, segment: fault.segment, offset: fault.offset, sequence: sequence)
  }

  private func notSealed(_ verifier: ChainVerifier, _ offset: UInt64) -> LogFault {
    LogFault(.notSealed, segment: number, offset: offset, sequence: verifier.nextSequence)
  }

  /// Whether a frame that is whole in itself, of this number or a higher one, begins in the range.
  private mutating func hasFrame(
    numbered number: UInt64, from start: UInt64, to end: UInt64, _ segment: SegmentHeader
  ) throws(LogError) -> Bool {
    for offset in stride(from: start, through: end, by: segment.alignment) {
      let found = try read(at: offset, count: segment.frameBytesMax) { (bytes) throws(LogFault) in
        Frame.selfContained(bytes, alignment: segment.alignment, frameBytesMax: segment.frameBytesMax)
      }
      if let found, found.number >= number { return true }
    }
    return false
  }

  private mutating func isZero(from start: UInt64) throws(LogError) -> Bool { try firstNonZero(from: start) == nil }

  private mutating func firstNonZero(from start: UInt64) throws(LogError) -> UInt64? {
    try scan(from: start) { bytes in bytes.isZero ? nil : bytes.indices.first { bytes[$0] != 0 } }
  }

  private mutating func lastNonZero(from start: UInt64) throws(LogError) -> UInt64? {
    var last: UInt64?
    var offset = start
    while let found = try firstNonZero(from: offset) {
      let chunkEnd = min(file.size, found - found % 65_536 + 65_536)
      last = try read(at: found, count: Int(chunkEnd - found)) { (bytes) throws(LogFault) in
        bytes.indices.last { bytes[$0] != 0 }.map { found + UInt64($0) }
      }
      offset = chunkEnd
    }
    return last
  }

  private mutating func scan(from start: UInt64, _ body: (Span<UInt8>) -> Int?) throws(LogError) -> UInt64? {
    var offset = start
    while offset < file.size {
      let count = Int(min(65_536, file.size - offset))
      let found = try read(at: offset, count: count) { (bytes) throws(LogFault) in body(bytes) }
      if let found { return offset + UInt64(found) }
      offset += UInt64(count)
    }
    return nil
  }

  private mutating func read<Result>(
    at offset: UInt64, count: Int, _ body: (Span<UInt8>) throws(LogFault) -> Result
  ) throws(LogError) -> Result {
    do { return try file.withBytes(at: offset, count: count, body) } catch {
      switch error {
      case .storage(let failure): throw .storage(StorageFailure(failure.call, path: name, errno: failure.errno))
      case .body(let fault): throw .corrupt(fault, file: name)
      }
    }
  }
}
