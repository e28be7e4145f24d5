import ChatelaineAuditTrail
import ChatelaineLogTestSupport
import ChatelainePrimitives
import ChatelaineVocabulary
import Foundation
import Testing

@testable import ChatelaineAuditLog

/// A log in memory, the key of its heads, and lives of a service that signs them.
struct SignedLog {
  let storage: MemoryStorage
  let epoch: EpochDescriptor
  let signer: NoteSigner
  let options: LogOptions

  init() throws {
    storage = MemoryStorage()
    options = .small()
    epoch = try LogWriter.create(in: storage, name: "signed", options: options)
    signer = Self.signer(of: epoch, seed: 7)
  }

  static func signer(of epoch: EpochDescriptor, seed byte: UInt8) -> NoteSigner {
    let seed = [UInt8](repeating: byte, count: 32)
    let publicKey = seed.span.withRawSpan { Ed25519.publicKey(of: $0) }
    let key = NoteKey(name: epoch.origin, publicKey: publicKey)
    return NoteSigner(key: key) { text in seed.span.withRawSpan { Ed25519.sign(text.span, seed: $0) } }
  }

  /// Gathers next to nothing and publishes at once.
  static var hasty: HeadCadence {
    var cadence = HeadCadence()
    cadence.gatheringMilliseconds = 1
    (cadence.busySeconds, cadence.idleSeconds, cadence.endingSeconds) = (0, 0, 60)
    return cadence
  }

  /// What a start does, and what it refuses.
  func start(
    _ storage: MemoryStorage? = nil, cadence: HeadCadence = hasty, anchor: String? = nil, clock: LogClock? = nil
  ) throws -> Life {
    let storage = storage ?? self.storage
    let kept = try KeptHeads(storage, key: signer.key)
    let heads = [kept.newest, kept.published].compactMap { $0 }.map { FoundHead($0, in: "head") }
    let examined = try LogWriter.examine(storage, rootsAt: heads.map(\.head.checkpoint.size))
    try examined.check(heads, in: storage)
    let (writer, _) = try LogWriter.open(examined, options: options)
    let log = AuditLog(writer)
    let keeper = HeadKeeper(
      log, examined.headStart(kept), signer: signer, anchor: anchor, cadence: cadence, clock: clock)
    return Life(log, keeper)
  }

  /// A log of a few segments with a head over all of it.
  func live(_ count: UInt64 = 700) throws {
    let life = try start()
    try life.append(count)
    life.close()
  }

  func head(_ storage: MemoryStorage? = nil) throws -> SignedHead {
    try #require(try KeptHeads(storage ?? self.storage, key: signer.key).newest)
  }

  struct Life {
    let log: AuditLog
    let keeper: HeadKeeper

    init(_ log: AuditLog, _ keeper: HeadKeeper) { (self.log, self.keeper) = (log, keeper) }

    /// Gives the size of the log with them.
    @discardableResult func append(_ count: UInt64) throws -> UInt64 {
      var size: UInt64 = 0
      for id in 0..<count { size = try log.appendAndWait(.sample(id)).sequence + 1 }
      return size
    }

    /// Waits until there is a head over so many entries.
    func settle(_ size: UInt64, seconds: Double = 20) -> SignedHead? {
      let until = Date(timeIntervalSinceNow: seconds)
      while Date() < until {
        if let head = keeper.now.newest, head.checkpoint.size == size { return head }
        usleep(2000)
      }
      return nil
    }

    func close() {
      log.close()
      keeper.close()
    }
  }
}

struct SignedHeadTests {
  // MUST: HEAD-7
  @Test func `Heads follow the log over its segments, and name the root that its bytes have`() throws {
    let signed = try SignedLog()
    let life = try signed.start()
    var sizes: [UInt64] = []
    for _ in 0..<5 {
      let size = try life.append(130)
      let head = try #require(life.settle(size))
      let found = Verification(signed.storage)
      #expect(head.verdict(of: signed.signer.key) == .valid)
      #expect(head.checkpoint == Checkpoint(origin: signed.epoch.origin, size: found.treeSize, root: found.root))
      sizes.append(head.checkpoint.size)
    }
    #expect(life.log.head.segment >= 3 && life.keeper.now.problem == nil)
    life.close()
    let list = try #require(signed.storage[LogNames.heads])
    var (published, at) = ([UInt64](), 0)
    while let found = HeadList.whole(in: list, from: at) {
      #expect(found.head.verdict(of: signed.signer.key) == .valid)
      published.append(found.head.checkpoint.size)
      at = found.end
    }
    #expect(at == list.count && published == published.sorted() && published.last == sizes.last)
  }

  // MUST: HEAD-7
  @Test func `A head is on the disk before anybody gets it`() throws {
    let signed = try SignedLog()
    let life = try signed.start()
    try life.append(3)
    let before = try #require(life.settle(3))
    signed.storage.setPlan { call, name, _ in call == .sync && name == LogNames.head ? .fail(28) : nil }
    try life.append(3)
    usleep(100_000)
    #expect(life.keeper.now.newest == before && life.keeper.now.problem?.contains("sync failed") == true)
    signed.storage.setPlan { _, _, _ in nil }
    #expect(life.settle(6) != nil, "the control: it goes on once the disk does")
    #expect(life.keeper.now.problem == nil)
    life.close()
  }

  @Test func `A log that was changed while it is written gets no further head`() throws {
    let signed = try SignedLog()
    var slow = SignedLog.hasty
    slow.gatheringMilliseconds = 300
    let life = try signed.start(cadence: slow)
    try life.append(3)
    let before = try #require(life.settle(3))
    try life.append(3)
    let segment = LogNames.segment(epoch: 1, 0)
    let used = try #require(signed.storage[segment]?.lastIndex { $0 != 0 })
    signed.storage.flip(segment, at: used, mask: 1)
    usleep(700_000)
    #expect(life.keeper.now.newest == before)
    #expect(life.keeper.now.problem?.contains("no longer as it was written") == true)
    life.close()
    #expect(try signed.head() == before, "nor at the end")
  }

  @Test func `Lives follow one another, each with heads that the ones before are consistent with`() throws {
    let signed = try SignedLog()
    var old: SignedHead?
    for _ in 0..<6 {
      try signed.live(90)
      let new = try signed.head()
      if let old {
        var source = ProofSource(try LogDirectory(signed.storage))
        let (from, to) = (old.checkpoint, new.checkpoint)
        let proof = try TreeProof.consistency(from: from.size, to: to.size) { try source.node($0) }
        #expect(
          TreeProof.isConsistent(
            old: from.size, oldRoot: from.root, new: to.size, newRoot: to.root, proof: proof))
      }
      old = new
    }
  }

  // MARK: What a start finds

  private func fault(_ signed: SignedLog, _ storage: MemoryStorage) -> HeadFault? {
    do {
      try signed.start(storage).close()
      return nil
    } catch let fault as HeadFault { return fault } catch let error as KeptHeads.Unusable {
      return .unusable(error)
    } catch {
      Issue.record("\(error)")
      return nil
    }
  }

  // MUST: HEAD-8, HEAD-9
  @Test func `An interrupted write of a head leaves the one before, and two spoilt ones are refused`() throws {
    let signed = try SignedLog()
    try signed.live(40)
    let files = signed.storage.files
    let newest = try signed.head()
    for place in 0..<2 {
      let storage = MemoryStorage(files: files)
      storage.flip(LogNames.head, at: place * 4096 + 60, mask: 1)
      let kept = try KeptHeads(storage, key: signed.signer.key)
      #expect(kept.newest == newest, "in the list, or the other place")
      #expect(fault(signed, storage) == nil)
    }
    let storage = MemoryStorage(files: files)
    for place in 0..<2 { storage.flip(LogNames.head, at: place * 4096 + 60, mask: 1) }
    #expect(fault(signed, storage) == .unusable(.damaged(file: LogNames.head)))
    storage[LogNames.head] = nil
    #expect(try signed.head(storage) == newest, "the list has it")
    storage[LogNames.heads]?.removeLast(30)
    #expect(fault(signed, storage) == nil, "a head that was being added is no head")
    storage.flip(LogNames.heads, at: 60, mask: 1)
  }

  // MUST: HEAD-8
  @Test func `Heads of another key are refused`() throws {
    let signed = try SignedLog()
    try signed.live(10)
    let other = SignedLog.signer(of: signed.epoch, seed: 9)
    #expect(throws: KeptHeads.Unusable.otherKey(file: LogNames.head)) { try KeptHeads(signed.storage, key: other.key) }
    signed.storage[LogNames.head] = nil
    #expect(throws: KeptHeads.Unusable.otherKey(file: LogNames.heads)) { try KeptHeads(signed.storage, key: other.key) }
  }

  // MUST: HEAD-8, END-5
  @Test func `A log that was cut back behind a head is refused, and opens without the head`() throws {
    let signed = try SignedLog()
    try signed.live(40)
    let old = signed.storage.files
    try signed.live(40)
    let cut = MemoryStorage(files: old)
    cut[LogNames.head] = signed.storage[LogNames.head]
    #expect(fault(signed, cut) == .beyondLog(size: 80, entries: 40, file: "head"))
    #expect(fault(signed, MemoryStorage(files: old)) == nil, "the control: everything of one older time")
  }

  // MUST: HEAD-8
  @Test(arguments: [40, 700]) func `A log that was written anew, every hash right, is refused`(_ count: UInt64) throws {
    let signed = try SignedLog()
    try signed.live(count)
    let head = try signed.head()
    let other = MemoryStorage()
    for name in signed.storage.files.keys where !name.hasPrefix("head") { other[name] = signed.storage[name] }
    // The same descriptor over other entries: blinds are random.
    let again = try Self.rewritten(signed, count)
    again[LogNames.head] = signed.storage[LogNames.head]
    #expect(fault(signed, again) == .differs(size: head.checkpoint.size, file: "head"))
    #expect(fault(signed, other) == nil, "the control")
  }

  /// As many entries under the same descriptor, by whoever has no key of the heads.
  private static func rewritten(_ signed: SignedLog, _ count: UInt64) throws -> MemoryStorage {
    let empty = try SignedLog()
    let page = try #require(empty.storage[LogNames.segment(epoch: 1, 0)])
    let front = Array(page.prefix(SegmentHeader.byteCount))
    var header = try SegmentHeader(parsing: front.span)
    (header.logID, header.previousLeaf) = (signed.epoch.logID, signed.epoch.hash)
    empty.storage[LogNames.segment(epoch: 1, 0)] = header.encoded() + page.dropFirst(SegmentHeader.byteCount)
    empty.storage["epoch-000001"] = signed.epoch.encoded()
    let (writer, _) = try LogWriter.open(in: empty.storage, options: signed.options)
    let log = AuditLog(writer)
    for id in 0..<count { _ = try log.appendAndWait(.sample(id)) }
    log.close()
    return empty.storage
  }

  // MUST: HEAD-8
  @Test func `A head behind the newest segment is checked by the tree's nodes, or by reading everything`() throws {
    let signed = try SignedLog()
    try signed.live(300)
    let (head, heads) = (signed.storage[LogNames.head], signed.storage[LogNames.heads])
    let size = try signed.head().checkpoint.size
    try signed.live(500)
    let files = signed.storage.files
    func place(_ change: (MemoryStorage) -> Void) -> HeadFault? {
      let storage = MemoryStorage(files: files)
      (storage[LogNames.head], storage[LogNames.heads]) = (head, heads)
      change(storage)
      return fault(signed, storage)
    }
    #expect(place { _ in } == nil)
    #expect(place { $0[LogNames.nodes] = nil } == nil)
    #expect(place { $0.flip(LogNames.nodes, at: 40, mask: 1) } == nil, "forged nodes only cost time")
    let forged = SignedHead(
      Checkpoint(origin: signed.epoch.origin, size: size, root: .zero), signedBy: signed.signer)
    #expect(
      place {
        $0[LogNames.head] = forged.note.encoded
        $0[LogNames.heads] = nil
      } == .differs(size: size, file: "head"), "the control: another root is found")
  }

  // MARK: Nodes

  @Test func `The file of nodes has every large subtree, also when it is made anew`() throws {
    let signed = try SignedLog()
    for _ in 0..<4 { try signed.live(330) }
    try Self.checkNodes(signed)
    for change: (MemoryStorage) -> Void in [
      { $0[LogNames.nodes] = nil }, { $0.flip(LogNames.nodes, at: 9, mask: 1) },
      { $0.flip(LogNames.nodes, at: 32 + 6 * 48, mask: 1) }, { $0[LogNames.nodes]?.removeLast(50) },
    ] {
      change(signed.storage)
      let life = try signed.start()
      let until = Date(timeIntervalSinceNow: 60)
      repeat {
        _ = life.settle(try life.append(1))
        usleep(20_000)
      } while Date() < until && NodeFile(signed.storage, signed.epoch)?.continues(Self.tree(signed)) != true
      life.close()
      try Self.checkNodes(signed)
    }
  }

  private static func tree(_ signed: SignedLog) -> MerkleFrontier {
    var tree = MerkleFrontier()
    for entry in Verification(signed.storage, keepingEntries: true).entries { tree.append(entry.leafHash) }
    return tree
  }

  private static func checkNodes(_ signed: SignedLog) throws {
    let entries = Verification(signed.storage, keepingEntries: true).entries
    let leaves = entries.map(\.leafHash)
    let file = try #require(NodeFile(signed.storage, signed.epoch))
    #expect(file.count == StoredNode.count(size: UInt64(leaves.count)) && file.count >= 7)
    var source = ProofSource(try LogDirectory(signed.storage))
    for level in 0..<11 {
      for index in 0..<(leaves.count >> level) {
        var tree = MerkleFrontier()
        for leaf in leaves[index << level..<(index + 1) << level] { tree.append(leaf) }
        let node = TreeNode(level: level, index: UInt64(index))
        guard level >= 7 || index % 97 == 0 else { continue }
        #expect(try source.node(node) == tree.root, "level \(level), \(index)")
        if level >= 8 { #expect(file.read(node)?.hash == tree.root) }
      }
    }
    for entry in entries where entry.sequence % 61 == 0 {
      let bytes = try source.entry(entry.sequence)
      let leaf = AuditEntry.leafHash(bytes.span)
      #expect(leaf == entry.leafHash)
    }
    #expect(throws: ProofSource.Missing()) { try source.entry(UInt64(leaves.count)) }
  }

  @Test func `A proof from a forged node leads nowhere, and one from the whole log holds`() throws {
    let signed = try SignedLog()
    try signed.live(700)
    let head = try signed.head().checkpoint
    signed.storage.flip(LogNames.nodes, at: 32, mask: 1)
    let directory = try LogDirectory(signed.storage)
    func holds(_ source: inout ProofSource) throws -> Bool {
      let proof = try TreeProof.inclusion(of: 300, in: head.size) { try source.node($0) }
      let entry = try source.entry(300)
      return TreeProof.isIncluded(
        leaf: AuditEntry.leafHash(entry.span), index: 300, size: head.size, root: head.root, proof: proof)
    }
    var (forged, whole) = (ProofSource(directory), try ProofSource(readingAll: directory))
    let found = (try holds(&forged), try holds(&whole))
    #expect(found == (false, true))
  }

  @Test func `Nodes have places in the order in which they are completed`() {
    var tree = MerkleFrontier()
    var next: UInt64 = 0
    for _ in 0..<(1 << 13) {
      tree.append(.zero, completing: StoredNode.levelMin) { node, _ in
        #expect(StoredNode.position(of: node) == next)
        next += 1
      }
      #expect(StoredNode.count(size: tree.size) == next)
    }
  }
}
