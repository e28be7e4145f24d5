internal import ArgumentParser
internal import ChatelaineClient

/// `chatelaine rewrap`: envelopes and wrapped data keys moved to the current version of their key.
struct RewrapCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rewrap",
    abstract: "Moves an envelope or a wrapped data key, or one in each line, to its key's current version.",
    discussion: "What is current already comes back as it was. No plaintext is shown.\n\n" + exitCodesHelp)

  @Argument(help: "The tenant.")
  var tenant: String

  @Flag(help: "Write bytes, not the text form ch1.…")
  var binary = false

  @OptionGroup var options: DataOptions

  func validate() throws {
    guard !binary || !options.lines else { throw ValidationError("--lines and --binary exclude each other.") }
  }

  func run() async throws {
    if options.lines { return try await runLines() }
    let bytes = try StoredForm.decode(try options.readWhole(atMost: InputLimit.envelope))
    let place = try OutputFile(options.output, isSecret: false)
    let connection = try await options.data.connect()
    let reply = try await connection.rewrapStored(
      bytes, tenant: tenant, context: options.context.pairs, options: options.tags.options)
    await connection.close()
    let moved = binary ? reply.value : StoredForm.line(reply.value)
    try options.deliver(moved, to: place, reply.receipt) {
      ("envelope", .string(StoredForm.encode(reply.value)))
    }
  }

  private func runLines() async throws {
    let (tenant, context, tags) = (self.tenant, try options.context.pairs, options.tags.options)
    let words = LinesWork.Words(
      doing: "rewrapping", done: "rewrapped", lineBytesMax: InputLimit.envelope, secret: false
    ) { ("envelope", .string(String(decoding: $0, as: UTF8.self))) }
    try await LinesWork(options, words).run { connection, lines in
      try await LinesWork.decoded(lines) { envelopes in
        let results = await connection.rewrapAll(envelopes, tenant: tenant, context: context, options: tags)
        return results.map { $0.map { Array(StoredForm.encode($0).utf8) } }
      }
    }
  }
}

extension ChatelaineConnection {
  /// Either kind, told apart by its bytes.
  fileprivate func rewrapStored(
    _ bytes: [UInt8], tenant: String, context: [String: String], options: CallOptions
  ) async throws(ClientError) -> Reply<[UInt8]> {
    if StoredForm.isWrappedDataKey(bytes) {
      return try await rewrap(wrappedDataKey: bytes, tenant: tenant, context: context, options: options)
    }
    return try await rewrap(envelope: bytes, tenant: tenant, context: context, options: options)
  }

  /// A call each, all at once; the connection bounds how many are under way.
  fileprivate func rewrapAll(
    _ all: [[UInt8]], tenant: String, context: [String: String], options: CallOptions
  ) async -> [Result<[UInt8], ClientError>] {
    await withTaskGroup(of: (Int, Result<[UInt8], ClientError>).self) { group in
      for (index, bytes) in all.enumerated() {
        group.addTask {
          do throws(ClientError) {
            return (
              index,
              .success(
                try await self.rewrapStored(bytes, tenant: tenant, context: context, options: options).value)
            )
          } catch { return (index, .failure(error)) }
        }
      }
      var results = [Result<[UInt8], ClientError>](repeating: .success([]), count: all.count)
      for await (index, result) in group { results[index] = result }
      return results
    }
  }
}
