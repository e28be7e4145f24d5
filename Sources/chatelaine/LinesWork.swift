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
    /// A result as --json has it.
    let json: ([UInt8]) -> (String, JSON)
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
    var failure: LineFailure?
    defer { for one in underWay { one.results.cancel() } }
    var unread: Failure?
    while true {
      let (waits, next): (Bool, LineReader.Batch?)
      do throws(Failure) {
        waits = underWay.isEmpty ? false : try reader.wouldWait()
        next = waits ? nil : try reader.next()
      } catch {
        unread = error
        break
      }
      // why: whoever writes a line and waits for its result gets it before the next one is there.
      if waits {
        try await finishFirst(&underWay, output, meter, &failure)
        continue
      }
      guard let batch = next else { break }
      underWay.append(UnderWay(batch: batch, results: begin(work, on: batch, connection)))
      if underWay.count >= Self.batchesUnderWay { try await finishFirst(&underWay, output, meter, &failure) }
    }
    // why: whatever ended the reading, what the service has done by then is not kept back.
    while !underWay.isEmpty { try await finishFirst(&underWay, output, meter, &failure) }
    await connection.close()
    if let unread { throw unread }
    try output.finish()
    meter.finish()
    if let failure { throw failure }
  }

  private func begin(
    _ work: @escaping Work, on batch: LineReader.Batch, _ connection: ChatelaineConnection
  ) -> Task<[Result<[UInt8], ClientError>], any Error> {
    let (goesOn, tooLong) = (options.json, ClientError.lineTooLong(words.lineBytesMax))
    return Task {
      guard !batch.isTooLong else { return [.failure(tooLong)] }
      do { return try await work(connection, batch.lines) } catch let error as ClientError where goesOn {
        return [Result<[UInt8], ClientError>](repeating: .failure(error), count: batch.lines.count)
      }
    }
  }

  /// Writes the results of the oldest batch.
  private func finishFirst(
    _ underWay: inout [UnderWay], _ output: OutputFile, _ meter: LinesMeter, _ failure: inout LineFailure?
  ) async throws {
    let one = underWay.removeFirst()
    let results = try await one.results.value
    if options.json {
      try write(objects: results, of: one, to: output, &failure)
    } else {
      try write(results, of: one, to: output)
    }
    meter.advance(lines: one.batch.lines.count, bytes: one.batch.byteCount)
  }

  /// An object for each line, for those that failed too: nothing ends there, so that one bad line in a million costs
  /// one line.
  private func write(
    objects results: [Result<[UInt8], ClientError>], of one: UnderWay, to output: OutputFile,
    _ failure: inout LineFailure?
  ) throws {
    var text = ""
    for (index, result) in results.enumerated() {
      let number = one.batch.firstNumber + index
      let line = ("line", JSON.number(UInt64(number)))
      switch result {
      case .success(let value): text += JSON.object([line, ("ok", .bool(true)), words.json(value)]).text
      case .failure(let error):
        failure = failure ?? LineFailure(number: number, error: error)
        let why = [("code", JSON.string(error.code.rawValue)), ("sentence", .string(error.sentence))]
        let call = error.requestID.map { [("requestId", JSON.string($0.description))] } ?? []
        text += JSON.object([line, ("ok", .bool(false))] + why + call).text
      }
      text += "\n"
    }
    try output.write(Array(text.utf8))
  }

  /// Whole lines, up to the first that failed.
  private func write(
    _ results: [Result<[UInt8], ClientError>], of one: UnderWay, to output: OutputFile
  ) throws {
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
  }

  /// Takes text forms off before `body`, which gets those that are any.
  static func decoded(
    _ lines: [[UInt8]], _ body: ([[UInt8]]) async throws -> [Result<[UInt8], ClientError>]
  ) async throws -> [Result<[UInt8], ClientError>] {
    var envelopes: [[UInt8]] = []
    var results: [Result<[UInt8], ClientError>?] = []
    for line in lines {
      do throws(ClientError) {
        envelopes.append(try StoredForm.decodeText(line))
        results.append(nil)
      } catch { results.append(.failure(error)) }
    }
    var rest = (envelopes.isEmpty ? [] : try await body(envelopes))[...]
    return results.map { $0 ?? rest.removeFirst() }
  }
}

extension ClientError {
  fileprivate static func lineTooLong(_ byteCount: Int) -> ClientError {
    ClientError(.limitExceeded, "A line has at most \(byteCount) bytes here, and nothing of it was sent.")
  }
}
