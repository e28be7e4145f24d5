internal import ArgumentParser
internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineHardening
internal import ChatelaineVocabulary
internal import Glibc

/// `chatelaine audit show`: prints entries, oldest first: of a log's files, each checked against the chain before it is
/// shown, or as a service gives them to a reviewer.
struct AuditShow: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Prints entries of the log, oldest first.",
    discussion: """
      With --log the log's files are read: that needs no key and no service. With --socket, the data or the admin socket, \
      or --config the service is asked, and gives what its policy lets you read (log-read); each page is noted in the log.
      """)

  @OptionGroup var log: LogOrServiceOptions

  @Option(help: "Only this epoch of the log; without it, one after the other.")
  var epoch: UInt32?

  @Option(help: "Only this tenant; `_service` for acts on the whole service.")
  var tenant: String?

  @Option(help: "Only this key name.", transform: parseKeyName)
  var key: KeyName?

  @Option(help: "Only this principal, such as uid:1000.")
  var principal: String?

  @Option(help: "Only this operation, such as decrypt.", transform: parseWord)
  var operation: Operation?

  @Option(help: "Only this outcome: ok, denied, failed, unknown, none.", transform: parseWord)
  var outcome: Outcome?

  @Option(help: "Only this request id, 32 hexadecimal digits.", transform: parseIdentifier)
  var requestID: Identifier?

  @Option(help: "From this time on: RFC 3339 in UTC, such as 2026-01-31T12:00:00Z.", transform: parseTime)
  var since: WallTime?

  @Option(help: "Before this time.", transform: parseTime)
  var until: WallTime?

  @Option(help: "Only what was done on behalf of this actor, as `show` prints it.")
  var actor: String?

  @Option(help: "Only this subject digest, 32 hexadecimal digits.", transform: parseIdentifier)
  var subject: Identifier?

  @Option(help: "Only entries behind this sequence.")
  var after: UInt64?

  @Option(help: "Only entries before this sequence: with --newest-first, the next page.")
  var before: UInt64?

  @Option(help: "At most so many entries.")
  var limit: Int?

  @Flag(help: "The newest first, 100 without --limit.")
  var newestFirst = false

  @Flag(name: [.customShort("f"), .long], help: "Go on with entries as they are written.")
  var follow = false

  @Option(help: "text, json (one object a line), csv (RFC 4180), syslog (RFC 5424) or cef.")
  var format = ShowFormat.text

  @Flag(help: "The same as --format json.")
  var json = false

  @Option(
    help: """
      Go on behind what an earlier call with this file has printed, and note there how far this one came. The file says \
      which log it is of: another log, or one that was cut or rewritten, is refused.
      """, completion: .file())
  var cursor: String?

  @Option(
    help: """
      Find the entries by an index in this directory, which is made, or brought up to date, first. Needs --tenant, --key, \
      --principal, --request-id, --actor or --subject. What is found is read from the log and held against its tree; \
      that there is no more, only a reading without --index shows.
      """, completion: .directory)
  var index: String?

  @Option(help: "With --index: the log's public key, or a file with it; the log must go on from its newest signed head.")
  var logKey: String?

  @Option(help: "The machine that syslog and cef name; without it, this one.")
  var host: String?

  func validate() throws {
    if let limit, limit < 1 { throw ValidationError("--limit is at least 1.") }
    if newestFirst || index != nil, follow || cursor != nil {
      let option = newestFirst ? "--newest-first" : "--index"
      throw ValidationError("\(option) goes with neither --follow nor --cursor: these go on where the log ends.")
    }
    if index != nil, filter.terms.isEmpty {
      throw ValidationError("An index finds a tenant, key, principal, request id, actor or subject: name one.")
    }
    try log.check()
    if log.isService, follow || cursor != nil || index != nil {
      throw ValidationError("--follow, --cursor and --index read the log's files: give --log.")
    }
    if logKey != nil, index == nil { throw ValidationError("--log-key goes with --index: 'audit verify' checks heads.") }
  }

  func run() async throws {
    signal(SIGPIPE, SIG_DFL)
    if log.isService { return try await ServiceShow(self, EntryLines(json ? .json : format, host: host)).run() }
    try showFiles()
  }

  private func showFiles() throws {
    let storage = try log.files.open()
    let epochs = try epoch == nil ? LogEpochs(storage).all : [EpochOption.descriptor(epoch, in: storage)]
    if let index {
      var search = try IndexedShow(self, index, storage, EntryLines(json ? .json : format, host: host))
      return try search.run(epochs)
    }
    var cursor = try self.cursor.map { try LogCursor($0, of: epochs) }
    var reader = try LogReader(storage, epoch: cursor?.epoch.epoch ?? epochs[0].epoch, ahead: .allCores)
    var next: EpochDescriptor?
    var selection = EntrySelection(self)
    let lines = EntryLines(json ? .json : format, host: host)
    var heading = cursor?.isNew ?? true ? lines.heading : nil
    repeat {
      let output = LineBuffer()
      // why: what was read before a fault is shown too.
      defer { output.flush() }
      if let heading = heading.take() { output.append(heading) }
      let number = reader.epoch.epoch
      let end = try reader.readAvailable(visit: { bytes in
        guard let entry = try? AuditEntry(parsing: bytes) else { return }
        // why: earlier entries tell which id a key of a name has.
        let isWanted = selection.takes(entry)
        guard cursor?.isPast(entry) ?? true, !selection.isFull else { return }
        let leafHash = AuditEntry.leafHash(bytes)
        if isWanted { selection.add(lines.line(entry, leafHash: leafHash, epoch: number), to: output) }
        cursor?.pass(entry, leafHash: leafHash)
      })
      next = try epoch == nil ? LogEpochs(storage).all.first { $0.epoch > reader.epoch.epoch } : nil
      try cursor?.check(reader.verifier, before: next, in: storage)
      if next == nil { selection.end(output) }
      output.flush()
      if output.hasFailed { throw outputFailure }
      try cursor?.note()
      if let next {
        reader = try LogReader(storage, epoch: next.epoch, ahead: .allCores)
        continue
      }
      if !follow, case .torn = end.tail {
        printError("chatelaine: the log ends in an interrupted write: \(end.segmentFile) at offset \(end.offset)")
      }
      if follow { usleep(200_000) }
    } while next != nil || follow && !selection.isFull
  }

  var filter: EntryFilter {
    var filter = EntryFilter()
    filter.tenant = tenant
    filter.keyName = key
    filter.principal = principal.map { Array($0.utf8) }
    filter.operation = operation
    filter.outcome = outcome
    filter.requestID = requestID
    filter.actor = actor
    filter.subject = subject
    filter.after = after
    filter.before = before
    filter.since = since
    filter.until = until
    return filter
  }
}

/// The entries that are asked for, as many as are.
struct EntrySelection {
  static let newestWithoutLimit = 100

  private var filter: EntryFilter
  private var left: Int
  private let newestMax: Int?
  /// The newest, oldest first; its first half may be too old.
  private var newest: [String] = []

  init(_ command: AuditShow) {
    filter = command.filter
    left = command.limit ?? .max
    newestMax = command.newestFirst ? command.limit ?? Self.newestWithoutLimit : nil
  }

  var isFull: Bool { left == 0 }

  mutating func takes(_ entry: AuditEntry) -> Bool { filter.takes(entry) }

  mutating func add(_ line: String, to output: LineBuffer) {
    guard let newestMax else {
      left -= 1
      return output.append(line)
    }
    newest.append(line)
    if newest.count >= 2 * newestMax { newest.removeFirst(newest.count - newestMax) }
  }

  mutating func end(_ output: LineBuffer) {
    guard let newestMax else { return }
    for line in newest.suffix(newestMax).reversed() { output.append(line) }
    newest = []
  }
}

enum ShowFormat: String, CaseIterable, ExpressibleByArgument {
  case text, json, csv, syslog, cef
}

struct EntryLines {
  private let format: ShowFormat
  private let host: String
  private let shared: EntryFormat?

  init(_ format: ShowFormat, host: String?) {
    self.format = format
    shared = EntryFormat(rawValue: format.rawValue)
    // why: a name is one word in both formats.
    let name = EntryText.escaped(Array((host ?? hostName()).utf8)).filter { $0 != " " }
    self.host = name.isEmpty ? "-" : String(name.prefix(255))
  }

  var heading: String? { shared?.heading }

  func line(_ entry: AuditEntry, leafHash: Digest, epoch: UInt32) -> String {
    if let shared { return shared.line(entry, leafHash: leafHash, host: host, epoch: epoch) }
    guard format == .json else { return entry.line(epoch) }
    return JSON.object([("epoch", .number(UInt64(epoch)))] + entry.fields(leafHash: leafHash)).text
  }
}

private func hostName() -> String {
  var name = utsname()
  guard unsafe uname(&name) == 0 else { return "" }
  return unsafe withUnsafeBytes(of: &name.nodename) { bytes in
    unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
  }
}

/// Gathers lines and writes them in large pieces.
final class LineBuffer {
  private var text = ""
  /// Once what was printed did not arrive.
  private(set) var hasFailed = false

  func append(_ line: String) {
    text += line
    text += "\n"
    if text.utf8.count > 65_536 { flush() }
  }

  func flush() {
    print(text, terminator: "")
    text = ""
    if !Hardening.hasOutputArrived() { hasFailed = true }
  }
}

// MARK: Arguments

private func parseKeyName(_ text: String) throws -> KeyName {
  guard let name = try? KeyName(text) else { throw ValidationError("'\(text)' is not a key name") }
  return name
}

private func parseWord<Word: LogWord>(_ text: String) throws -> Word {
  guard let word = Word(word: text) else {
    let known = Word.words.sorted { $0.key < $1.key }.map(\.value).joined(separator: ", ")
    throw ValidationError("'\(text)' is not one of: \(known)")
  }
  return word
}

private func parseIdentifier(_ text: String) throws -> Identifier {
  guard let id = Identifier(hex: text.lowercased()) else { throw ValidationError("'\(text)' is not 32 hexadecimal digits") }
  return id
}

private func parseTime(_ text: String) throws -> WallTime {
  guard let time = WallTime(rfc3339: text) else {
    throw ValidationError("'\(text)' is not a time such as 2026-01-31T12:00:00Z")
  }
  return time
}

// MARK: Printing

extension AuditEntry {
  /// With its place in an epoch.
  func line(_ epoch: UInt32 = 1) -> String {
    var parts = [
      placeText(epoch), wall.rfc3339, entryClass.word, operation.word, outcome.word,
      tenantText + (keyName.map { "/" + $0.rawValue } ?? ""),
    ]
    if keyVersion > 0 { parts.append("v\(keyVersion)") }
    if !principal.isEmpty { parts.append(EntryText.escaped(principal)) }
    if reason != .none { parts.append("reason=\(reason.word)") }
    if !rule.isEmpty { parts.append("rule=" + EntryText.escaped(rule)) }
    if !items.isEmpty { parts.append(itemsText) }
    if requestID != .zero { parts.append("request=" + requestID.hex) }
    for detail in details { parts.append("\(detail.tag.word)=\(detail.valueText)") }
    // why: what a caller says of itself stands last, behind all that the service knows.
    if !actor.isEmpty { parts.append("actor=" + EntryText.fieldValue(actor)) }
    if !purpose.isEmpty { parts.append("purpose=" + EntryText.fieldValue(purpose)) }
    return parts.joined(separator: " ")
  }

  /// A batch may have gone well in part.
  private var itemsText: String {
    let good = items.count { $0.outcome == .ok }
    return "items=\(items.count)" + (good == 0 || good == items.count ? "" : " (\(good) of \(items.count) ok)")
  }

  fileprivate func fields(leafHash: Digest) -> [(String, JSON)] {
    [
      ("sequence", .number(sequence)), ("time", .string(wall.rfc3339)), ("bootNanoseconds", .number(bootNanoseconds)),
      ("class", .string(entryClass.word)), ("operation", .string(operation.word)),
      ("outcome", .string(outcome.word)), ("reason", .string(reason.word)), ("tenant", .string(tenantText)),
      ("keyName", .string(keyName?.rawValue ?? "")), ("keyId", .string(keyID.hex)),
      ("keyVersion", .number(UInt64(keyVersion))), ("masterVersion", .number(UInt64(masterVersion))),
      ("storeGeneration", .number(storeGeneration)), ("door", .string(door.word)),
      ("principalKind", .string(principalKind.word)), ("principal", .string(EntryText.escaped(principal))),
      ("role", .string(EntryText.escaped(role))), ("rule", .string(EntryText.escaped(rule))),
      ("source", .string(EntryText.escaped(source))), ("actor", .string(EntryText.escaped(actor))),
      ("purpose", .string(EntryText.escaped(purpose))), ("requestId", .string(requestID.hex)),
      ("connection", .number(connection)), ("peerPid", .number(UInt64(peerPID))),
      ("peerUid", .number(UInt64(peerUID))), ("incarnation", .number(UInt64(incarnation))),
      ("subjectDigest", .string(subjectDigest?.hex ?? "")), ("items", .array(items.map(\.json))),
      ("details", .object(details.map { ($0.tag.word, .string($0.valueText)) })),
      ("previous", .string(previous.hex)), ("leafHash", .string(leafHash.hex)),
    ]
  }
}

extension AuditEntry.Item {
  fileprivate var json: JSON {
    .object([
      ("outcome", .string(outcome.word)), ("reason", .string(reason.word)), ("bytes", .number(UInt64(byteCount))),
      ("contextDigest", .string(contextDigest.hex)),
    ])
  }
}
