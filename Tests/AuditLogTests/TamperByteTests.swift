import ChatelaineAuditLog
import ChatelaineAuditTrail
import ChatelaineLogTestSupport
import ChatelaineTestSupport
import ChatelaineVocabulary
import Foundation
import Testing

/// Every byte of a log of 1,000 entries changed in turn: no reader may call it valid, and the first bad
/// sequence is the one that the format names.
struct TamperByteTests {
  static let seed =
    ProcessInfo.processInfo.environment["CHATELAINE_SEED"].flatMap(UInt64.init) ?? .random(in: 0..<1 << 48)

  /// What a changed byte belongs to, and so what must be named.
  enum Place: Equatable {
    case descriptor
    case headerPage(next: UInt64)
    /// Of a frame of entries: in the header or trailer, in the zeros behind, or in an entry.
    case count(first: UInt64, count: UInt64, start: Int)
    case frameEdge(first: UInt64, last: UInt64, isKindNumberOrSequence: Bool)
    case padding(first: UInt64)
    case entry(UInt64, first: UInt64, isLink: Bool)
    case seal(next: UInt64)
    /// Zeros behind the last frame of the last segment.
    case free
  }

  let log: SampleLog
  let lastFrame: SampleLog.FramePlace
  let places: [String: [(range: Range<Int>, place: Place)]]

  init() throws {
    log = try SampleLog(entries: 1000, options: .small(first: 48 << 10, grown: 64 << 10))
    let frames = log.frames()
    lastFrame = try #require(frames.last)
    var places: [String: [(range: Range<Int>, place: Place)]] = ["epoch-000001": []]
    let descriptor = try #require(log.files["epoch-000001"])
    places["epoch-000001"] = [(0..<descriptor.count, .descriptor)]
    for name in log.segmentNames {
      let bytes = try #require(log.files[name])
      let own = frames.filter { $0.file == name }
      let next = own.first?.header.firstSequence ?? 1000
      places[name] = [(0..<4096, .headerPage(next: next))] + own.flatMap { Self.places(of: $0, in: bytes) }
      let end = own.last.map { $0.offset + $0.byteCount } ?? 4096
      if end < bytes.count { places[name]?.append((end..<bytes.count, .free)) }
    }
    self.places = places
  }

  static func places(of frame: SampleLog.FramePlace, in bytes: [UInt8]) -> [(range: Range<Int>, place: Place)]
  {
    let first = frame.header.firstSequence
    guard frame.header.kind == .entries else {
      return [(frame.offset..<frame.offset + frame.byteCount, .seal(next: first))]
    }
    let last = first + UInt64(frame.header.count) - 1
    func edge(_ from: Int, _ to: Int, _ isNamed: Bool = false) -> (range: Range<Int>, place: Place) {
      (
        frame.offset + from..<frame.offset + to,
        .frameEdge(first: first, last: last, isKindNumberOrSequence: isNamed)
      )
    }
    var list = [edge(0, 5, true), edge(5, 8), edge(8, 24, true), edge(28, 48)]
    list.append(
      (
        frame.offset + 24..<frame.offset + 28,
        .count(first: first, count: last - first + 1, start: frame.offset + 24)
      ))
    var offset = frame.offset + 48
    for sequence in first...last {
      let length = bytes[offset..<offset + 4].reduce(0) { $0 << 8 | Int($1) }
      list.append((offset..<offset + 4 + 16, .entry(sequence, first: first, isLink: false)))
      list.append((offset + 20..<offset + 52, .entry(sequence, first: first, isLink: true)))
      list.append((offset + 52..<offset + 4 + length, .entry(sequence, first: first, isLink: false)))
      offset += 4 + length
    }
    let end = 80 + frame.header.bodyByteCount
    list.append(edge(offset - frame.offset, end))
    list.append((frame.offset + end..<frame.offset + frame.byteCount, .padding(first: first)))
    return list
  }

  /// The sequence to name, or nil where the change must look like a tear.
  func expected(_ place: Place, _ offset: Int, _ mask: UInt8) -> UInt64? {
    switch place {
    case .count(let first, let count, let start):
      // The last entry of as many as are said to be there, and of those that are.
      first + max(1, min(count, count ^ UInt64(mask) << UInt64(8 * (3 - (offset - start))))) - 1
    case .descriptor: 0
    case .headerPage(let next), .seal(let next): next
    case .frameEdge(let first, let last, let isNamed): isNamed ? first : last
    case .padding(let first): first
    case .entry(let sequence, let first, let isLink): isLink ? max(first, max(sequence, 1) - 1) : sequence
    case .free: 1000
    }
  }

  /// `reader` stands before the file, which saves reading what is before it again.
  func check(
    _ name: String, _ offset: Int, _ place: Place, mask: UInt8, in storage: MemoryStorage, from reader: LogReader? = nil
  ) {
    storage.flip(name, at: offset, mask: mask)
    defer { storage.flip(name, at: offset, mask: mask) }
    let found = reader.map { Verification(continuing: $0) } ?? Verification(storage)
    let comment: Comment = "\(name) byte \(offset) mask \(mask) (\(place)), CHATELAINE_SEED=\(Self.seed)"
    // The stated limit: the last frame, and what stands behind it within one frame, look like a tear.
    if name == lastFrame.file, offset >= lastFrame.offset {
      #expect(found.verdict != .valid, comment)
      if case .free = place { return }
      #expect(found.verdict == .torn, comment)
      #expect(found.treeSize == lastFrame.header.firstSequence, comment)
      return
    }
    #expect(found.isTampered, comment)
    #expect(found.firstBadSequence == expected(place, offset, mask), comment)
    #expect(found.treeSize <= (found.firstBadSequence ?? 0), comment)
  }

  @Test func `The log is made as the test says: 1,000 entries, several segments`() {
    let found = Verification(log.storage, keepingEntries: true)
    #expect(found.verdict == .valid)
    #expect(found.entries.map(\.leafHash) == log.leafHashes)
    #expect(found.treeSize == 1000)
    #expect(log.segmentNames.count >= 5)
    #expect(lastFrame.file == log.segmentNames.last)
  }

  @Test(.enabled(if: !runsSlowTests)) func `A sample of the bytes, changed one at a time, is found`() {
    var random = SeededRandom(seed: Self.seed)
    let all = places.sorted { $0.key < $1.key }.flatMap { name, list in
      list.map { (name, $0.range, $0.place) }
    }
    let total = all.reduce(0) { $0 + $1.1.count }
    let count = ProcessInfo.processInfo.environment["CHATELAINE_SAMPLE"].flatMap(Int.init) ?? defaultSample
    print("tamper: \(count) of \(total) bytes, CHATELAINE_SEED=\(Self.seed)")
    let storage = log.storage
    for _ in 0..<count {
      var index = Int.random(in: 0..<total, using: &random)
      for (name, range, place) in all {
        if index >= range.count {
          index -= range.count
          continue
        }
        check(name, range.lowerBound + index, place, mask: .random(in: 1...255, using: &random), in: storage)
        break
      }
    }
  }

  /// The whole log, and for each segment but the first a reader that has read what is before it and nothing of it.
  private func readersBeforeSegments() throws -> (storage: MemoryStorage, readers: [String: LogReader]) {
    let later = log.segmentNames.dropFirst()
    let storage = MemoryStorage(files: log.files.filter { !later.contains($0.key) })
    var reader = try LogReader(storage)
    var readers: [String: LogReader] = [:]
    for name in later {
      _ = try reader.readAvailable(visit: { _ in })
      readers[name] = reader
      storage[name] = log.files[name]
    }
    return (storage, readers)
  }

  @Test func `A reader that goes on before a segment comes to the same end as one from the start`() throws {
    let (storage, readers) = try readersBeforeSegments()
    let whole = Verification(storage)
    #expect(whole.verdict == .valid && whole.treeSize == 1000 && readers.count == log.segmentNames.count - 1)
    for (name, reader) in readers {
      #expect(reader.verifier.tree.size < 1000)
      let rest = Verification(continuing: reader)
      #expect(rest.verdict == .valid && rest.treeSize == 1000 && rest.root == whole.root)
      storage.flip(name, at: 5000, mask: 1)
      #expect(Verification(continuing: reader).verdict == Verification(storage).verdict)
      storage.flip(name, at: 5000, mask: 1)
    }
  }

  @Test(.enabled(if: runsSlowTests)) func `Every byte, changed in turn, is found`() async throws {
    let work = places.flatMap { name, list in
      list.flatMap { entry in entry.range.map { (name, $0, entry.place) } }
    }
    print("tamper: all \(work.count) bytes, CHATELAINE_SEED=\(Self.seed)")
    try await withThrowingTaskGroup { group in
      for half in 0..<2 {
        group.addTask {
          var random = SeededRandom(seed: Self.seed &+ UInt64(half))
          let (storage, readers) = try self.readersBeforeSegments()
          for (index, (name, offset, place)) in work.enumerated() where index % 2 == half {
            // Now and then from the start, as everybody else reads it.
            let reader = index % 256 < 2 ? nil : readers[name]
            let mask: UInt8 = 1 << UInt8.random(in: 0..<8, using: &random)
            self.check(name, offset, place, mask: mask, in: storage, from: reader)
          }
        }
      }
      try await group.waitForAll()
    }
  }

  private var defaultSample: Int {
    #if DEBUG
      500
    #else
      20_000
    #endif
  }

  // MARK: Control

  @Test func `Control: a verifier that trusts stored links misses changes`() throws {
    let storage = log.storage
    let names = log.segmentNames
    func bytes() -> [[UInt8]] { names.compactMap { storage[$0] } }
    #expect(WeakVerifier.accepts(bytes()))
    var missed = 0
    var tried = 0
    for frame in log.frames().prefix(40) where frame.header.kind == .entries {
      // The clock of the frame's first entry: bytes 64 to 71 of the entry.
      storage.flip(frame.file, at: frame.offset + 52 + 71, mask: 1)
      tried += 1
      if WeakVerifier.accepts(bytes()) { missed += 1 }
      #expect(Verification(storage).verdict != .valid)
      storage.flip(frame.file, at: frame.offset + 52 + 71, mask: 1)
    }
    print("tamper: the weak verifier missed \(missed) of \(tried) changes")
    #expect(missed == tried)
  }
}
