internal import ArgumentParser
internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineCustody
internal import ChatelaineExits
internal import ChatelaineVocabulary
internal import Foundation
internal import Glibc

/// `chatelaine audit export`: one tenant's whole history, for whoever has the public key and nothing else.
struct AuditExport: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export",
    abstract: "Writes all entries of one tenant, with proof that none is left out. Needs no key and no service.",
    discussion: """
      The directory gets `entries.jsonl`, one entry a line, and at the very end `history.proof`: without it the export \
      was not finished, and the same command begins again. The whole epoch is verified on the way; each has \
      a history of its own.
      """ + "\n\n" + evidenceCodesHelp)

  @OptionGroup var log: LogOption
  @OptionGroup var epoch: EpochOption

  @Option(help: "The tenant; `_service` for acts on the whole service.")
  var tenant: String

  @Option(help: "A directory that is not there, or empty.", completion: .directory)
  var out: String

  @Option(help: "The head to prove it under, in a file; without it, the log's newest.")
  var head: String?

  func validate() throws {
    guard isTenant(tenant) else { throw ValidationError("'\(tenant)' is no tenant id, and not _service") }
  }

  func run() throws {
    let storage = try log.open()
    let epoch = try epoch.descriptor(in: storage)
    let head = try self.head.map(readHead) ?? newestHead(storage, epoch, key: nil, of: log.directory)
    let (commitment, heads) = try commitment(storage, epoch, under: head)
    try HistoryFiles.prepare(out)
    let entries = try OutputFile(out + "/" + HistoryFiles.entries, isSecret: false)
    let (count, index, hashes) = try write(to: entries, LogReader(storage, epoch: epoch.epoch), heads)
    let proof = HistoryProof(tenant: Array(tenant.utf8), index: index, hashes: hashes, commitment: commitment)
    try entries.finish()
    // why: last, for it is what makes an export of the files.
    let file = try OutputFile(out + "/" + HistoryFiles.proof, isSecret: false)
    try file.write(proof.encoded)
    try file.finish()
    print("\(printable(out)): \(count) entries of \(tenant), complete up to entry \(heads.size - 1)\(epoch.epoch == 1 ? "" : " of epoch \(epoch.epoch)")")
  }

  private enum Commitment {
    case found(EntryProof, TenantHeads)
    case none
  }

  /// The newest tenant heads that a head is over, with the proof of their entry.
  private func commitment(
    _ storage: FileStorage, _ epoch: EpochDescriptor, under head: SignedHead
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
        .tampered("the log's entries are not the histories that it commits to: see 'chatelaine audit verify'"), of: self.log.directory)
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

  /// Makes the directory, or takes one that has nothing but what an export left that was not finished.
  static func prepare(_ path: String) throws(Failure) {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else { return try NewDirectory.makeFolder(path, mode: 0o750) }
    let names = try? FileManager.default.contentsOfDirectory(atPath: path)
    guard status.st_mode & S_IFMT == S_IFDIR, let names, names.allSatisfy({ $0 == entries }) else {
      throw Failure(
        .cannotCreate,
        "\(printable(path)): it is there, and neither empty nor what an export left that was not finished: name another directory")
    }
  }

  static func has(_ name: String, in path: String) -> Bool { unsafe access(path + "/" + name, F_OK) == 0 }
}

/// A tenant's entries on their way to a file, in large pieces.
private struct HistoryLines {
  private let file: OutputFile
  private let tenant: [UInt8]
  private var bytes: [UInt8] = []
  private(set) var count: UInt64 = 0
  private var failure: Failure?

  init(_ file: OutputFile, of tenant: [UInt8]) { (self.file, self.tenant) = (file, tenant) }

  /// Takes an entry where it is the tenant's.
  mutating func add(_ entry: Span<UInt8>) {
    guard AuditEntry.isOf(tenant, entry), failure == nil else { return }
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
