internal import ChatelaineAuditLog
internal import ChatelaineTestSupport
internal import Glibc
internal import Synchronization

/// A file of a simulated disk, as one process has it open.
final class SimulatedFile: LogFile {
  private let node: SimulatedDisk.Node
  private let disk: SimulatedDisk
  private let name: String
  private let life: Int

  init(_ node: SimulatedDisk.Node, _ disk: SimulatedDisk, name: String, life: Int) {
    self.node = node
    self.disk = disk
    self.name = name
    self.life = life
  }

  func size() throws(StorageFailure) -> UInt64 { disk.state.withLock { _ in UInt64(node.cache.count) } }

  func read(at offset: UInt64, count: Int) throws(StorageFailure) -> [UInt8] {
    disk.state.withLock { _ in
      let start = min(Int(offset), node.cache.count)
      return Array(node.cache[start..<min(node.cache.count, start + count)])
    }
  }

  /// Writes as much as there is room for; the step that is cut off writes a part.
  func write(_ bytes: Span<UInt8>, at offset: UInt64) throws(StorageFailure) {
    guard bytes.count > 0 else { return }
    let (written, errno): (Int, Int32) = disk.state.withLock { state in
      guard life == state.life else { return (0, EIO) }
      let wasStopped = state.stepsLeft.map { $0 <= 0 } ?? false
      let goesOn = state.takeStep(life: life)
      guard goesOn || !wasStopped else { return (0, EIO) }
      let isShort = state.isNextWriteShort()
      var count = goesOn && !isShort ? bytes.count : Int.random(in: 0..<bytes.count, using: &state.random)
      let growth = max(0, Int(offset) + count - node.cache.count)
      let free =
        state.capacity == .max ? .max : state.capacity - state.live.values.reduce(0) { $0 + $1.cache.count }
      if growth > free { count = max(0, count - (growth - max(0, free))) }
      store(bytes.extracting(0..<count), at: Int(offset))
      return (count, goesOn ? ENOSPC : EIO)
    }
    guard written == bytes.count else { throw StorageFailure(.write, path: name, errno: errno) }
  }

  private func store(_ bytes: Span<UInt8>, at offset: Int) {
    guard bytes.count > 0 else { return }
    let size = node.cache.count
    node.cache.overwrite(bytes, at: offset)
    if node.cache.count != size { node.unsyncedSizes.append(node.cache.count) }
    markUnsynced(offset..<offset + bytes.count)
  }

  private func markUnsynced(_ range: Range<Int>) {
    let sector = SimulatedDisk.sector
    for index in range.lowerBound / sector...(range.upperBound - 1) / sector {
      let end = min(node.cache.count, (index + 1) * sector)
      node.unsynced.append((index, Array(node.cache[index * sector..<end])))
    }
  }

  func sync() throws(StorageFailure) {
    let isDone: Bool = try disk.change(.sync, name, life: life) { state in
      if node.hasFailedSync { state.syncsAfterFailure += 1 }
      if let left = state.syncsUntilFailure {
        state.syncsUntilFailure = left > 1 ? left - 1 : nil
        if left <= 1 {
          fail(&state)
          return false
        }
      }
      if !state.lies.ignoresFileSync { flush() }
      return true
    }
    guard isDone else { throw StorageFailure(.sync, path: name, errno: EIO) }
  }

  private func flush() {
    node.medium = node.medium.resized(to: node.cache.count)
    for (sector, bytes) in node.unsynced {
      let end = min(node.medium.count, sector * SimulatedDisk.sector + bytes.count)
      let kept = max(0, end - sector * SimulatedDisk.sector)
      node.medium.overwrite(
        bytes.span.extracting(0..<min(kept, bytes.count)), at: sector * SimulatedDisk.sector)
    }
    node.unsynced.removeAll()
    node.unsyncedSizes.removeAll()
  }

  /// Some sectors reach the disk; all of them are clean afterwards, and nobody writes them again.
  private func fail(_ state: inout SimulatedDisk.State) {
    node.hasFailedSync = true
    node.settle(&state.random)
  }

  func truncate(to size: UInt64) throws(StorageFailure) {
    try disk.change(.truncate, name, life: life) { _ in
      node.cache.resize(to: Int(size))
      node.unsyncedSizes.append(Int(size))
    }
  }

  func isLinked() throws(StorageFailure) -> Bool { disk.state.withLock { _ in node.links > 0 } }
}

extension SimulatedDisk {
  /// The process dies; the machine goes on, and so does the cache.
  package func kill() {
    state.withLock { state in
      state.beginLife()
    }
  }

  /// The power goes: what is not on the medium is gone, and of what was on its way some is there.
  package func cutPower() {
    state.withLock { state in
      var names = state.durable
      let kept = Int.random(in: 0...state.unsyncedNames.count, using: &state.random)
      for (index, change) in state.unsyncedNames.enumerated() {
        // Mostly a prefix, as a journal keeps it; sometimes any of them.
        let isKept =
          index < kept
          ? Int.random(in: 0..<8, using: &state.random) > 0 : Int.random(in: 0..<8, using: &state.random) == 0
        if isKept { change.apply(to: &names) }
      }
      state.unsyncedNames.removeAll()
      var nodes: [ObjectIdentifier: Node] = [:]
      for node in names.sorted(by: { $0.key < $1.key }).map(\.value) { nodes[ObjectIdentifier(node)] = node }
      for (_, node) in names.sorted(by: { $0.key < $1.key })
      where nodes.removeValue(forKey: ObjectIdentifier(node)) != nil {
        node.settle(&state.random)
        node.cache = node.medium
        node.links = names.values.count { $0 === node }
      }
      state.live = names
      state.durable = names
      state.beginLife()
    }
  }
}

extension SimulatedDisk.State {
  fileprivate mutating func isNextWriteShort() -> Bool {
    guard let left = writesUntilShort else { return false }
    writesUntilShort = left > 1 ? left - 1 : nil
    return left <= 1
  }

  fileprivate mutating func beginLife() {
    life += 1
    stepsLeft = nil
    syncsUntilFailure = nil
    writesUntilShort = nil
    for node in live.values { node.hasFailedSync = false }
  }
}

extension SimulatedDisk.Node {
  /// Brings a random part of what is unsynced to the medium and forgets the rest.
  func settle(_ random: inout SeededRandom) {
    if let size = unsyncedSizes.randomElement(using: &random), Bool.random(using: &random) {
      medium = medium.resized(to: size)
    }
    // A drive may keep all, most or next to nothing of what it was sent.
    let dropOf16 = [0, 4, 8, 12, 16].randomElement(using: &random) ?? 8
    for (sector, bytes) in unsynced.shuffled(using: &random) {
      guard Int.random(in: 0..<16, using: &random) >= dropOf16 else { continue }
      keep(bytes, at: sector * SimulatedDisk.sector, &random)
    }
    unsynced.removeAll()
    unsyncedSizes.removeAll()
  }

  private func keep(_ bytes: [UInt8], at offset: Int, _ random: inout SeededRandom) {
    let end = min(medium.count, offset + bytes.count)
    guard end > offset else { return }
    var new = Array(bytes[0..<end - offset])
    guard new != Array(medium[offset..<end]) else { return }
    switch Int.random(in: 0..<16, using: &random) {
    case 0: new = Array(new[0..<Int.random(in: 0...new.count, using: &random)])
    case 1: new[Int.random(in: 0..<new.count, using: &random)] ^= 1 << UInt8.random(in: 0..<8, using: &random)
    default: break
    }
    medium.overwrite(new.span, at: offset)
  }
}

extension [UInt8] {
  fileprivate func resized(to size: Int) -> [UInt8] {
    var copy = self
    copy.resize(to: size)
    return copy
  }
}
