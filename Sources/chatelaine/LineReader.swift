internal import ChatelaineExits
internal import ChatelaineVocabulary

/// Lines of an input, in batches of a size that the service takes.
struct LineReader {
  struct Batch: Sendable {
    /// The first one's, from 1.
    let firstNumber: Int
    var lines: [[UInt8]] = []
    var byteCount = 0
    /// False where the very last line has no new line.
    var isTerminated = true
    /// A line of more bytes than one may have, alone in its batch, and without its bytes.
    var isTooLong = false
  }

  private struct Line {
    let bytes: [UInt8]
    let isTerminated: Bool
    var isTooLong = false
  }

  static let batchBytesMax = 512 << 10

  private let input: InputFile
  private let lineBytesMax: Int
  private var rest: ArraySlice<UInt8> = []
  private var partial: [UInt8] = []
  /// A line that the batch before had no room for.
  private var held: Line?
  /// Lines that were read.
  private var count = 0
  private var isAtEnd = false
  /// Whether what comes next, up to a new line, belongs to a line that was too long.
  private var isSkipping = false

  init(_ input: InputFile, lineBytesMax: Int) {
    self.input = input
    self.lineBytesMax = lineBytesMax
  }

  /// Whether the next batch waits for somebody to write. What is there of its first line is taken in.
  mutating func wouldWait() throws(Failure) -> Bool { !(try takeInLine(waiting: false)) }

  /// What is there, up to a full batch; waits only for the first line. nil at the end. A line that is too long is a
  /// batch of its own as soon as that is known; the rest of it is passed over, should there be a next batch.
  mutating func next() throws(Failure) -> Batch? {
    var batch = Batch(firstNumber: count + (held == nil ? 1 : 0))
    while batch.lines.count < Limits.batchItemsMax, try takeInLine(waiting: batch.lines.isEmpty) {
      guard let line = nextLine() else { break }
      guard batch.lines.isEmpty || !line.isTooLong && batch.byteCount + line.bytes.count <= Self.batchBytesMax else {
        held = line
        break
      }
      batch.lines.append(line.bytes)
      batch.byteCount += line.bytes.count
      batch.isTerminated = line.isTerminated
      batch.isTooLong = line.isTooLong
      if line.isTooLong { break }
    }
    return batch.lines.isEmpty ? nil : batch
  }

  /// Reads until a line, or the end, is there; false where that needs somebody to write, and `waiting` is not wished.
  private mutating func takeInLine(waiting: Bool) throws(Failure) -> Bool {
    if held != nil { return true }
    while !isAtEnd {
      if let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
        guard isSkipping else { return true }
        (rest, isSkipping) = (rest[(end + 1)...], false)
        continue
      }
      if !isSkipping { partial += rest }
      rest = []
      if partial.count > lineBytesMax { return true }
      guard waiting || !input.wouldWait else { return false }
      rest = try input.read()
      isAtEnd = rest.isEmpty
    }
    return true
  }

  /// The line that was taken in; nil at the end.
  private mutating func nextLine() -> Line? {
    if let line = held.take() { return line }
    guard let end = rest.firstIndex(of: UInt8(ascii: "\n")) else {
      isSkipping = partial.count > lineBytesMax
      return partial.isEmpty ? nil : takePartial(isTerminated: false)
    }
    partial += rest[..<end]
    rest = rest[(end + 1)...]
    return takePartial(isTerminated: true)
  }

  private mutating func takePartial(isTerminated: Bool) -> Line {
    count += 1
    defer { partial = [] }
    guard partial.count <= lineBytesMax else { return Line(bytes: [], isTerminated: isTerminated, isTooLong: true) }
    return Line(bytes: partial, isTerminated: isTerminated)
  }
}
