internal import ChatelaineAuditTrail
internal import Synchronization

/// Keeps `nodes` up to date behind the writer. Where the file is missing or of another log it is made anew, by a thread
/// that reads the whole log once.
struct NodeKeeper: Sendable {
  private enum State: Sendable {
    /// The file has `written` nodes of this tree.
    case open(NodeFile, written: UInt64)
    /// Being read; what comes meanwhile waits.
    case reading(Rebuilding, waiting: [StoredNode])
    /// The disk refused; the next start tries again.
    case off
  }

  private var state: State
  private let storage: any LogStorage
  private let epoch: EpochDescriptor

  /// `resumed` is the tree that reading began with, and `verifier` stands where it ended.
  init(_ storage: any LogStorage, _ epoch: EpochDescriptor, resumed: MerkleFrontier, nodes: [StoredNode], size: UInt64) {
    self.storage = storage
    self.epoch = epoch
    let written = StoredNode.count(size: resumed.size)
    if let file = NodeFile(storage, epoch, forWriting: true), file.continues(resumed) {
      state = .open(file, written: written)
    } else if written == 0 {
      state = (try? NodeFile.create(in: storage, epoch)).map { .open($0, written: 0) } ?? .off
    } else {
      state = .reading(Rebuilding(storage, size: resumed.size), waiting: [])
    }
    take(nodes, isLast: false)
  }

  mutating func take(_ nodes: [StoredNode], isLast: Bool) {
    switch state {
    case .off: return
    case .open(var file, let written): write(nodes, to: &file, written)
    case .reading(let rebuilding, let waiting):
      if isLast { rebuilding.stop() }
      guard let result = rebuilding.result else {
        state = .reading(rebuilding, waiting: waiting + nodes)
        return
      }
      guard !result.isEmpty, var file = try? NodeFile.create(in: storage, epoch) else { return state = .off }
      write(result + waiting + nodes, to: &file, 0)
    }
  }

  private mutating func write(_ nodes: [StoredNode], to file: inout NodeFile, _ written: UInt64) {
    do throws(StorageFailure) {
      try file.write(nodes, from: written)
      state = .open(file, written: written + UInt64(nodes.count))
    } catch { state = .off }
  }
}

/// Reads a log from its first entry to a size, on a thread of its own.
private final class Rebuilding: Sendable {
  private final class Shared: Sendable {
    let nodes = Mutex<[StoredNode]?>(nil)
    let isStopped = Atomic<Bool>(false)
  }

  private let shared = Shared()

  init(_ storage: any LogStorage, size: UInt64) {
    let shared = self.shared
    _ = WorkThread(name: "audit-nodes") {
      let nodes = try? Self.read(storage, size) { shared.isStopped.load(ordering: .relaxed) }
      shared.nodes.withLock { $0 = nodes ?? [] }
    }
  }

  /// nil while it is being read; empty where that failed.
  var result: [StoredNode]? { shared.nodes.withLock { $0 } }

  func stop() { shared.isStopped.store(true, ordering: .relaxed) }

  private static func read(
    _ storage: any LogStorage, _ size: UInt64, isStopped: () -> Bool
  ) throws(LogError) -> [StoredNode] {
    let directory = try LogDirectory(storage)
    var verifier = ChainVerifier(epoch: directory.epoch)
    verifier.keepsNodes = true
    var follower = LogFollower(verifier, epoch: directory.epoch, segment: 0, offset: 0, in: storage)
    var nodes: [StoredNode] = []
    // why: in steps, so that a stop need not wait for all of it.
    while follower.verifier.nextSequence < size {
      guard !isStopped() else { return [] }
      try follower.follow(to: min(size, follower.verifier.nextSequence + 100_000))
      nodes += follower.takeNodes()
    }
    return Array(nodes.prefix(Int(StoredNode.count(size: size))))
  }
}
