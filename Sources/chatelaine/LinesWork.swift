internal import ChatelaineClient
internal import ChatelaineExits

/// A line that could not be done.
struct LineFailure: Error {
  let number: Int
  let error: ClientError
}

/// `--lines`: batches of lines through the service, several under way, results in order.
struct LinesWork {
  struct Words {
    let doing: String
    let done: String
    let lineBytesMax: Int
    /// Whether the results are.
    let secret: Bool
  }

  /// What becomes of one batch: a result for each line, or for those up to the first that failed.
  typealias Work =
    @Sendable (ChatelaineConnection, [[UInt8]]) async throws -> [Result<[UInt8], ClientError>]

  static let batchesUnderWay = 4

  private struct UnderWay {
    let batch: LineReader.Batch
    let results: Task<[Result<[UInt8], ClientError>], any Error>
  }

  private let options: DataOptions
  private let words: Words

  init(_ options: DataOptions, _ words: Words) {
    self.options = options
    self.words = words
  }

  func run(_ work: @escaping Work) async throws {
    let input = try InputFile(options.input)
    let output = try OutputFile(options.output, isSecret: words.secret)
    let connection = try await options.data.connect()
    let meter = LinesMeter(words, total: input.byteCount, isWanted: options.progress)
    var reader = LineReader(input, lineBytesMax: words.lineBytesMax)
    var underWay: [UnderWay] = []
    defer { for one in underWay { one.results.cancel() } }
    while true {
      // why: whoever writes a line and waits for its result gets it before the next one is read.
      while !underWay.isEmpty, reader.wouldWait { try await finishFirst(&underWay, output, meter) }
      guard let batch = try reader.next() else { break }
      underWay.append(UnderWay(batch: batch, results: Task { try await work(connection, batch.lines) }))
      if underWay.count >= Self.batchesUnderWay { try await finishFirst(&underWay, output, meter) }
    }
    while !underWay.isEmpty { try await finishFirst(&underWay, output, meter) }
    await connection.close()
    try output.finish()
    meter.finish()
  }

  /// Writes the results of the oldest batch: whole lines, up to the first that failed.
  private func finishFirst(_ underWay: inout [UnderWay], _ output: OutputFile, _ meter: LinesMeter)
    async throws
  {
    let one = underWay.removeFirst()
    let results = try await one.results.value
    var text: [UInt8] = []
    for (index, result) in results.enumerated() {
      switch result {
      case .success(let line):
        text += line
        if one.batch.isTerminated || index + 1 < one.batch.lines.count { text.append(UInt8(ascii: "\n")) }
      case .failure(let error):
        try output.write(text)
        throw LineFailure(number: one.batch.firstNumber + index, error: error)
      }
    }
    try output.write(text)
    meter.advance(lines: one.batch.lines.count, bytes: one.batch.byteCount)
  }

  /// Takes text forms off before `body`. The first line that is none is the last result.
  static func decoded(
    _ lines: [[UInt8]], _ body: ([[UInt8]]) async throws -> [Result<[UInt8], ClientError>]
  ) async throws -> [Result<[UInt8], ClientError>] {
    var envelopes: [[UInt8]] = []
    var fault: ClientError?
    for line in lines where fault == nil {
      do throws(ClientError) { envelopes.append(try StoredForm.decodeText(line)) } catch { fault = error }
    }
    let results = envelopes.isEmpty ? [] : try await body(envelopes)
    return fault.map { results + [.failure($0)] } ?? results
  }
}
