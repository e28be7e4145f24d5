import ChatelaineAuditLog
import ChatelaineAuditTrail
import ChatelaineLogTestSupport
import Foundation
import Testing

/// What lies in a log's directory that is no file of a log, and who has the directory.
struct DirectoryTests {
  private let folder: AuditLogTests.Folder
  private var segment: String { folder.path + "/000001-0000000000.seg" }

  init() throws {
    folder = try AuditLogTests.Folder()
    let log = try AuditLogTests.log(in: folder.storage())
    _ = try log.appendAndWait(.sample(1))
    log.close()
  }

  private func refusal(_ storage: any LogStorage) -> LogError? {
    do throws(LogError) {
      var reader = try LogReader(storage)
      _ = try reader.readAvailable(visit: { _ in })
      return nil
    } catch { return error }
  }

  private func names() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() }

  @Test func `At a place that no file reaches there is nothing to read`() throws {
    let name = "000001-0000000000.seg"
    for storage in [try folder.storage(), MemoryStorage(files: [name: [1, 2, 3]])] as [any LogStorage] {
      let file = try storage.open(name, forWriting: false)
      #expect(try file.read(at: 0, count: 2).count == 2, "the control")
      let far: [UInt64] = [1 << 62, 1 << 63 - 1, 1 << 63, .max]
      for offset in far { #expect(try file.read(at: offset, count: 2).isEmpty) }
    }
  }

  @Test func `A lock whose file was deleted is held all the same, and its holder is named`() throws {
    let storage = try folder.storage()
    try FileManager.default.removeItem(atPath: folder.path + "/lock")
    for use in [FileStorage.Use.writing, .checking] {
      let failure = #expect(throws: StorageFailure.self) { try FileStorage(path: folder.path, for: use) }
      #expect(failure?.call == .lock && failure?.holder == getpid())
    }
    withExtendedLifetime(storage) {}
  }

  @Test func `A lock on the directory, or on any file that readers may read, keeps no writer out`() throws {
    for name in ["", "/000001-0000000000.seg", "/epoch-000001"] {
      let reader = unsafe open(folder.path + name, O_RDONLY)
      defer { close(reader) }
      #expect(flock(reader, LOCK_EX | LOCK_NB) == 0)
      for use in [FileStorage.Use.writing, .checking] {
        #expect(throws: Never.self) { try FileStorage(path: folder.path, for: use) }
      }
    }
  }

  @Test func `A second writer is kept out by the segment that the first has open, whichever it is by then`() throws {
    let log = try AuditLogTests.log(in: folder.storage(), creating: false)
    func second() -> StorageFailure? {
      do throws(StorageFailure) {
        _ = try FileStorage(path: folder.path, for: .writing)
        return nil
      } catch { return error }
    }
    for _ in 0..<2 {
      try FileManager.default.removeItem(atPath: folder.path + "/lock")
      let failure = second()
      #expect(failure?.call == .lock && failure?.holder == getpid())
      // The second made a file of its own, and let go of it.
      let before = log.head.segment
      while log.head.segment == before { _ = try log.appendAndWait(.sample(2, padding: 900)) }
    }
    log.close()
  }

  @Test func `The lock's file is its owner's alone, also where it was another's to read`() throws {
    #expect(unsafe chmod(folder.path + "/lock", 0o666) == 0)
    withExtendedLifetime(try folder.storage()) {}
    let facts = try FileManager.default.attributesOfItem(atPath: folder.path + "/lock")
    #expect(facts[.posixPermissions] as? Int == 0o600)
  }

  @Test(arguments: ["", "/000001-0000000000.seg", "/epoch-000001"], [0o777, 0o770, 0o602])
  func `A place that others may write is refused, and read all the same`(name: String, mode: Int) throws {
    let mode = mode_t(name.isEmpty ? mode | 0o700 : mode & 0o666)
    #expect(unsafe chmod(folder.path + name, mode) == 0)
    for use in [FileStorage.Use.writing, .checking] {
      let failure = #expect(throws: StorageFailure.self) { try FileStorage(path: folder.path, for: use) }
      #expect(failure?.path == folder.path + name && failure?.reason.contains("lets others write") == true)
    }
    #expect(refusal(try folder.storage(exclusively: false)) == nil)
    #expect(unsafe chmod(folder.path + name, mode & 0o755) == 0)
    #expect(throws: Never.self) { try folder.storage() }
  }

  @Test func `Checking holds the lock, makes no file, and needs none`() throws {
    for hasLockFile in [true, false] {
      if !hasLockFile { try FileManager.default.removeItem(atPath: folder.path + "/lock") }
      let before = try names()
      do {
        let checking = try FileStorage(path: folder.path, for: .checking)
        #expect(throws: StorageFailure.self) { try folder.storage() }
        withExtendedLifetime(checking) {}
      }
      #expect(try hasLockFile ? names() == before : Set(names()).isSuperset(of: before))
      #expect(throws: Never.self) { try folder.storage() }
    }
  }

  @Test func `What is torn off is not led out of the log's directory`() throws {
    let elsewhere = try AuditLogTests.Folder()
    let link = folder.path + "/quarantine"
    try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: elsewhere.path)
    let storage = try folder.storage()
    #expect(throws: StorageFailure.self) { try storage.create("quarantine/a") }
    #expect(try FileManager.default.contentsOfDirectory(atPath: elsewhere.path).isEmpty)
    // The control: a directory takes it.
    try FileManager.default.removeItem(atPath: link)
    #expect(throws: Never.self) { try storage.create("quarantine/a") }
  }

  @Test func `Checking leaves a directory without a lock's file without one`() throws {
    try FileManager.default.removeItem(atPath: folder.path + "/lock")
    let before = try names()
    _ = try FileStorage(path: folder.path, for: .checking)
    #expect(try names() == before)
    // The control: writing makes it.
    _ = try folder.storage()
    #expect(try names() != before)
  }

  @Test(arguments: ["000001-0000000000.seg", "epoch-000001"])
  func `A fifo, a directory or a link in a file's place is refused at once, and named`(name: String) throws {
    let path = folder.path + "/" + name
    try FileManager.default.moveItem(atPath: path, toPath: path + ".kept")
    #expect(unsafe mkfifo(path, 0o600) == 0)
    guard case .storage(let fifo) = refusal(try folder.storage()) else {
      Issue.record("a fifo was read")
      return
    }
    #expect(fifo.call == .open && fifo.reason.contains("no regular file") && fifo.path == path)
    try FileManager.default.removeItem(atPath: path)
    try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: path + ".kept")
    guard case .storage(let link) = refusal(try folder.storage()) else {
      Issue.record("a link was followed")
      return
    }
    #expect(link.call == .open && link.reason.contains("symbolic link"))
    try FileManager.default.removeItem(atPath: path)
    try FileManager.default.moveItem(atPath: path + ".kept", toPath: path)
    #expect(refusal(try folder.storage()) == nil)
  }

  @Test func `A directory without a file of a log holds no log; segments without their epoch are tampering`() throws {
    let empty = try AuditLogTests.Folder()
    #expect(refusal(try empty.storage(exclusively: false)) == .noLog(path: empty.path))
    #expect(refusal(try empty.storage()) == .noLog(path: empty.path))
    try FileManager.default.removeItem(atPath: folder.path + "/epoch-000001")
    guard case .corrupt(let fault, _) = refusal(try folder.storage()) else {
      Issue.record("taken for no log")
      return
    }
    #expect(fault.kind == .epochDescriptor)
  }

  // MUST: EPOCH-3
  @Test(arguments: zip(["epoch-000002", "000002-0000000000.seg"], [LogFault.Kind.epochDescriptor, .epochStray]))
  func `Files of another epoch are refused, and named`(name: String, kind: LogFault.Kind) throws {
    #expect(refusal(try folder.storage(exclusively: false)) == nil, "the control: without them it opens")
    try Data([0]).write(to: URL(filePath: folder.path + "/" + name))
    guard case .corrupt(let fault, let file) = refusal(try folder.storage(exclusively: false)) else {
      Issue.record("another epoch was passed over")
      return
    }
    #expect(fault.kind == kind && file == name)
  }

  @Test func `What the system says of a failure is words`() {
    for (number, words) in [(ENOSPC, "No space left on device"), (EACCES, "Permission denied"), (EIO, "Input/output error")] {
      #expect(StorageFailure(.write, path: "x", errno: number).reason == words)
    }
    #expect(StorageFailure(.write, path: "x", errno: 99_999).reason == "unknown error")
  }
}
