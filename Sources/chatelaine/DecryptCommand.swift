internal import ArgumentParser
internal import ChatelaineClient

/// `chatelaine decrypt`: an envelope, or one in each line of a text.
struct DecryptCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "decrypt",
    abstract: "Decrypts a file with an envelope, in either form, or with one in each line.",
    discussion: "A file with plaintext is made with mode 0600.\n\n" + exitCodesHelp)

  @Argument(help: "The tenant.")
  var tenant: String

  @OptionGroup var options: DataOptions

  func run() async throws {
    if options.lines { return try await runLines() }
    let envelope = try StoredForm.decode(try options.readWhole(atMost: InputLimit.envelope))
    let place = try OutputFile(options.output, isSecret: true)
    let connection = try await options.data.connect()
    let reply = try await connection.decrypt(
      envelope, tenant: tenant, context: options.context.pairs, options: options.tags.options)
    await connection.close()
    try options.deliver(reply.value, to: place, reply.receipt) { ("plaintextBase64", base64(reply.value)) }
  }

  private func runLines() async throws {
    let (tenant, context, tags) = (self.tenant, try options.context.pairs, options.tags.options)
    let words = LinesWork.Words(
      doing: "decrypting", done: "decrypted", lineBytesMax: InputLimit.envelope, secret: true
    ) { ("plaintextBase64", base64($0)) }
    let isText = !options.json
    try await LinesWork(options, words).run { connection, lines in
      try await LinesWork.decoded(lines) { envelopes in
        let items = envelopes.map { BatchItem($0, context: context) }
        let results = try await connection.decryptAll(items, tenant: tenant, options: tags)
        return isText ? results.map(Self.oneLine) : results
      }
    }
  }

  /// What was not made by --lines may have new lines inside: then lines are not what it was.
  private static func oneLine(_ result: Result<[UInt8], ClientError>) -> Result<[UInt8], ClientError> {
    guard case .success(let plaintext) = result, plaintext.contains(UInt8(ascii: "\n")) else { return result }
    return .failure(
      ClientError(.invalidRequest, "The plaintext has new lines inside: decrypt this one without --lines."))
  }
}

extension ChatelaineConnection {
  /// A batch, and one more for what it named beyond the different keys that one may, as long as that gets on.
  fileprivate func decryptAll(
    _ items: [BatchItem], tenant: String, options: CallOptions
  ) async throws(ClientError) -> [Result<[UInt8], ClientError>] {
    var results = try await decryptBatch(items, tenant: tenant, options: options).value
    var left = results.indices.filter { results[$0].isBeyondLimit }
    while !left.isEmpty, left.count < items.count {
      do throws(ClientError) {
        let more = try await decryptBatch(left.map { items[$0] }, tenant: tenant, options: options).value
        for (index, result) in zip(left, more) { results[index] = result }
      } catch {
        // why: the others are done, and stand in the log as such.
        for index in left { results[index] = .failure(error) }
        break
      }
      let rest = left.filter { results[$0].isBeyondLimit }
      guard rest.count < left.count else { break }
      left = rest
    }
    return results
  }
}

extension Result where Failure == ClientError {
  fileprivate var isBeyondLimit: Bool {
    if case .failure(let error) = self { error.code == .limitExceeded } else { false }
  }
}
