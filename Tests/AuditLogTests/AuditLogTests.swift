import ChatelaineAuditLog
import ChatelaineAuditTrail
import ChatelaineLogTestSupport
import ChatelaineTestSupport
import ChatelaineVocabulary
import Foundation
import Testing

/// The mailbox, the writer's thread and the filler's, on a real directory.
struct AuditLogTests {
  /// A directory that goes away with the value.
  final class Folder: Sendable {
    let path = FileManager.default.temporaryDirectory.appending(path: "chatelaine-\(UUID().uuidString)").path

    init() throws {
      try FileManager.default.createDirectory(
        atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func storage(exclusively: Bool = true) throws -> FileStorage {
      try FileStorage(path: path, exclusively: exclusively)
    }
  }

  static let options = LogOptions.small(first: 64 << 10, grown: 512 << 10)

  static func log(in storage: any LogStorage, creating: Bool = true) throws -> AuditLog {
    if creating { _ = try LogWriter.create(in: storage, name: "threads", options: options) }
    let (writer, _) = try LogWriter.open(in: storage, options: options)
    return AuditLog(writer)
  }

  @Test func `8 threads of 1,000 appends: all there, each thread's in order, receipts as a reader has them`()
    async throws
  {
    let folder = try Folder()
    let log = try Self.log(in: folder.storage())
    let receipts = Collected<(sequence: UInt64, leafHash: Digest)>()
    await withTaskGroup { group in
      for thread in 0..<8 {
        group.addTask {
          for number in 0..<1000 {
            log.append([.sample(UInt64(thread) << 32 | UInt64(number))]) { outcome in
              guard case .durable(let receipt) = consume outcome else { return }
              receipts.append((receipt.firstSequence, receipt.leafHashes[0]))
            }
          }
        }
      }
    }
    // close() writes what waits.
    log.close()
    #expect(log.head.nextSequence == 8000)
    let found = Verification(try folder.storage(exclusively: false), keepingEntries: true)
    #expect(found.verdict == .valid)
    #expect(found.entries.count == 8000)
    for thread in 0..<8 {
      let own = found.entries.filter { $0.requestID.low >> 32 == UInt64(thread) }
      #expect(own.map { $0.requestID.low & 0xffff } == Array(0..<1000))
    }
    let byReceipt = receipts.values.sorted { $0.sequence < $1.sequence }
    #expect(byReceipt.map(\.sequence) == Array(0..<8000))
    #expect(byReceipt.map(\.leafHash) == found.entries.map(\.leafHash))
  }

  @Test func `A closed log refuses`() throws {
    let folder = try Folder()
    let log = try Self.log(in: folder.storage())
    log.close()
    #expect(throws: AppendFailure.closed) { _ = try log.appendAndWait(.sample(1)) }
  }

  @Test func `A second writer on the same directory is refused while the first lives`() throws {
    let folder = try Folder()
    do {
      let storage = try folder.storage()
      _ = try LogWriter.create(in: storage, name: "locked", options: Self.options)
      let failure = #expect(throws: StorageFailure.self) { _ = try folder.storage() }
      #expect(failure?.call == .lock)
      #expect(throws: Never.self) { _ = try folder.storage(exclusively: false) }
    }
    #expect(throws: Never.self) { _ = try folder.storage() }
  }

  @Test func `A failed sync refuses all that wait and all that come, and is told once`() throws {
    let storage = MemoryStorage()
    _ = try LogWriter.create(in: storage, name: "poisoned", options: Self.options)
    let (writer, _) = try LogWriter.open(in: storage, options: Self.options)
    let told = Collected<StorageFailure>()
    let log = AuditLog(writer) { told.append($0) }
    _ = try log.appendAndWait(.sample(0))
    storage.setPlan { call, name, _ in call == .sync && name.hasSuffix(".seg") ? .fail(5) : nil }
    let outcomes = Collected<AppendFailure?>()
    for id in 1...200 {
      log.append([.sample(UInt64(id))]) { outcome in
        switch consume outcome {
        case .durable: outcomes.append(nil)
        case .failed(let failure): outcomes.append(failure)
        }
      }
    }
    log.close()
    #expect(log.isPoisoned)
    #expect(told.values.count == 1)
    #expect(outcomes.values.count == 200)
    for outcome in outcomes.values {
      guard case .poisoned = outcome else {
        Issue.record("\(String(describing: outcome))")
        return
      }
    }
    let failed = storage.calls.filter { $0.call == .sync && $0.name.hasSuffix(".seg") && $0.failed }
    #expect(failed.count == 1)
  }

  @Test func `A log that is written as fast as it rolls is valid afterwards`() throws {
    // The filler is never ahead here: it races with the writer for each spare.
    let folder = try Folder()
    let options = LogOptions.small(first: 64 << 10, grown: 4 << 20)
    let storage = try folder.storage()
    _ = try LogWriter.create(in: storage, name: "race", options: options)
    for _ in 0..<3 {
      let (writer, _) = try LogWriter.open(in: storage, options: options)
      let log = AuditLog(writer)
      for id in 0..<600 { log.append((0..<10).map { .sample(UInt64(id * 10 + $0)) }) { _ in } }
      log.close()
      #expect(Verification(storage).verdict == .valid)
    }
  }

  @Test func `A reader of a live log never calls it tampered`() throws {
    let folder = try Folder()
    let log = try Self.log(in: folder.storage())
    let done = Collected<Bool>()
    // why: a thread of its own; the test's own pool has as many as the machine has cores.
    let writing = Thread {
      for id in 0..<1500 { _ = try? log.appendAndWait(.sample(UInt64(id), padding: 100)) }
      done.append(true)
    }
    writing.start()
    var readings = 0
    while done.values.isEmpty {
      let found = Verification(try folder.storage(exclusively: false))
      #expect(found.verdict == .valid || found.verdict == .torn)
      readings += 1
    }
    log.close()
    #expect(readings > 1)
    #expect(Verification(try folder.storage(exclusively: false)).treeSize == 1500)
  }
}
