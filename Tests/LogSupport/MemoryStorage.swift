package import ChatelaineAuditLog
internal import Glibc
internal import Synchronization

/// A log's directory in memory: every call is counted, any can be made to fail, every byte can be
/// changed behind the log's back.
package final class MemoryStorage: LogStorage {
  package struct Call: Equatable, Sendable {
    package let call: StorageFailure.Call
    package let name: String
    /// Whether it failed.
    package var failed = false
  }

  /// What a call is to do instead of its work.
  package enum Fault: Sendable {
    case fail(Int32)
    /// A write leaves so many of its bytes, then fails.
    case short(Int, Int32)
  }

  final class Node: @unchecked Sendable {
    var bytes: [UInt8] = []
    var name: String?

    init(name: String) { self.name = name }
  }

  private struct State {
    var nodes: [String: Node] = [:]
    var calls: [Call] = []
    var counts: [String: Int] = [:]
    var plan: @Sendable (StorageFailure.Call, String, Int) -> Fault? = { _, _, _ in nil }
    /// Bytes that all files may hold.
    var capacity = Int.max
  }

  package let sectorBytes: Int
  package let path = "memory"
  private let state = Mutex(State())

  package init(sectorBytes: Int = 512) { self.sectorBytes = sectorBytes }

  /// The same content, with no plan and no calls.
  package convenience init(files: [String: [UInt8]], sectorBytes: Int = 512) {
    self.init(sectorBytes: sectorBytes)
    for (name, bytes) in files { self[name] = bytes }
  }

  package var files: [String: [UInt8]] { state.withLock { $0.nodes.mapValues(\.bytes) } }

  package subscript(_ name: String) -> [UInt8]? {
    get { state.withLock { $0.nodes[name]?.bytes } }
    set {
      state.withLock { state in
        guard let newValue else {
          state.nodes.removeValue(forKey: name)?.name = nil
          return
        }
        let node = state.nodes[name] ?? Node(name: name)
        node.bytes = newValue
        state.nodes[name] = node
      }
    }
  }

  /// Changes one byte without copying the file.
  package func flip(_ name: String, at offset: Int, mask: UInt8) {
    state.withLock { $0.nodes[name]?.bytes[offset] ^= mask }
  }

  /// Asked before each call with its name and how often this call was made on that file, from 1 (reads
  /// are not counted: 0).
  package func setPlan(_ plan: @escaping @Sendable (StorageFailure.Call, String, Int) -> Fault?) {
    state.withLock { $0.plan = plan }
  }

  package var capacity: Int {
    get { state.withLock { $0.capacity } }
    set { state.withLock { $0.capacity = newValue } }
  }

  package var calls: [Call] { state.withLock { $0.calls } }

  package func count(_ call: StorageFailure.Call, _ name: String) -> Int {
    state.withLock { $0.counts["\(call) \(name)"] ?? 0 }
  }

  // MARK: LogStorage

  package func list() throws(StorageFailure) -> [String] {
    try begin(.list, "")
    let names = state.withLock {
      Set($0.nodes.keys.map { $0.contains("/") ? String($0.prefix { $0 != "/" }) : $0 })
    }
    return names.sorted()
  }

  package func open(_ name: String, forWriting: Bool) throws(StorageFailure) -> any LogFile {
    try begin(.open, name)
    guard let node = state.withLock({ $0.nodes[name] }) else {
      throw StorageFailure(.open, path: name, errno: ENOENT)
    }
    return MemoryFile(node, self)
  }

  package func create(_ name: String) throws(StorageFailure) -> any LogFile {
    try begin(.create, name)
    let node = Node(name: name)
    let isNew = state.withLock { state in
      guard state.nodes[name] == nil else { return false }
      state.nodes[name] = node
      return true
    }
    guard isNew else { throw StorageFailure(.create, path: name, errno: EEXIST) }
    return MemoryFile(node, self)
  }

  package func rename(_ name: String, to newName: String) throws(StorageFailure) {
    try begin(.rename, name)
    let errno: Int32? = state.withLock { state in
      guard state.nodes[newName] == nil else { return EEXIST }
      guard let node = state.nodes.removeValue(forKey: name) else { return ENOENT }
      node.name = newName
      state.nodes[newName] = node
      return nil
    }
    if let errno { throw StorageFailure(.rename, path: name, errno: errno) }
  }

  package func remove(_ name: String) throws(StorageFailure) {
    try begin(.remove, name)
    let node = state.withLock { $0.nodes.removeValue(forKey: name) }
    guard let node else { throw StorageFailure(.remove, path: name, errno: ENOENT) }
    node.name = nil
  }

  package func syncDirectory() throws(StorageFailure) { try begin(.sync, "") }

  // MARK: Calls

  @discardableResult
  fileprivate func begin(_ call: StorageFailure.Call, _ name: String) throws(StorageFailure) -> Fault? {
    let fault = state.withLock { state in
      guard call != .read else { return state.plan(call, name, 0) }
      let count = state.counts["\(call) \(name)", default: 0] + 1
      state.counts["\(call) \(name)"] = count
      let fault = state.plan(call, name, count)
      state.calls.append(Call(call: call, name: name, failed: fault != nil))
      return fault
    }
    if case .fail(let errno) = fault { throw StorageFailure(call, path: name, errno: errno) }
    return fault
  }

  fileprivate func with<Result>(_ node: Node, _ body: (inout [UInt8]) -> Result) -> Result {
    state.withLock { _ in body(&node.bytes) }
  }

  /// How many of the bytes there is room for.
  fileprivate func room(for count: Int, in node: Node, at offset: Int) -> Int {
    state.withLock { state in
      let growth = max(0, offset + count - node.bytes.count)
      guard state.capacity < Int.max else { return count }
      let free = state.capacity - state.nodes.values.reduce(0) { $0 + $1.bytes.count }
      return growth <= free ? count : max(0, count - (growth - max(0, free)))
    }
  }
}

private final class MemoryFile: LogFile {
  private let node: MemoryStorage.Node
  private let storage: MemoryStorage

  init(_ node: MemoryStorage.Node, _ storage: MemoryStorage) {
    self.node = node
    self.storage = storage
  }

  private var name: String { node.name ?? "" }

  func size() throws(StorageFailure) -> UInt64 { storage.with(node) { UInt64($0.count) } }

  func read(at offset: UInt64, count: Int) throws(StorageFailure) -> [UInt8] {
    try storage.begin(.read, name)
    return storage.with(node) { bytes in
      let start = min(Int(clamping: offset), bytes.count)
      return Array(bytes[start..<min(bytes.count, start + count)])
    }
  }

  func write(_ bytes: Span<UInt8>, at offset: UInt64) throws(StorageFailure) {
    let fault = try storage.begin(.write, name)
    var (count, errno) = (storage.room(for: bytes.count, in: node, at: Int(offset)), ENOSPC)
    if case .short(let bytesLeft, let reason) = fault {
      (count, errno) = (min(bytesLeft, bytes.count), reason)
    }
    storage.with(node) { $0.overwrite(bytes.extracting(0..<count), at: Int(offset)) }
    guard count == bytes.count, fault == nil else { throw StorageFailure(.write, path: name, errno: errno) }
  }

  func sync() throws(StorageFailure) { try storage.begin(.sync, name) }

  func truncate(to size: UInt64) throws(StorageFailure) {
    try storage.begin(.truncate, name)
    storage.with(node) { $0.resize(to: Int(size)) }
  }

  func isLinked() throws(StorageFailure) -> Bool { node.name != nil }
}

extension [UInt8] {
  /// Puts bytes in place, growing with zeros where they reach beyond the end.
  package mutating func overwrite(_ bytes: Span<UInt8>, at offset: Int) {
    if count < offset + bytes.count { resize(to: offset + bytes.count) }
    unsafe withUnsafeMutableBytes { target in
      unsafe bytes.withUnsafeBytes { source in
        guard source.count > 0 else { return }
        unsafe memcpy(target.baseAddress! + offset, source.baseAddress!, source.count)
      }
    }
  }

  package mutating func resize(to size: Int) {
    if size < count {
      removeLast(count - size)
    } else {
      append(contentsOf: repeatElement(0, count: size - count))
    }
  }
}
