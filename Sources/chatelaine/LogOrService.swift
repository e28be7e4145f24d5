internal import ArgumentParser
internal import ChatelaineAuditTrail
internal import ChatelaineClient
internal import ChatelaineExits
internal import ChatelaineVocabulary

/// Where entries are read: in a log's files, or from the service that writes them.
struct LogOrServiceOptions: ParsableArguments {
  @Option(name: .customLong("log"), help: "The log's directory. Without it, a service is asked.")
  var directory: String?

  @OptionGroup var service: DataSocketOptions

  var isService: Bool { directory == nil }

  func check() throws(ValidationError) {
    guard directory != nil || service.isNamed else {
      throw ValidationError("Give --log DIR, or the --socket PATH or --config FILE of a service.")
    }
    guard directory == nil || service.socket == nil && service.server.config == nil else {
      throw ValidationError("--log reads files, --socket and --config ask a service: give one of them.")
    }
  }

  /// Where files are read.
  var files: LogOption {
    var option = LogOption()
    option.directory = directory ?? ""
    return option
  }
}

/// What `audit show` does where a service is asked.
struct ServiceShow {
  private let command: AuditShow
  private let lines: EntryLines
  private let output = LineBuffer()

  init(_ command: AuditShow, _ lines: EntryLines) { (self.command, self.lines) = (command, lines) }

  func run() async throws {
    let query = try command.query
    let connection = try await command.log.service.connect()
    // why: what came before a page that fails is shown too.
    defer { output.flush() }
    if let heading = lines.heading { output.append(heading) }
    var left = command.limit ?? (command.newestFirst ? EntrySelection.newestWithoutLimit : .max)
    var token: LogPageToken?
    repeat {
      let page = try await connection.logEntries(query, page: token, limit: left).value
      for entry in page.entries { try show(entry) }
      output.flush()
      if output.hasFailed { throw outputFailure }
      left -= page.entries.count
      token = page.next
    } while token != nil && left > 0
    await connection.close()
  }

  private func show(_ entry: LogEntry) throws {
    guard let bytes = entry.bytes, let parsed = try? AuditEntry(parsing: bytes.span) else {
      return printError("chatelaine: entry \(entry) was purged: its leaf hash is \(entry.leafHash)")
    }
    output.append(lines.line(parsed, leafHash: AuditEntry.leafHash(bytes.span), epoch: entry.epoch))
  }
}

extension AuditShow {
  fileprivate var query: LogQuery {
    get throws {
      if key != nil, tenant == nil { throw ValidationError("A service is asked for the key of a tenant: give --tenant too.") }
      var query = LogQuery(
        tenant: tenant ?? "", key: key?.rawValue ?? "", principal: principal ?? "", operation: operation?.word ?? "",
        outcome: outcome?.word ?? "", requestID: requestID.flatMap { RequestID($0.hex) },
        actor: try actor.map(unescaped) ?? "", newestFirst: newestFirst)
      query.subjectDigest = subject?.hex ?? ""
      query.sinceUnixNanoseconds = since?.nanoseconds ?? 0
      query.untilUnixNanoseconds = until?.nanoseconds ?? 0
      query.fromSequence = after.map { $0 == .max ? $0 : $0 + 1 } ?? 0
      query.beforeSequence = before ?? 0
      query.epoch = epoch ?? 0
      return query
    }
  }
}

/// The text that `EntryText.escaped` writes so.
private func unescaped(_ text: String) throws -> String {
  var (bytes, rest) = ([UInt8](), Array(text.utf8)[...])
  while let byte = rest.popFirst() {
    guard byte == UInt8(ascii: "\\") else {
      bytes.append(byte)
      continue
    }
    guard rest.popFirst() == UInt8(ascii: "x"), let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
    else { throw ValidationError("'\(text)' is not an actor as 'audit show' prints it") }
    bytes.append(value)
    rest = rest.dropFirst(2)
  }
  guard let actor = String(validating: bytes, as: UTF8.self) else {
    throw ValidationError("'\(text)' is not an actor as 'audit show' prints it")
  }
  return actor
}

/// What `audit export` does where a service is asked.
struct ServiceExport {
  private let command: AuditExport

  init(_ command: AuditExport) { self.command = command }

  func run() async throws {
    let connection = try await command.log.service.connect()
    var options = command.tags.options
    // why: the log commits to all tenants' histories once a second at most.
    options.timeout = .seconds(90)
    var page = try await connection.logHistory(of: command.tenant, options: options).value
    guard let proof = page.proof, let size = Self.size(proof) else {
      throw ClientError(.malformedReply, "The service gave no proof of the history.")
    }
    var epoch: UInt32 = 1
    let count = try await HistoryFiles.make(in: command.out) { entries in
      var lines = HistoryLines(entries, of: Array(command.tenant.utf8))
      while true {
        for entry in page.entries {
          guard let bytes = entry.bytes else {
            throw Failure(.noInput, "entry \(entry) was purged: a whole history of \(command.tenant) is no longer to be had")
          }
          lines.add(bytes.span)
          epoch = entry.epoch
        }
        guard let next = page.next else { break }
        page = try await connection.logHistory(of: command.tenant, page: next, options: options).value
      }
      try lines.finish()
      return (lines.count, proof)
    }
    await connection.close()
    command.tell(count, size: size, epoch)
  }

  /// Up to where a proof says that the history goes.
  private static func size(_ proof: [UInt8]) -> UInt64? {
    guard let entry = (try? HistoryProof(parsing: proof))?.commitment.entry else { return nil }
    return (try? AuditEntry(parsing: entry.span)).flatMap(TenantHeads.init)?.size
  }
}
