import ChatelaineAuditLog
import ChatelaineAuditTrail
import ChatelaineLogTestSupport
import ChatelainePrimitives
import ChatelaineTestSupport
import ChatelaineVocabulary
import Foundation
import Testing

/// Entries and frames removed, swapped, repeated and put in, half of the time with the frame made whole
/// again as a forger would: never valid, and the first bad sequence is at or before the first change; of
/// a frame made whole, where the next frame no longer continues it.
struct TamperStructureTests {
  static let seed =
    ProcessInfo.processInfo.environment["CHATELAINE_SEED"].flatMap(UInt64.init) ?? .random(in: 0..<1 << 48)

  static let edits: Int = {
    #if DEBUG
      runsSlowTests ? 10_000 : 300
    #else
      runsSlowTests ? 10_000 : 1_000
    #endif
  }()

  enum Edit: String, CaseIterable {
    case removeEntry, swapEntries, repeatEntry, insertEntry, replaceEntry
    case removeFrame, swapFrames, repeatFrame, insertFrame
    case removeSegment, swapSegments, repeatSegment
  }

  @Test func `No structural edit goes unnoticed, and nothing behind the first change is vouched for`() throws
  {
    let log = try SampleLog(entries: 1000, options: .small(first: 48 << 10, grown: 64 << 10))
    var random = SeededRandom(seed: Self.seed)
    var counts: [Edit: Int] = [:]
    print("structure: \(Self.edits) edits, CHATELAINE_SEED=\(Self.seed)")
    for number in 0..<Self.edits {
      let edit = try #require(Edit.allCases.randomElement(using: &random))
      var forger = Forger(log)
      guard let (firstChanged, limit) = forger.apply(edit, &random) else { continue }
      let found = Verification(MemoryStorage(files: forger.files))
      let comment: Comment =
        "edit \(number) \(edit), first change at \(firstChanged), CHATELAINE_SEED=\(Self.seed)"
      #expect(found.verdict != .valid, comment)
      #expect(found.treeSize <= limit, comment)
      if found.isTampered {
        let named = try #require(found.firstBadSequence, comment)
        #expect(named <= limit, comment)
        #expect(named >= found.treeSize, comment)
      } else {
        // Only what touches the last frame alone can look like a tear.
        #expect(firstChanged >= forger.lastFrameFirst, comment)
      }
      counts[edit, default: 0] += 1
    }
    print(
      "structure: "
        + counts.sorted { $0.key.rawValue < $1.key.rawValue }.map { "\($0.key) \($0.value)" }.joined(
          separator: ", "))
    #expect(counts.count == Edit.allCases.count)
  }
}

/// Edits the bytes of a log.
private struct Forger {
  private(set) var files: [String: [UInt8]]
  private let frames: [SampleLog.FramePlace]
  private let names: [String]

  init(_ log: SampleLog) {
    files = log.files
    frames = log.frames()
    names = log.segmentNames
  }

  var lastFrameFirst: UInt64 { frames.last?.header.firstSequence ?? 0 }

  /// The first sequence that is not as it was, and the one that must be named at the latest.
  typealias Change = (first: UInt64, limit: UInt64)

  /// Applies an edit; nil where the draw changes nothing, or only what no keyless verifier can see.
  mutating func apply(_ edit: TamperStructureTests.Edit, _ random: inout SeededRandom) -> Change? {
    switch edit {
    case .removeEntry, .swapEntries, .repeatEntry, .insertEntry, .replaceEntry: editEntries(edit, &random)
    case .removeFrame, .swapFrames, .repeatFrame, .insertFrame: editFrames(edit, &random).map { ($0, $0) }
    case .removeSegment, .swapSegments, .repeatSegment: editSegments(edit, &random).map { ($0, $0) }
    }
  }

  // MARK: Entries

  private mutating func editEntries(_ edit: TamperStructureTests.Edit, _ random: inout SeededRandom)
    -> Change?
  {
    guard let frame = frames.filter({ $0.header.kind == .entries }).randomElement(using: &random) else {
      return nil
    }
    var entries = entries(of: frame)
    let at = Int.random(in: 0..<entries.count, using: &random)
    let other = Int.random(in: 0..<entries.count, using: &random)
    var changed = at
    switch edit {
    case .removeEntry:
      // Without its last entry the log is shorter and whole: only a head that is known elsewhere shows that.
      guard entries.count > 1, frame.header.firstSequence != lastFrameFirst || at + 1 < entries.count else {
        return nil
      }
      entries.remove(at: at)
    case .swapEntries:
      guard at != other else { return nil }
      entries.swapAt(at, other)
      changed = min(at, other)
    case .repeatEntry:
      entries.insert(entries[at], at: at + 1)
      changed = at + 1
    case .insertEntry:
      entries.insert(EntryDraft.sample(.random(in: 0..<1 << 40, using: &random)).bytes, at: at)
    default:
      guard
        let far = frames.filter({ $0.header.kind == .entries && $0.offset != frame.offset }).randomElement(
          using: &random)
      else { return nil }
      entries[at] = self.entries(of: far)[0]
    }
    // Half of the forgers renumber and link the entries again. The log's last frame they could make over
    // unseen: only a head that is known elsewhere shows that (END-5).
    let relinks = Bool.random(using: &random) && frame.header.firstSequence != lastFrameFirst
    if relinks { relink(&entries, frame.header.firstSequence, from: changed) }
    let isWhole = write(entries, to: frame)
    guard isWhole else { return nil }
    let first = frame.header.firstSequence
    return (first + UInt64(changed), relinks ? first + UInt64(entries.count) : first + UInt64(changed))
  }

  private func entries(of frame: SampleLog.FramePlace) -> [[UInt8]] {
    guard let bytes = files[frame.file] else { return [] }
    var offset = frame.offset + 48
    return (0..<frame.header.count).map { _ in
      let length = bytes[offset..<offset + 4].reduce(0) { $0 << 8 | Int($1) }
      defer { offset += 4 + length }
      return Array(bytes[offset + 4..<offset + 4 + length])
    }
  }

  private func relink(_ entries: inout [[UInt8]], _ first: UInt64, from start: Int) {
    for index in start..<entries.count {
      entries[index].replaceSubrange(8..<16, with: ByteWriter.u64Bytes(first + UInt64(index)))
      if index > 0 {
        let before = entries[index - 1]
        entries[index].replaceSubrange(16..<48, with: AuditEntry.leafHash(before.span).bytes)
      }
    }
  }

  /// Puts a frame with these entries in the place of one, trailer included; false where it is as before.
  private mutating func write(_ entries: [[UInt8]], to frame: SampleLog.FramePlace) -> Bool {
    guard var bytes = files[frame.file] else { return false }
    let before = Array(bytes[frame.offset..<frame.offset + frame.byteCount])
    var builder = FrameBytes(header: Array(before[0..<48]))
    let new = builder.frame(entries)
    guard new != before else { return false }
    bytes.replaceSubrange(frame.offset..<frame.offset + frame.byteCount, with: new)
    files[frame.file] = fitted(bytes, frame.file)
    return true
  }

  /// Keeps an unsealed segment's size: frames move, the zeros behind give way.
  private func fitted(_ bytes: [UInt8], _ name: String) -> [UInt8] {
    guard name == names.last, let size = files[name]?.count else { return bytes }
    var copy = bytes
    copy.resize(to: size)
    return copy
  }

  // MARK: Frames and segments

  private mutating func editFrames(_ edit: TamperStructureTests.Edit, _ random: inout SeededRandom) -> UInt64?
  {
    guard let a = frames.randomElement(using: &random), let b = frames.randomElement(using: &random),
      var bytes = files[a.file], let other = files[b.file]
    else { return nil }
    let range = a.offset..<a.offset + a.byteCount
    let foreign = Array(other[b.offset..<b.offset + b.byteCount])
    var changed = a.header.firstSequence
    switch edit {
    case .removeFrame:
      // Cut at the end, the log is shorter and whole: only a head that is known elsewhere shows that.
      guard a.offset != frames.last?.offset || a.file != frames.last?.file else { return nil }
      bytes.removeSubrange(range)
    case .repeatFrame:
      bytes.insert(contentsOf: bytes[range], at: range.upperBound)
      changed += UInt64(a.header.count)
    case .insertFrame:
      guard a.offset != b.offset || a.file != b.file else { return nil }
      bytes.insert(contentsOf: foreign, at: range.lowerBound)
    default:
      let behind = frames.filter { $0.file == a.file && $0.offset > a.offset }
      guard let b = behind.randomElement(using: &random) else { return nil }
      let foreign = Array(bytes[b.offset..<b.offset + b.byteCount])
      let mine = Array(bytes[range])
      bytes.replaceSubrange(b.offset..<b.offset + b.byteCount, with: mine)
      bytes.replaceSubrange(range, with: foreign)
    }
    guard bytes != files[a.file] else { return nil }
    files[a.file] = fitted(bytes, a.file)
    return changed
  }

  private mutating func editSegments(_ edit: TamperStructureTests.Edit, _ random: inout SeededRandom)
    -> UInt64?
  {
    let a = Int.random(in: 0..<names.count - 1, using: &random)
    let b = Int.random(in: 0..<names.count, using: &random)
    func first(_ index: Int) -> UInt64 { frames.first { $0.file == names[index] }?.header.firstSequence ?? 0 }
    switch edit {
    case .removeSegment:
      files[names[a]] = nil
      return first(a)
    case .swapSegments:
      guard a != b else { return nil }
      (files[names[a]], files[names[b]]) = (files[names[b]], files[names[a]])
      return first(min(a, b))
    default:
      guard a != b else { return nil }
      files[names[b]] = files[names[a]]
      return first(b)
    }
  }
}

/// A frame as a forger makes it, who has every hash and no key, because there is none.
private struct FrameBytes {
  var header: [UInt8]

  mutating func frame(_ entries: [[UInt8]]) -> [UInt8] {
    let body = entries.flatMap { Array(ByteWriter.u64Bytes(UInt64($0.count))[4...]) + $0 }
    header.replaceSubrange(24..<28, with: ByteWriter.u64Bytes(UInt64(entries.count))[4...])
    header.replaceSubrange(28..<32, with: ByteWriter.u64Bytes(UInt64(body.count))[4...])
    let last = entries.last ?? []
    let leaf = AuditEntry.leafHash(last.span)
    var frame = header + body + SHA256.hash([2] + header + leaf.bytes).bytes
    frame.resize(to: (frame.count + 511) / 512 * 512)
    return frame
  }
}
