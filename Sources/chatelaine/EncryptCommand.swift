internal import ArgumentParser
internal import ChatelaineClient

/// `chatelaine encrypt`: a blob, or every line of a text.
struct EncryptCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "encrypt", abstract: "Encrypts a file, or each of its lines, under a tenant's key.",
    discussion: "At most 1 MiB a file, or a line: for more, see data-key issue.\n\n" + exitCodesHelp)

  @Argument(help: "TENANT/KEY")
  var name: KeyPath

  @Flag(help: "Write the envelope as bytes, not in its text form ch1.…")
  var binary = false

  @OptionGroup var options: DataOptions

  func validate() throws {
    guard !binary || !options.lines else { throw ValidationError("--lines and --binary exclude each other.") }
  }

  func run() async throws {
    if options.lines { return try await runLines() }
    let plaintext = try options.readWhole(atMost: InputLimit.plaintext)
    let place = try OutputFile(options.output, isSecret: false)
    let connection = try await options.data.connect()
    let reply = try await connection.encrypt(
      plaintext, tenant: name.tenant, key: name.key, context: options.context.pairs,
      options: options.tags.options)
    await connection.close()
    let bytes = binary ? reply.value : StoredForm.line(reply.value)
    try options.deliver(bytes, to: place, reply.receipt) {
      ("envelope", .string(StoredForm.encode(reply.value)))
    }
  }

  private func runLines() async throws {
    let (name, context, tags) = (self.name, try options.context.pairs, options.tags.options)
    let words = LinesWork.Words(
      doing: "encrypting", done: "encrypted", lineBytesMax: InputLimit.plaintext, secret: false
    ) { ("envelope", .string(String(decoding: $0, as: UTF8.self))) }
    try await LinesWork(options, words).run { connection, lines in
      let items = lines.map { BatchItem($0, context: context) }
      let reply = try await connection.encryptBatch(items, tenant: name.tenant, key: name.key, options: tags)
      return reply.value.map { $0.map { Array(StoredForm.encode($0).utf8) } }
    }
  }
}
