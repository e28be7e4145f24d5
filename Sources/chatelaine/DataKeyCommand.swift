internal import ArgumentParser
internal import ChatelaineClient
internal import ChatelaineExits
internal import ChatelaineVocabulary

/// `chatelaine data-key`: fresh keys for whoever encrypts by himself.
struct DataKeyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "data-key", abstract: "Issues and unwraps data keys. The service keeps none.",
    subcommands: [DataKeyIssue.self, DataKeyUnwrap.self])
}

struct DataKeyIssue: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "issue", abstract: "Makes a fresh 256-bit key, plain and wrapped, or wrapped only.",
    discussion: "Prints the wrapped form (ch1.…), and the key in hexadecimal unless --key-out takes it.\n\n"
      + exitCodesHelp)

  @Argument(help: "TENANT/KEY")
  var name: KeyPath

  @Flag(help: "Only the wrapped form: the key itself does not leave the service.")
  var wrappedOnly = false

  @Option(help: "Write the key's 32 bytes to this file, mode 0600.")
  var keyOut: String?

  @Option(name: .customLong("out"), help: "Write the wrapped form to this file, in text form.")
  var output: String?

  @OptionGroup var context: ContextOptions
  @OptionGroup var data: DataSocketOptions
  @OptionGroup var tags: TagOptions

  @Flag(help: "Print one line of JSON.")
  var json = false

  func validate() throws {
    guard !wrappedOnly || keyOut == nil else {
      throw ValidationError("--wrapped-only and --key-out exclude each other.")
    }
  }

  func run() async throws {
    let keyPlace = try keyOut.map { try OutputFile($0, isSecret: true) }
    let place = try output.map { try OutputFile($0, isSecret: false) }
    if let place, let keyPlace, place.isInPlace(of: keyPlace) {
      throw Failure(.usage, "--out and --key-out must name two files: one would replace the other")
    }
    let connection = try await data.connect()
    let (wrapped, key, receipt) = try await issue(connection)
    await connection.close()
    try place?.write(StoredForm.line(wrapped))
    if let key { try keyPlace?.write(key) }
    try place?.finish()
    try keyPlace?.finish()
    report(wrapped, keyOut == nil ? key : nil, receipt)
  }

  private func issue(_ connection: ChatelaineConnection) async throws -> ([UInt8], [UInt8]?, Receipt) {
    let (pairs, options) = (try context.pairs, tags.options)
    guard !wrappedOnly else {
      let reply = try await connection.issueWrappedDataKey(
        tenant: name.tenant, key: name.key, context: pairs, options: options)
      return (reply.value, nil, reply.receipt)
    }
    let reply = try await connection.issueDataKey(
      tenant: name.tenant, key: name.key, context: pairs, options: options)
    return (reply.value.wrapped, reply.value.key, reply.receipt)
  }

  private func report(_ wrapped: [UInt8], _ key: [UInt8]?, _ receipt: Receipt) {
    guard !json else {
      var fields = [("wrapped", JSON.string(StoredForm.encode(wrapped)))]
      if let key { fields.append(("keyHex", .string(Hex.encode(key.span)))) }
      print(JSON.object(fields + [("receipt", receipt.json)]).text)
      return
    }
    if output == nil { print("wrapped  \(StoredForm.encode(wrapped))") }
    if let key { print("key      \(Hex.encode(key.span))") }
  }
}

struct DataKeyUnwrap: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "unwrap", abstract: "Unwraps a data key: prints it in hexadecimal, or writes it to a file.",
    discussion: exitCodesHelp)

  @Argument(help: "The tenant.")
  var tenant: String

  @Option(
    name: .customLong("in"),
    help: "Read the wrapped key, in either form, from this file. Without it: standard input.")
  var input: String?

  @Option(help: "Write the key's 32 bytes to this file, mode 0600.")
  var keyOut: String?

  @OptionGroup var context: ContextOptions
  @OptionGroup var data: DataSocketOptions
  @OptionGroup var tags: TagOptions

  @Flag(help: "Print one line of JSON.")
  var json = false

  func run() async throws {
    let stored = try InputFile(input).readAll(atMost: 4096) ?? []
    let wrapped = try StoredForm.decode(stored)
    guard StoredForm.isWrappedDataKey(wrapped) else {
      throw ClientError(.decryptionFailed, "This is not a wrapped data key.")
    }
    let place = try keyOut.map { try OutputFile($0, isSecret: true) }
    let connection = try await data.connect()
    let reply = try await connection.unwrapDataKey(
      wrapped, tenant: tenant, context: context.pairs, options: tags.options)
    await connection.close()
    try place?.write(reply.value)
    try place?.finish()
    var fields = [("receipt", reply.receipt.json)]
    if place == nil { fields.insert(("keyHex", .string(Hex.encode(reply.value.span))), at: 0) }
    if json { print(JSON.object(fields).text) } else if place == nil { print(Hex.encode(reply.value.span)) }
  }
}
