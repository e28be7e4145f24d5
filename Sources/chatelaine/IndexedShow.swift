internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineCustody
internal import ChatelaineExits
internal import ChatelaineVocabulary
internal import Glibc

/// What `audit show --index` does: finds blocks by the index, reads them from the log, and holds each against the tree.
struct IndexedShow {
  private let path: String
  private let storage: FileStorage
  private let directory: FileStorage
  private let lines: EntryLines
  private let isNewestFirst: Bool
  private let key: NoteKey?
  private var filter: EntryFilter
  private var left: Int
  private let output = LineBuffer()

  init(_ command: AuditShow, _ path: String, _ storage: FileStorage, _ lines: EntryLines) throws {
    (self.path, self.storage, self.lines) = (path, storage, lines)
    (isNewestFirst, filter) = (command.newestFirst, command.filter)
    left = command.limit ?? (command.newestFirst ? EntrySelection.newestWithoutLimit : .max)
    key = try command.logKey.map(readPublicKey)
    if unsafe access(path, F_OK) != 0, errno == ENOENT { try NewDirectory.makeFolder(path, mode: 0o700) }
    do throws(StorageFailure) { directory = try FileStorage(path: path, exclusively: true) } catch {
      throw Self.failure(.storage(error), path)
    }
  }

  mutating func run(_ epochs: [EpochDescriptor]) throws {
    defer { output.flush() }
    if let heading = lines.heading { output.append(heading) }
    for epoch in isNewestFirst ? epochs.reversed() : epochs where left > 0 {
      do { try search(epoch) } catch let error as IndexFault { throw Self.failure(error, path) }
      output.flush()
      if output.hasFailed { throw outputFailure }
    }
  }

  private mutating func search(_ epoch: EpochDescriptor) throws {
    let files = try LogDirectory(storage, epoch: epoch.epoch)
    var index = try EntryIndex(in: directory, of: files)
    let progress = try ProgressLine(total: LogReader(storage, epoch: epoch.epoch).totalBytes(), label: "indexing")
    try index.catchUp(progress: progress.advance)
    progress.finish()
    let head = try key.map { try newestHead(storage, epoch, key: $0, of: storage.path) }
    if let head { try index.check(head.checkpoint.root, at: head.checkpoint.size) }
    if let terms = filter.termsOfKeyIDs {
      try index.blocks(of: terms, newestFirst: false) { block in
        // why: these tell which id a key of the name has, by which a batch over several keys names it.
        for bytes in try index.entries(ofBlock: block) { _ = try filter.takes(AuditEntry(parsing: bytes.span)) }
        return true
      }
    }
    var (found, blocks) = (0, 0)
    try index.blocks(of: filter.terms, newestFirst: isNewestFirst) { block in
      blocks += 1
      found += try show(index.entries(ofBlock: block), epoch.epoch)
      return left > 0
    }
    tell(index, epoch, head, found: found, blocks: blocks)
  }

  /// How many of a block's entries were asked for.
  private mutating func show(_ entries: [[UInt8]], _ epoch: UInt32) throws -> Int {
    let before = left
    for bytes in isNewestFirst ? entries.reversed() : entries where left > 0 {
      let entry = try AuditEntry(parsing: bytes.span)
      guard filter.takes(entry) else { continue }
      output.append(lines.line(entry, leafHash: AuditEntry.leafHash(bytes.span), epoch: epoch))
      left -= 1
    }
    return before - left
  }

  /// What was done, and what it shows.
  private func tell(_ index: EntryIndex, _ epoch: EpochDescriptor, _ head: SignedHead?, found: Int, blocks: Int) {
    let tree = head.map { "which goes on from the head that was signed over \($0.checkpoint.size)" }
      ?? "which goes on from the newest segment's header; no signed head was asked for"
    printError(
      """
      chatelaine: by the index, over the first \(index.size) entries\(epoch.epoch == 1 ? "" : " of epoch \(epoch.epoch)"): \
      \(found) shown, from \(blocks) blocks of 256, each read from the log and found in its tree (\(tree)). \
      That there are no others is not shown: for that, leave --index out.
      """)
  }

  private static func failure(_ fault: IndexFault, _ path: String) -> Failure {
    let status: ExitStatus =
      switch fault {
      case .storage(let failure):
        failure.call == .lock ? .busy : failure.isOfPermission ? .noPermission : .inputOutput
      case .damaged, .otherLog, .brokenLog: .data
      }
    return Failure(status, "\(printable(path)): \(fault.sentence)")
  }
}
