internal import ArgumentParser
internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineCustody
internal import ChatelaineExits
internal import ChatelaineVocabulary
internal import Foundation
internal import Glibc

/// `chatelaine audit export`: one tenant's whole history, for whoever has the public key and nothing else.
struct AuditExport: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export",
    abstract: "Writes all entries of one tenant, with proof that none is left out. Needs no key.",
    discussion: """
      With --log the log's files are read, and no service is needed. With --socket, the data or the admin socket, or \
      --config the service is asked, where its policy lets you read all of the tenant's entries (log-read); each page is \
      noted in the log. Whether anything is left out, 'audit verify-export' says.

      The directory gets `entries.jsonl`, one entry a line, and at the very end `history.proof`: without it the export \
      was not finished, and the same command begins again. The whole epoch is verified on the way; each has \
      a history of its own.
      """ + "\n\n" + evidenceCodesHelp)

  @OptionGroup var log: LogOrServiceOptions
  @OptionGroup var epoch: EpochOption
  @OptionGroup var tags: TagOptions

  @Option(help: "The tenant; `_service` for acts on the whole service.")
  var tenant: String

  @Option(help: "A directory that is not there, or empty.", completion: .directory)
  var out: String

  @Option(help: "The head to prove it under, in a file; without it, the log's newest.")
  var head: String?

  func validate() throws {
    try log.check()
    if log.isService, epoch.number != nil || head != nil {
      throw ValidationError("A service gives the history of its newest epoch, under its newest head: give --log.")
    }
    guard isTenant(tenant) else { throw ValidationError("'\(tenant)' is no tenant id, and not _service") }
  }

  func run() async throws {
    if log.isService { return try await ServiceExport(self).run() }
    try await exportFiles(log.files)
  }

  private func exportFiles(_ log: LogOption) async throws {
    let storage = try log.open()
    let epoch = try epoch.descriptor(in: storage)
    let head = try self.head.map(readHead) ?? newestHead(storage, epoch, key: nil, of: log.directory)
    if let other = epoch.epochNumber(ofOrigin: head.checkpoint.origin), other != epoch.epoch {
      throw Failure(.usage, "the head is of epoch \(other) of the log: give --epoch \(other)")
    }
    let (commitment, heads) = try commitment(log, storage, epoch, under: head)
    let count = try await HistoryFiles.make(in: out) { entries in
      let reader = try LogReader(storage, epoch: epoch.epoch, ahead: .allCores)
      let (count, index, hashes) = try write(to: entries, reader, heads)
      let proof = HistoryProof(tenant: Array(tenant.utf8), index: index, hashes: hashes, commitment: commitment)
      return (count, proof.encoded)
    }
    tell(count, size: heads.size, epoch.epoch)
  }

  func tell(_ count: UInt64, size: UInt64, _ epoch: UInt32) {
    let place = epoch == 1 ? "" : " of epoch \(epoch)"
    print("\(printable(out)): \(count) entries of \(tenant), complete up to entry \(size - 1)\(place)")
  }

  private enum Commitment {
    case found(EntryProof, TenantHeads)
    case none
  }

  /// The newest tenant heads that a head is over, with the proof of their entry.
  private func commitment(
    _ log: LogOption, _ storage: FileStorage, _ epoch: EpochDescriptor, under head: SignedHead
  ) throws -> (EntryProof, TenantHeads) {
    let (size, root) = (head.checkpoint.size, head.checkpoint.root)
    let found = try log.make(storage, epoch) { (source) throws(ProofSource.Missing) -> Commitment? in
      var sequence = size
      while sequence > 0 {
        sequence -= 1
        let entry = try source.entry(sequence)
        guard entry[1] == EntryClass.tenantHeads.rawValue,
          let heads = (try? AuditEntry(parsing: entry.span)).flatMap(TenantHeads.init)
        else { continue }
        let hashes = try TreeProof.inclusion(of: sequence, in: size) { node throws(ProofSource.Missing) in
          try source.node(node)
        }
        let leaf = AuditEntry.leafHash(entry.span)
        guard TreeProof.isIncluded(leaf: leaf, index: sequence, size: size, root: root, proof: hashes) else { return nil }
        return .found(EntryProof(entry: entry, index: sequence, hashes: hashes, head: head), heads)
      }
      return Commitment.none
    }
    guard case .found(let proof, let heads) = found else {
      throw Failure(
        .noInput,
        "\(printable(log.directory)): no entry before the head commits to tenants' histories: wait for the next published head, at most a minute")
    }
    return (proof, heads)
  }

  /// Writes the tenant's entries, and gives how many there are, its place in the tree, and the way from there.
  private func write(
    to file: OutputFile, _ log: LogReader, _ heads: TenantHeads
  ) throws -> (count: UInt64, index: UInt64, hashes: [Digest]) {
    var reader = log
    let progress = try ProgressLine(total: reader.totalBytes(), label: "exporting")
    var histories = TenantHistories()
    var lines = HistoryLines(file, of: Array(tenant.utf8))
    _ = try reader.readAvailable(
      visit: { entry in
        guard histories.size < heads.size else { return }
        let belongs = histories.take(entry)
        // why: the entry of that number only brings the hash of the last that is wanted.
        if belongs, histories.size < heads.size { lines.add(entry) }
      }, progress: progress.advance)
    progress.finish()
    try lines.finish()
    guard histories.size == heads.size, histories.heads() == heads else {
      throw EvidenceFailure(
        .tampered("the log's entries are not the histories that it commits to: see 'chatelaine audit verify'"), of: self.log.files.directory)
    }
    let name = Array(tenant.utf8)
    guard let (index, hashes) = histories.path(of: name.span) else {
      throw Failure(.noInput, "the log has no history of tenant \(tenant) before entry \(heads.size)")
    }
    return (lines.count, UInt64(index), hashes)
  }
}

/// Whether a history can be of it.
func isTenant(_ name: String) -> Bool {
  let bytes = Array(name.utf8)
  return isName(bytes.span) || name.utf8.elementsEqual(AuditEntry.serviceTenant.utf8)
}

/// The files of an export.
enum HistoryFiles {
  static let entries = "entries.jsonl"
  static let proof = "history.proof"

  /// Has the entries written, and behind them the proof, which makes an export of the files. A directory that was made for
  /// one goes away again where nothing was written.
  static func make(
    in path: String, _ write: (OutputFile) async throws -> (count: UInt64, proof: [UInt8])
  ) async throws -> UInt64 {
    let isNew = try prepare(path)
    do {
      let entries = try OutputFile(path + "/" + entries, isSecret: false)
      let (count, proof) = try await write(entries)
      try entries.finish()
      let file = try OutputFile(path + "/" + Self.proof, isSecret: false)
      try file.write(proof)
      try file.finish()
      return count
    } catch {
      if isNew { _ = unsafe rmdir(path) }
      throw error
    }
  }

  /// Makes the directory, or takes one that has nothing but what an export left that was not finished; true where it was
  /// made.
  private static func prepare(_ path: String) throws(Failure) -> Bool {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else {
      try NewDirectory.makeFolder(path, mode: 0o750)
      return true
    }
    let names = try? FileManager.default.contentsOfDirectory(atPath: path)
    guard status.st_mode & S_IFMT == S_IFDIR, let names, names.allSatisfy({ $0 == entries }) else {
      throw Failure(
        .cannotCreate,
        "\(printable(path)): it is there, and neither empty nor what an export left that was not finished: name another directory")
    }
    return false
  }

  /// Whether a file of the name is there; another thing than a file is refused, for reading it may never end.
  static func has(_ name: String, in path: String) throws(Failure) -> Bool {
    var status = stat()
    let file = path + "/" + name
    if unsafe stat(file, &status) == 0 {
      guard status.st_mode & S_IFMT == S_IFREG else { throw Failure(.data, "\(printable(file)): it is no regular file") }
      return true
    }
    guard errno == ENOENT else {
      throw Failure(ExitStatus(readingFailedWith: errno), "\(printable(file)): it cannot be looked at: check who may read it")
    }
    return false
  }
}

/// A tenant's entries on their way to a file, in large pieces.
struct HistoryLines {
  private let file: OutputFile
  private let tenant: [UInt8]
  private var bytes: [UInt8] = []
  private(set) var count: UInt64 = 0
  private var failure: Failure?

  init(_ file: OutputFile, of tenant: [UInt8]) { (self.file, self.tenant) = (file, tenant) }

  /// Takes an entry where it is the tenant's.
  mutating func add(_ entry: Span<UInt8>) {
    guard failure == nil, AuditEntry.isOf(tenant, entry) else { return }
    count += 1
    bytes += HistoryLine.encode(entry)
    if bytes.count > 1 << 20 { flush() }
  }

  private mutating func flush() {
    do throws(Failure) { try file.write(bytes) } catch { failure = error }
    bytes = []
  }

  mutating func finish() throws(Failure) {
    flush()
    if let failure { throw failure }
  }
}
