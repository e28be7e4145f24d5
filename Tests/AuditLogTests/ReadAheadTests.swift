import ChatelaineAuditLog
import ChatelaineAuditTrail
import ChatelaineLogTestSupport
import ChatelaineTestSupport
import ChatelaineVocabulary
import Foundation
import Testing

/// Several threads read a log as one does: the same entries, the same first bad place, the same words for it.
struct ReadAheadTests {
  static let seed =
    ProcessInfo.processInfo.environment["CHATELAINE_SEED"].flatMap(UInt64.init) ?? .random(in: 0..<1 << 48)
  static let entries = 500

  let log: SampleLog

  init() throws { log = try SampleLog(entries: Self.entries, options: .small(first: 48 << 10, grown: 64 << 10)) }

  private static func equal(_ storage: MemoryStorage, _ ahead: ReadAhead) -> Bool {
    let (one, several) = (Verification(storage, keepingEntries: true), Verification(storage, keepingEntries: true, ahead: ahead))
    return one.verdict == several.verdict && one.treeSize == several.treeSize && one.root == several.root
      && one.entries == several.entries
  }

  @Test(arguments: [1, 2, 3, 8], [1, 700, 4096, 1 << 14])
  func `A sound log comes to the same`(threads: Int, pieceBytes: Int) {
    let ahead = ReadAhead(threads: threads, pieceBytes: pieceBytes)
    #expect(Self.equal(log.storage, ahead))
    #expect(Verification(log.storage, ahead: ahead).treeSize == UInt64(Self.entries))
  }

  @Test func `A changed byte is named as one thread names it`() {
    var random = SeededRandom(seed: Self.seed)
    let storage = log.storage
    for _ in 0..<200 {
      let name = log.segmentNames.randomElement(using: &random) ?? ""
      let offset = Int.random(in: 0..<(log.files[name]?.count ?? 1), using: &random)
      let mask = UInt8.random(in: 1...255, using: &random)
      let ahead = ReadAhead(threads: .random(in: 2...4, using: &random), pieceBytes: .random(in: 1...8192, using: &random))
      storage.flip(name, at: offset, mask: mask)
      #expect(Self.equal(storage, ahead), "\(name) byte \(offset) mask \(mask), CHATELAINE_SEED=\(Self.seed)")
      storage.flip(name, at: offset, mask: mask)
    }
  }

  @Test func `A frame that is left out, written twice, exchanged or cut is named as one thread names it`() throws {
    var random = SeededRandom(seed: Self.seed)
    for _ in 0..<60 {
      let name = try #require(log.segmentNames.randomElement(using: &random))
      let own = log.frames().filter { $0.file == name }
      let (a, b) = (try #require(own.randomElement(using: &random)), try #require(own.randomElement(using: &random)))
      let bytes = try #require(log.files[name])
      let storage = log.storage
      let first = Array(bytes[a.offset..<a.offset + a.byteCount])
      switch Int.random(in: 0..<4, using: &random) {
      case 0: storage[name] = Array(bytes[..<a.offset] + bytes[(a.offset + a.byteCount)...])
      case 1: storage[name] = Array(bytes[..<a.offset] + first + bytes[a.offset...])
      case 2:
        storage[name]?.overwrite(first.span, at: b.offset)
        if a.byteCount == b.byteCount {
          storage[name]?.overwrite(Array(bytes[b.offset..<b.offset + b.byteCount]).span, at: a.offset)
        }
      default: storage[name]?.resize(to: a.offset + a.byteCount / 2)
      }
      for pieceBytes in [1, 2048] {
        #expect(
          Self.equal(storage, ReadAhead(threads: 2, pieceBytes: pieceBytes)), "\(name), CHATELAINE_SEED=\(Self.seed)")
      }
    }
  }

  @Test func `Roots are told of at the sizes that are asked for`() throws {
    let sizes: [UInt64] = [0, 1, 2, 63, 64, 65, 100, 101, 499, 500]
    var found: [[UInt64: Digest]] = []
    for ahead in [nil, ReadAhead(threads: 2, pieceBytes: 1), ReadAhead(threads: 3, pieceBytes: 9000)] {
      let roots = RootsAtSizes(sizes)
      var reader = try LogReader(log.storage, ahead: ahead)
      reader.watch(from: roots.first(from: 0), by: roots)
      _ = try reader.readAvailable { _ in }
      found.append(roots.found)
    }
    #expect(found[0].count == sizes.count && found[1] == found[0] && found[2] == found[0])
  }

  // MARK: What joins pieces

  private struct NoPiece: Error {}

  private func piece(_ bytes: [UInt8], _ offset: UInt64, _ verifier: ChainVerifier) throws -> CheckedPiece {
    guard let piece = verifier.check(ahead: bytes.span, offset: offset) else { throw NoPiece() }
    return piece
  }

  private func joins(_ piece: CheckedPiece, _ verifier: ChainVerifier) -> Bool {
    var joined = verifier
    let goesOn = joined.join(piece, fileHash: verifier.fileHash)
    return goesOn && joined.tree.size > verifier.tree.size
  }

  /// A verifier that stands behind the first frame, and the frames that follow, one by one.
  private func pieces() throws -> (verifier: ChainVerifier, frames: [(bytes: [UInt8], offset: UInt64)]) {
    let name = log.segmentNames[0]
    let bytes = try #require(log.files[name])
    let own = log.frames().filter { $0.file == name && $0.header.kind == .entries }
    let descriptor = try #require(log.files["epoch-000001"])
    let epoch = try EpochDescriptor(parsing: descriptor.span)
    var verifier = ChainVerifier(epoch: epoch)
    try verifier.beginSegment(bytes.span.extracting(0..<SegmentHeader.byteCount))
    let frames = own.map { (Array(bytes[$0.offset..<$0.offset + $0.byteCount]), UInt64($0.offset)) }
    let first = frames[0].0
    try verifier.frame(first.span, offset: frames[0].1)
    return (verifier, Array(frames.dropFirst()))
  }

  @Test func `A piece that is sound in itself is joined where it goes on, and nowhere else`() throws {
    let (verifier, frames) = try pieces()
    for (index, frame) in frames.enumerated() {
      #expect(joins(try piece(frame.bytes, frame.offset, verifier), verifier) == (index == 0))
    }
  }

  @Test func `A piece whose numbers go on and whose link does not is not joined`() throws {
    let (verifier, frames) = try pieces()
    // Another log with the same numbers: sound in itself, and of other entries.
    let other = try SampleLog(entries: Self.entries, options: .small(first: 48 << 10, grown: 64 << 10), padding: 61...61)
    let bytes = try #require(other.files[log.segmentNames[0]])
    let frame = try #require(
      other.frames().first { $0.file == log.segmentNames[0] && $0.header.number == verifier.nextFrame })
    #expect(frame.header.firstSequence == verifier.nextSequence)
    let foreign = Array(bytes[frame.offset..<frame.offset + frame.byteCount])
    #expect(!joins(try piece(foreign, UInt64(frame.offset), verifier), verifier))
    #expect(joins(try piece(frames[0].bytes, frames[0].offset, verifier), verifier), "the control: the log's own is")
  }

  @Test func `A piece with a changed byte is none`() throws {
    let (verifier, frames) = try pieces()
    #expect(joins(try piece(frames[0].bytes, frames[0].offset, verifier), verifier), "the control")
    for offset in frames[0].bytes.indices {
      var changed = frames[0].bytes
      changed[offset] ^= 1
      guard let piece = verifier.check(ahead: changed.span, offset: frames[0].offset) else { continue }
      #expect(!joins(piece, verifier), "byte \(offset)")
    }
  }
}
