import ChatelaineAuditLog
import Synchronization

/// A log on disk, with a look at each write and sync of its segments: to copy the files as a crash would
/// leave them, to wait, or to fail.
final class WatchedStorage: LogStorage {
  enum Step: Equatable { case write, sync }
  typealias Hook = @Sendable (Step) throws(StorageFailure) -> Void

  private let disk: FileStorage
  let hook = Mutex<Hook?>(nil)

  init(_ disk: FileStorage) { self.disk = disk }

  /// Looks at what follows. The hook runs before a write and before a sync.
  func watch(_ new: Hook?) { hook.withLock { $0 = new } }

  /// Fails every write or sync from the `n`-th on, counted from 1.
  func fail(_ step: Step, from n: Int, errno: Int32) {
    let count = Counter()
    watch { (at) throws(StorageFailure) in
      guard at == step, count.next() >= n else { return }
      throw StorageFailure(step == .write ? .write : .sync, path: "watched", errno: errno)
    }
  }

  var path: String { disk.path }
  var sectorBytes: Int { disk.sectorBytes }
  func list() throws(StorageFailure) -> [String] { try disk.list() }
  func remove(_ name: String) throws(StorageFailure) { try disk.remove(name) }
  func syncDirectory() throws(StorageFailure) { try disk.syncDirectory() }
  func rename(_ name: String, to newName: String) throws(StorageFailure) {
    try disk.rename(name, to: newName)
  }

  func open(_ name: String, forWriting: Bool) throws(StorageFailure) -> any LogFile {
    let file = try disk.open(name, forWriting: forWriting)
    return name.hasSuffix(".seg") ? WatchedFile(file, self) : file
  }

  func create(_ name: String) throws(StorageFailure) -> any LogFile { try disk.create(name) }

  fileprivate func look(_ step: Step) throws(StorageFailure) {
    if let hook = hook.withLock({ $0 }) { try hook(step) }
  }
}

final class Counter: Sendable {
  private let value = Atomic<Int>(0)

  func next() -> Int { value.wrappingAdd(1, ordering: .relaxed).newValue }
}

private final class WatchedFile: LogFile {
  private let file: any LogFile
  private let storage: WatchedStorage

  init(_ file: any LogFile, _ storage: WatchedStorage) {
    self.file = file
    self.storage = storage
  }

  func size() throws(StorageFailure) -> UInt64 { try file.size() }
  func read(at offset: UInt64, count: Int) throws(StorageFailure) -> [UInt8] {
    try file.read(at: offset, count: count)
  }
  func truncate(to size: UInt64) throws(StorageFailure) { try file.truncate(to: size) }
  func isLinked() throws(StorageFailure) -> Bool { try file.isLinked() }

  func write(_ bytes: Span<UInt8>, at offset: UInt64) throws(StorageFailure) {
    try storage.look(.write)
    try file.write(bytes, at: offset)
  }

  func sync() throws(StorageFailure) {
    try storage.look(.sync)
    try file.sync()
  }
}
