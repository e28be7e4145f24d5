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
  }

  private struct Line {
    let bytes: [UInt8]
    let isTerminated: Bool
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

  init(_ input: InputFile, lineBytesMax: Int) {
    self.input = input
    self.lineBytesMax = lineBytesMax
  }

  /// Whether the next batch waits for somebody to write.
  var wouldWait: Bool { held == nil && rest.isEmpty && !isAtEnd && input.wouldWait }

  /// What is there, up to a full batch; waits only for the first line. nil at the end.
  mutating func next() throws(Failure) -> Batch? {
    var batch = Batch(firstNumber: count + (held == nil ? 1 : 0))
    while batch.lines.count < Limits.batchItemsMax, batch.lines.isEmpty || !wouldWait {
      guard let line = try nextLine() else { break }
      guard batch.lines.isEmpty || batch.byteCount + line.bytes.count <= Self.batchBytesMax else {
        held = line
        break
      }
      batch.lines.append(line.bytes)
      batch.byteCount += line.bytes.count
      batch.isTerminated = line.isTerminated
    }
    return batch.lines.isEmpty ? nil : batch
  }

  private mutating func nextLine() throws(Failure) -> Line? {
    if let line = held.take() { return line }
    while true {
      if let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
        partial += rest[..<end]
        rest = rest[(end + 1)...]
        return try takePartial(isTerminated: true)
      }
      partial += rest
      rest = []
      try checkLength()
      guard !isAtEnd else { return nil }
      rest = try input.read()
      if rest.isEmpty {
        isAtEnd = true
        return partial.isEmpty ? nil : try takePartial(isTerminated: false)
      }
    }
  }

  private mutating func takePartial(isTerminated: Bool) throws(Failure) -> Line {
    try checkLength()
    count += 1
    defer { partial = [] }
    return Line(bytes: partial, isTerminated: isTerminated)
  }

  private func checkLength() throws(Failure) {
    guard partial.count <= lineBytesMax else {
      throw Failure(
        .data,
        "line \(count + 1): LIMIT_EXCEEDED: a line has at most \(lineBytesMax) bytes here, and nothing of it was sent"
      )
    }
  }
}
