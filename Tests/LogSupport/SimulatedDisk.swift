package import ChatelaineAuditLog
internal import ChatelaineTestSupport
internal import Glibc
internal import Synchronization

/// A disk that keeps only what was synced, for the log's writer to run on; seeded, so it replays.
///
/// Processes see the cache. A power cut throws the cache away: of each sector written since the last
/// sync it keeps the new content, the old, the beginning of the new, or the new with a bit flipped, and
/// of several writes to one sector any; of names and sizes changed since, some. A kill loses nothing but
/// the process. A failed sync leaves pages clean that the disk does not hold (Linux does that).
///
/// Sectors whose content does not change are safe: the drive writes what is there already.
package final class SimulatedDisk: LogStorage {
  package struct Lies: Sendable {
    package var ignoresFileSync = false
    package var ignoresDirectorySync = false
    package init() {}
  }

  static let sector = 512

  final class Node: @unchecked Sendable {
    var cache: [UInt8] = []
    var medium: [UInt8] = []
    /// Sectors written and not synced, oldest first.
    var unsynced: [(sector: Int, bytes: [UInt8])] = []
    var unsyncedSizes: [Int] = []
    var links = 0
    var hasFailedSync = false
  }

  enum NameChange {
    case link(String, Node)
    case rename(String, String)
    case unlink(String)
  }

  struct State {
    var random: SeededRandom
    var live: [String: Node] = [:]
    var durable: [String: Node] = [:]
    var unsyncedNames: [NameChange] = []
    var life = 0
    var stepsLeft: Int?
    var capacity = Int.max
    var syncsUntilFailure: Int?
    var writesUntilShort: Int?
    var lies = Lies()
    var syncsAfterFailure = 0
    var steps = 0
  }

  package let path = "simulated"
  package let sectorBytes = 512
  let state: Mutex<State>

  package init(seed: UInt64) { state = Mutex(State(random: SeededRandom(seed: seed))) }

  // MARK: Faults

  package var lies: Lies {
    get { state.withLock { $0.lies } }
    set { state.withLock { $0.lies = newValue } }
  }

  /// The process is cut off in the middle of the n-th changing call from now.
  package func stop(afterSteps steps: Int?) { state.withLock { $0.stepsLeft = steps } }

  /// The n-th file sync from now fails.
  package func failSync(after count: Int?) { state.withLock { $0.syncsUntilFailure = count } }

  /// The n-th write from now leaves a part of its bytes and fails.
  package func shortenWrite(after count: Int?) { state.withLock { $0.writesUntilShort = count } }

  /// Bytes that all files may hold.
  package func setCapacity(_ bytes: Int) { state.withLock { $0.capacity = bytes } }

  package var usedBytes: Int { state.withLock { $0.live.values.reduce(0) { $0 + $1.cache.count } } }

  /// How often a file was synced again after a sync of it had failed, in one life.
  package var syncsAfterFailure: Int { state.withLock { $0.syncsAfterFailure } }

  /// Changing calls so far.
  package var steps: Int { state.withLock { $0.steps } }

  package var hasStopped: Bool { state.withLock { $0.stepsLeft.map { $0 <= 0 } ?? false } }

  // MARK: LogStorage

  package func list() throws(StorageFailure) -> [String] {
    state.withLock { state in
      Set(state.live.keys.map { $0.contains("/") ? String($0.prefix { $0 != "/" }) : $0 }).sorted()
    }
  }

  package func open(_ name: String, forWriting: Bool) throws(StorageFailure) -> any LogFile {
    let (node, life) = state.withLock { ($0.live[name], $0.life) }
    guard let node else { throw StorageFailure(.open, path: name, errno: ENOENT) }
    return SimulatedFile(node, self, name: name, life: life)
  }

  package func create(_ name: String) throws(StorageFailure) -> any LogFile {
    let (node, life): (Node?, Int) = try change(.create, name) { state in
      guard state.live[name] == nil else { return (nil, 0) }
      let node = Node()
      node.links = 1
      state.live[name] = node
      state.unsyncedNames.append(.link(name, node))
      return (node, state.life)
    }
    guard let node else { throw StorageFailure(.create, path: name, errno: EEXIST) }
    return SimulatedFile(node, self, name: name, life: life)
  }

  package func rename(_ name: String, to newName: String) throws(StorageFailure) {
    let isDone = try change(.rename, name) { state in
      guard state.live[newName] == nil, let node = state.live.removeValue(forKey: name) else { return false }
      state.live[newName] = node
      state.unsyncedNames.append(.rename(name, newName))
      return true
    }
    guard isDone else { throw StorageFailure(.rename, path: name, errno: EEXIST) }
  }

  package func remove(_ name: String) throws(StorageFailure) {
    let isDone = try change(.remove, name) { state in
      guard let node = state.live.removeValue(forKey: name) else { return false }
      node.links -= 1
      state.unsyncedNames.append(.unlink(name))
      return true
    }
    guard isDone else { throw StorageFailure(.remove, path: name, errno: ENOENT) }
  }

  package func syncDirectory() throws(StorageFailure) {
    try change(.sync, "") { state in
      guard !state.lies.ignoresDirectorySync else { return }
      for change in state.unsyncedNames { change.apply(to: &state.durable) }
      state.unsyncedNames.removeAll()
    }
  }

  /// Counts a step; the last one is left undone, and every one after it.
  func change<Result>(
    _ call: StorageFailure.Call, _ name: String, life: Int? = nil, _ body: (inout State) -> Result
  ) throws(StorageFailure) -> Result {
    let result: Result? = state.withLock { state in
      guard state.takeStep(life: life) else { return nil }
      return body(&state)
    }
    guard let result else { throw StorageFailure(call, path: name, errno: EIO) }
    return result
  }
}

extension SimulatedDisk.State {
  /// False where the process is cut off.
  mutating func takeStep(life: Int?) -> Bool {
    guard life == nil || life == self.life else { return false }
    steps += 1
    guard let left = stepsLeft else { return true }
    stepsLeft = left - 1
    return left > 1
  }
}

extension SimulatedDisk.NameChange {
  func apply(to names: inout [String: SimulatedDisk.Node]) {
    switch self {
    case .link(let name, let node): names[name] = node
    case .rename(let name, let newName):
      if let node = names.removeValue(forKey: name) { names[newName] = node }
    case .unlink(let name): names[name] = nil
    }
  }
}
