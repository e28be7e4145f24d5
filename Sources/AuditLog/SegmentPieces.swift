internal import ChatelaineAuditTrail
internal import ChatelainePrimitives

/// Whole frames of a segment, as they lie in the file.
struct SegmentPiece: Sendable {
  /// From 0 on, in the order of the file.
  let number: Int
  let offset: UInt64
  /// Of its last frame.
  let lastFrame: UInt64
  let bytes: [UInt8]
  /// Of the file up to its end.
  let fileHash: SHA256

  var end: UInt64 { offset + UInt64(bytes.count) }
}

/// Cuts a segment into pieces between frames, and hashes the file on the way: what can only be done in order.
struct SegmentCutter: Sendable {
  private let file: any LogFile
  private let segment: SegmentHeader
  private let pieceBytes: Int
  /// Of the file, as the walk knows it.
  private let size: UInt64
  private var offset: UInt64
  private var hash: SHA256
  private var number = 0

  /// From where a verifier stands.
  init(_ file: any LogFile, size: UInt64, _ segment: SegmentHeader, from offset: UInt64, _ hash: SHA256, pieceBytes: Int) {
    (self.file, self.size, self.segment, self.pieceBytes) = (file, size, segment, pieceBytes)
    (self.offset, self.hash) = (offset, hash)
  }

  /// nil where no further frame stands that could belong to a piece, or nothing can be read.
  mutating func next() -> SegmentPiece? {
    guard let (bytes, last) = frames() else { return nil }
    hash.update(bytes)
    defer {
      offset += UInt64(bytes.count)
      number += 1
    }
    return SegmentPiece(number: number, offset: offset, lastFrame: offset + UInt64(last), bytes: bytes, fileHash: hash)
  }

  /// The whole frames among the next bytes, one at least, and where the last of them begins.
  private func frames() -> (bytes: [UInt8], last: Int)? {
    guard var bytes = read(max(pieceBytes, Frame.headerByteCount)), let first = length(of: bytes, at: 0) else { return nil }
    if first > bytes.count { bytes = read(first) ?? [] }
    var (last, end) = (0, 0)
    while let count = length(of: bytes, at: end), end + count <= bytes.count { (last, end) = (end, end + count) }
    guard end > 0 else { return nil }
    bytes.removeLast(bytes.count - end)
    return (bytes, last)
  }

  /// Of the frame that begins there, padding included; nil where none does that can belong to a piece.
  private func length(of bytes: [UInt8], at start: Int) -> Int? {
    guard let header = Frame.parseHeader(bytes.span.extracting(start...)), header.kind != .seal else { return nil }
    let count = header.paddedByteCount(alignment: segment.alignment)
    return count <= segment.frameBytesMax ? count : nil
  }

  private func read(_ count: Int) -> [UInt8]? {
    try? file.read(at: offset, count: Int(min(UInt64(count), size - min(offset, size))))
  }
}

/// The pieces of a segment on their way from the file to the verifier that joins them: cut by one thread at a time, checked
/// by any, given out in order.
@safe final class PieceLine: @unchecked Sendable {
  /// nil where the piece is not sound in itself.
  typealias Checked = (piece: SegmentPiece, found: CheckedPiece?)

  private enum Task {
    case join(Checked)
    case check(SegmentPiece)
    case cut(SegmentCutter)
    case finished
  }

  private let verifier: ChainVerifier
  private let piecesMax: Int
  private let monitor = Monitor()
  /// nil while somebody cuts, and once nothing is left.
  private var cutter: SegmentCutter?
  private var isAtEnd = false
  private var isStopped = false
  private var cutCount = 0
  private var joinedCount = 0
  private var unchecked: [SegmentPiece] = []
  private var checked: [Int: Checked] = [:]

  /// `verifier` stands somewhere in the segment.
  init(_ cutter: SegmentCutter, _ verifier: ChainVerifier, piecesMax: Int) {
    (self.cutter, self.verifier, self.piecesMax) = (cutter, verifier, max(2, piecesMax))
  }

  /// The next piece in order, nil behind the last; works on others while it waits.
  func next() -> Checked? {
    while true {
      switch task(isJoining: true) {
      case .join(let checked): return checked
      case .finished: return nil
      case .check(let piece): check(piece)
      case .cut(let cutter): cut(cutter)
      }
    }
  }

  /// Works until nothing is left to do for others than the one that joins.
  func work() {
    while true {
      switch task(isJoining: false) {
      case .join, .finished: return
      case .check(let piece): check(piece)
      case .cut(let cutter): cut(cutter)
      }
    }
  }

  /// What is under way is finished, and nothing more is begun.
  func stop() {
    monitor.lock()
    isStopped = true
    monitor.broadcast()
    monitor.unlock()
  }

  private func task(isJoining: Bool) -> Task {
    monitor.lock()
    defer { monitor.unlock() }
    while !isStopped {
      if isJoining, let first = checked.removeValue(forKey: joinedCount) {
        joinedCount += 1
        monitor.broadcast()
        return .join(first)
      }
      if !unchecked.isEmpty { return .check(unchecked.removeFirst()) }
      if cutCount - joinedCount < piecesMax, let cutter = cutter.take() { return .cut(cutter) }
      if isAtEnd, !isJoining || joinedCount == cutCount { return .finished }
      monitor.wait()
    }
    return .finished
  }

  private func check(_ piece: SegmentPiece) {
    let found = verifier.check(ahead: piece.bytes.span, offset: piece.offset)
    monitor.lock()
    checked[piece.number] = (piece, found)
    monitor.broadcast()
    monitor.unlock()
  }

  private func cut(_ cutter: SegmentCutter) {
    var cutter = cutter
    let piece = cutter.next()
    monitor.lock()
    if let piece {
      unchecked.append(piece)
      cutCount += 1
      self.cutter = cutter
    } else {
      isAtEnd = true
    }
    monitor.broadcast()
    monitor.unlock()
  }
}
