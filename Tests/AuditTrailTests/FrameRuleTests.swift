import ChatelaineAuditTrail
import ChatelainePrimitives
import ChatelaineVocabulary
import Testing

/// Each rule of a frame, broken alone: every hash that is not the rule's own matches.
struct FrameRuleTests {
  // MUST: FRAME-1
  @Test func `The first 8 bytes are the magic, a kind of 1 to 4, and zeros`() throws {
    let chain = try Chain()
    let good = try chain.entries(3)
    #expect(chain.fault(good) == nil)
    #expect(isWhole(good))
    let wrong: [(String, (inout RawFrame) -> Void)] = [
      ("magic", { $0.magic = Array("CHF2".utf8) }), ("magic", { $0.magic = Array("chf1".utf8) }),
      ("kind 0", { $0.kind = 0 }), ("kind 5", { $0.kind = 5 }), ("kind 255", { $0.kind = 255 }),
      ("byte 5", { $0.zeros = [1, 0, 0] }), ("byte 6", { $0.zeros = [0, 1, 0] }),
      ("byte 7", { $0.zeros = [0, 0, 1] }),
    ]
    for (name, edit) in wrong {
      var frame = good
      edit(&frame)
      #expect(chain.fault(frame) == .frameHeader, "\(name)")
      #expect(!isWhole(frame), "\(name)")
    }
    #expect(isWhole(.other(2, body: Array("a note".utf8))))
    #expect(isWhole(.other(3, body: .init(repeating: 1, count: 80))))
    #expect(isWhole(.other(4, body: .init(repeating: 1, count: 64), count: 2)))
  }

  // MUST: FRAME-2, FMT-3
  @Test func `Count and body length are possible for the kind, and the body is used up`() throws {
    let chain = try Chain(frameBytesMax: 16 << 20)
    let good = try chain.entries(3)
    let most = try chain.entries(4096)
    #expect(chain.fault(most) == nil && isWhole(most))
    var wrong: [(String, RawFrame)] = [("4,097 entries", try chain.entries(4097))]
    for (name, edit) in [
      ("count 0", { $0.count = 0 }), ("one counted too few", { $0.count = 2 }),
      ("one counted too many", { $0.count = 4 }), ("2^32 - 1 counted", { $0.count = .max }),
      ("a byte too many", { $0.body += [0] }), ("a byte too few", { $0.body.removeLast() }),
      ("no body", { $0.body = [] }), ("an entry longer than the body", { $0.body[0] = 0xff }),
    ] as [(String, (inout RawFrame) -> Void)] {
      var frame = good
      edit(&frame)
      wrong.append((name, frame))
    }
    for (name, frame) in wrong {
      #expect(chain.fault(frame) != nil, "\(name)")
      #expect(!isWhole(frame), "\(name)")
    }
    let seal = [UInt8](repeating: 1, count: 80)
    #expect(!isWhole(.other(2, body: [1], count: 1)))
    #expect(!isWhole(.other(3, body: seal, count: 1)))
    #expect(!isWhole(.other(3, body: seal + [0])))
    #expect(!isWhole(.other(3, body: Array(seal.dropLast()))))
    #expect(!isWhole(.other(4, body: .init(repeating: 1, count: 64), count: 1)))
    #expect(!isWhole(.other(4, body: [], count: 0)))
    #expect(!isWhole(.other(4, body: .init(repeating: 1, count: 4097 * 32), count: 4097)))
  }

  // MUST: FRAME-3
  @Test func `A frame is not larger than max frame, nor reaches beyond the bytes there are`() throws {
    let (small, large) = (try Chain(frameBytesMax: 128 << 10), try Chain(frameBytesMax: 256 << 10))
    let frame = try large.entries(3, padding: 60_000)
    #expect(frame.bytes.count > 128 << 10)
    #expect(large.fault(frame) == nil)
    #expect(small.fault(frame) == .frameLength)
    let bytes = frame.bytes
    func header(_ count: Int, _ frameBytesMax: Int) -> Frame.Header? {
      Frame.selfContained(bytes.span.extracting(0..<count), alignment: 512, frameBytesMax: frameBytesMax)
    }
    #expect(header(bytes.count, 256 << 10) != nil)
    #expect(header(bytes.count, bytes.count) != nil)
    #expect(header(bytes.count, bytes.count - 1) == nil)
    #expect(header(bytes.count - 1, 256 << 10) == nil)
  }

  // MUST: FRAME-4
  @Test func `Every entry parses, and has the sequence of its place`() throws {
    let chain = try Chain()
    let good = try chain.chained(3)
    func frame(_ edit: (inout [AuditEntry]) -> Void) -> RawFrame {
      var entries = good
      edit(&entries)
      for index in entries.indices.dropFirst() { entries[index].previous = entries[index - 1].leafHash }
      return .entries(entries.map { $0.encoded() })
    }
    #expect(chain.fault(frame { _ in }) == nil)
    for wrong: UInt64 in [0, 2, .max] {
      let off = frame { $0[1].sequence = wrong }
      #expect(chain.fault(off) == .entrySequence)
      #expect(!isWhole(off))
    }
    var bytes = good.map { $0.encoded() }
    bytes[2][1] = 10
    let noEntry = RawFrame.entries(bytes)
    #expect(chain.fault(noEntry) == .entry(.entryClass))
    #expect(!isWhole(noEntry))
  }

  // MUST: FRAME-5
  @Test func `Every entry but the first names the leaf hash of the one before`() throws {
    let chain = try Chain()
    for index in 1...2 {
      var entries = try chain.chained(3)
      entries[index].previous = Digest(1, 2, 3, 4)
      if index == 1 { entries[2].previous = entries[1].leafHash }
      let frame = RawFrame.entries(entries.map { $0.encoded() })
      #expect(chain.fault(frame) == .entryChanged)
      #expect(!isWhole(frame))
    }
  }

  // MUST: FRAME-6
  @Test func `The trailer matches, and zeros fill the frame up`() throws {
    let chain = try Chain()
    let frame = try chain.entries(2)
    let (bytes, end) = (frame.bytes, 48 + frame.body.count)
    #expect(bytes.count > end + 32)
    for offset in end..<bytes.count {
      var changed = bytes
      changed[offset] ^= 0x10
      #expect(chain.fault(changed) == (offset < end + 32 ? .trailer : .padding), "byte \(offset)")
      #expect(!isWhole(changed), "byte \(offset)")
    }
  }

  // MUST: FRAME-7
  @Test func `Frames are numbered one after the other, across segments`() throws {
    var chain = try Chain()
    func check(next number: UInt64, _ chain: Chain) throws {
      for wrong in [0, number &- 1, number + 1, .max] where wrong != number {
        var frame = try chain.entries(1)
        frame.number = wrong
        #expect(chain.fault(frame) == .frameNumber, "\(wrong) for \(number)")
      }
      #expect(try chain.fault(chain.entries(1)) == nil)
    }
    try check(next: 0, chain)
    try chain.take(chain.entries(2))
    try check(next: 1, chain)
    try chain.take(chain.seal())
    try chain.beginNextSegment()
    #expect(try chain.entries(1).number == 2)
    try check(next: 2, chain)
  }

  // MUST: FRAME-8, EPOCH-2
  @Test func `A frame goes on with the next sequence and names the entry before it, or the descriptor`() throws {
    var chain = try Chain()
    for taken in [0, 4] as [UInt64] {
      for wrong in [taken &- 1, taken + 1, 1000] {
        #expect(try chain.fault(chain.entries(2, first: wrong)) == .frameSequence)
      }
      for wrong in [Digest.zero, Digest(1, 2, 3, 4), taken == 0 ? MerkleFrontier.emptyRoot : chain.epoch.hash] {
        #expect(try chain.fault(chain.entries(2, previous: wrong)) == .entryLink)
      }
      #expect(try chain.fault(chain.entries(2)) == nil)
      if taken == 0 {
        #expect(try chain.entries(4).body.span.extracting(20..<52).equals(chain.epoch.hash.bytes))
        try chain.take(chain.entries(4))
      }
    }
  }

  // MUST: EPOCH-2
  @Test func `Segment 0 names the descriptor`() throws {
    let chain = try Chain()
    for wrong in [Digest.zero, Digest(1, 2, 3, 4)] {
      var header = chain.header
      header.previousLeaf = wrong
      let page = header.encoded()
      let fault = #expect(throws: LogFault.self) {
        var verifier = ChainVerifier(epoch: chain.epoch)
        try verifier.beginSegment(page.span)
      }
      #expect(fault?.kind == .headerState)
    }
    #expect(chain.header.previousLeaf == chain.epoch.hash)
  }

  // MUST: FRAME-9
  @Test func `A seal says what the entries and the file come to`() throws {
    var chain = try Chain()
    let empty = Frame.Seal(
      lastSequence: .max, treeSize: 0, treeRoot: MerkleFrontier.emptyRoot, fileHash: chain.seal().fileHash)
    #expect(chain.fault(.seal(empty, number: 0, firstSequence: 0)) == .sealTree)
    try chain.take(chain.entries(5))
    let right = chain.seal()
    func fault(_ edit: (inout Frame.Seal) -> Void) -> LogFault.Kind? {
      var seal = right
      edit(&seal)
      return chain.fault(.seal(seal, number: 1, firstSequence: 5))
    }
    #expect(fault { _ in } == nil)
    for wrong: UInt64 in [0, 4, 6] { #expect(fault { $0.treeSize = wrong } == .sealTree) }
    for wrong: UInt64 in [0, 3, 5, .max] { #expect(fault { $0.lastSequence = wrong } == .sealTree) }
    #expect(fault { $0.treeRoot = Digest(1, 2, 3, 4) } == .sealTree)
    #expect(fault { $0.fileHash = Digest(1, 2, 3, 4) } == .sealFileHash)
  }

  private func isWhole(_ frame: RawFrame) -> Bool { isWhole(frame.bytes) }

  private func isWhole(_ bytes: [UInt8]) -> Bool {
    Frame.selfContained(bytes.span, alignment: 512, frameBytesMax: 16 << 20) != nil
  }
}

/// A frame as its bytes are, with a trailer that matches whatever they say.
private struct RawFrame {
  var magic = Array("CHF1".utf8)
  var kind: UInt8
  var zeros: [UInt8] = [0, 0, 0]
  var number: UInt64 = 0
  var firstSequence: UInt64 = 0
  var count: UInt32 = 0
  var body: [UInt8]
  /// The last entry's leaf hash; nil where the trailer covers the body.
  var leaf: Digest?

  static func entries(_ entries: [[UInt8]], number: UInt64 = 0, firstSequence: UInt64 = 0) -> RawFrame {
    var body = ByteWriter(capacity: 512)
    for entry in entries {
      body.u32(UInt32(entry.count))
      body.raw(entry)
    }
    return RawFrame(
      kind: 1, number: number, firstSequence: firstSequence, count: UInt32(entries.count), body: body.bytes,
      leaf: entries.last.map { AuditEntry.leafHash($0.span) })
  }

  static func seal(_ seal: Frame.Seal, number: UInt64, firstSequence: UInt64) -> RawFrame {
    var body = ByteWriter(capacity: 80)
    body.u64(seal.lastSequence)
    body.u64(seal.treeSize)
    body.digest(seal.treeRoot)
    body.digest(seal.fileHash)
    return RawFrame(kind: 3, number: number, firstSequence: firstSequence, body: body.bytes)
  }

  static func other(_ kind: UInt8, body: [UInt8], count: UInt32 = 0) -> RawFrame {
    RawFrame(kind: kind, count: count, body: body)
  }

  var bytes: [UInt8] {
    var writer = ByteWriter(capacity: 1024)
    writer.raw(magic)
    writer.u8(kind)
    writer.raw(zeros)
    writer.u64(number)
    writer.u64(firstSequence)
    writer.u32(count)
    writer.u32(UInt32(body.count))
    writer.identifier(Identifier(high: 7, low: 7))
    let trailer = SHA256.hash([2] + writer.bytes + (leaf?.bytes ?? body))
    writer.raw(body)
    writer.digest(trailer)
    writer.zeros((512 - writer.bytes.count % 512) % 512)
    return writer.bytes
  }
}

/// A log under verification, and the frames that would go on with it.
private struct Chain {
  let epoch: EpochDescriptor
  private(set) var header: SegmentHeader
  private var verifier: ChainVerifier

  init(frameBytesMax: Int = 128 << 10) throws {
    epoch = try EpochDescriptor(
      logID: Identifier(high: 1, low: 2), created: WallTime(nanoseconds: 3), name: "rules")
    header = SegmentHeader(
      logID: epoch.logID, epoch: 1, alignment: 512, number: 0, firstSequence: 0, previousLeaf: epoch.hash,
      treeRoot: MerkleFrontier.emptyRoot, fileSize: 64 << 20, frameBytesMax: frameBytesMax,
      previousHeaderHash: .zero)
    verifier = ChainVerifier(epoch: epoch)
    let page = header.encoded()
    try verifier.beginSegment(page.span)
  }

  func chained(
    _ count: Int, first: UInt64? = nil, previous: Digest? = nil, padding: Int = 0
  ) throws -> [AuditEntry] {
    var previous = previous ?? verifier.previousLeaf
    let first = first ?? verifier.nextSequence
    return try (0..<count).map { index in
      var entry = AuditEntry(.keyUse, .encrypt)
      entry.sequence = first &+ UInt64(index)
      entry.previous = previous
      entry.tenant = try TenantID("acme")
      entry.purpose = [UInt8](repeating: 0x70, count: padding)
      previous = entry.leafHash
      return entry
    }
  }

  /// The next frame of entries.
  func entries(
    _ count: Int, first: UInt64? = nil, previous: Digest? = nil, padding: Int = 0
  ) throws -> RawFrame {
    let entries = try chained(count, first: first, previous: previous, padding: padding)
    return .entries(
      entries.map { $0.encoded() }, number: verifier.nextFrame, firstSequence: first ?? verifier.nextSequence)
  }

  /// What a seal must say now.
  func seal() -> Frame.Seal {
    let soFar = verifier.fileHash
    return Frame.Seal(
      lastSequence: verifier.nextSequence &- 1, treeSize: verifier.tree.size, treeRoot: verifier.tree.root,
      fileHash: soFar.finish())
  }

  func fault(_ frame: RawFrame) -> LogFault.Kind? { fault(frame.bytes) }

  /// Why a frame does not go on with the log, or nil where it does; the log stays as it is.
  func fault(_ bytes: [UInt8]) -> LogFault.Kind? {
    var copy = verifier
    do throws(LogFault) {
      _ = try copy.paddedByteCount(bytes.span.extracting(0..<48), offset: 4096)
      try copy.frame(bytes.span, offset: 4096)
      return nil
    } catch { return error.kind }
  }

  mutating func take(_ frame: RawFrame) throws {
    let bytes = frame.bytes
    try verifier.frame(bytes.span, offset: 4096)
  }

  mutating func take(_ seal: Frame.Seal) throws {
    try take(.seal(seal, number: verifier.nextFrame, firstSequence: verifier.nextSequence))
  }

  mutating func beginNextSegment() throws {
    let before = header.encoded()
    header.number += 1
    header.firstSequence = verifier.nextSequence
    header.previousLeaf = verifier.previousLeaf
    header.treeRoot = verifier.tree.root
    header.previousHeaderHash = SHA256.hash(before)
    let page = header.encoded()
    try verifier.beginSegment(page.span)
  }
}

extension AuditEntry {
  fileprivate var leafHash: Digest {
    let bytes = encoded()
    return AuditEntry.leafHash(bytes.span)
  }
}
