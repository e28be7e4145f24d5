import ChatelaineAuditLog
import ChatelaineAuditTrail
import ChatelaineLogTestSupport
import ChatelaineTestSupport
import ChatelaineVocabulary
import Foundation
import Testing

/// An index finds what a reading of the whole log finds; where it is wrong, it says so and answers nothing.
struct EntryIndexTests {
  static let seed =
    ProcessInfo.processInfo.environment["CHATELAINE_SEED"].flatMap(UInt64.init) ?? .random(in: 0..<1 << 48)
  static let entries = 1500

  let log: SampleLog

  init() throws { log = try SampleLog(entries: Self.entries, options: .small(first: 64 << 10, grown: 256 << 10)) }

  private static func filters() throws -> [EntryFilter] {
    let requests = [0, 1, 255, 256, 511, 512, 777, 1499].map { Identifier(high: 0x5a5a, low: $0) }
    var filters = requests.map { id in
      var filter = EntryFilter()
      filter.requestID = id
      return filter
    }
    for tenant in ["acme", "globex", "_service", "initech"] {
      var filter = EntryFilter()
      filter.tenant = tenant
      filters.append(filter)
      filter.keyName = try KeyName("records")
      filters.append(filter)
      filter.operation = .decrypt
      filter.after = 300
      filter.before = 1200
      filters.append(filter)
    }
    return filters
  }

  private static func index(_ storage: MemoryStorage, of log: MemoryStorage) throws -> EntryIndex {
    var index = try EntryIndex(in: storage, of: LogDirectory(log), partEntries: 512)
    try index.catchUp()
    return index
  }

  private static func found(_ filter: EntryFilter, in index: EntryIndex, newestFirst: Bool = false) throws -> [UInt64] {
    var (filter, found) = (filter, [UInt64]())
    try index.blocks(of: filter.terms, newestFirst: newestFirst) { block in
      let entries = try index.entries(ofBlock: block).map { bytes in try AuditEntry(parsing: bytes.span) }
      for entry in newestFirst ? entries.reversed() : entries where filter.takes(entry) { found.append(entry.sequence) }
      return true
    }
    return found
  }

  /// By a reading of the whole.
  private static func all(_ filter: EntryFilter, in log: MemoryStorage) throws -> [UInt64] {
    var (filter, found, reader) = (filter, [UInt64](), try LogReader(log))
    _ = try reader.readAvailable { bytes in
      if let entry = try? AuditEntry(parsing: bytes), filter.takes(entry) { found.append(entry.sequence) }
    }
    return found
  }

  @Test func `It finds what a reading of the whole log finds, in either order`() throws {
    let index = try Self.index(MemoryStorage(), of: log.storage)
    #expect(index.size == UInt64(Self.entries) && index.root == Verification(log.storage).root)
    var hits = 0
    for filter in try Self.filters() {
      let all = try Self.all(filter, in: log.storage)
      #expect(try Self.found(filter, in: index) == all)
      #expect(try Self.found(filter, in: index, newestFirst: true) == all.reversed())
      hits += all.count
    }
    #expect(hits > Self.entries)
  }

  @Test func `It goes on where it ended, and a run that was interrupted does no harm`() throws {
    let (written, storage) = (MemoryStorage(), MemoryStorage())
    _ = try LogWriter.create(in: written, name: "grows", options: .small(), clock: .stepping())
    var id: UInt64 = 0
    for step in [1, 254, 2, 300, 700, 43] {
      let (writer, _) = try LogWriter.open(in: written, options: .small(), clock: .stepping())
      for _ in 0..<step {
        try writer.commit([[.sample(id)]]) { _, _ in }
        id += 1
      }
      let before = storage.files
      _ = try Self.index(storage, of: written)
      // Of the same step once more, with the state from before it: as after an interruption.
      for (name, bytes) in before where name.hasPrefix("index-") { storage[name] = bytes }
      let index = try Self.index(storage, of: written)
      for filter in try Self.filters() { #expect(try Self.found(filter, in: index) == Self.all(filter, in: written)) }
    }
    #expect(id == 1300)
  }

  @Test func `A changed byte of the index is noticed, or changes nothing`() throws {
    var random = SeededRandom(seed: Self.seed)
    let whole = MemoryStorage()
    _ = try Self.index(whole, of: log.storage)
    let filters = try Self.filters()
    let expected = try filters.map { try Self.all($0, in: log.storage) }
    var noticed = 0
    for _ in 0..<150 {
      let storage = MemoryStorage(files: whole.files)
      let (name, bytes) = try #require(storage.files.sorted { $0.key < $1.key }.randomElement(using: &random))
      let offset = Int.random(in: bytes.indices, using: &random)
      storage.flip(name, at: offset, mask: .random(in: 1...255, using: &random))
      do {
        let index = try Self.index(storage, of: log.storage)
        #expect(try filters.map { try Self.found($0, in: index) } == expected, "\(name) byte \(offset), CHATELAINE_SEED=\(Self.seed)")
      } catch is IndexFault { noticed += 1 }
    }
    #expect(noticed > 100)
  }

  @Test func `A file that is missing, cut or another's is noticed`() throws {
    let whole = MemoryStorage()
    _ = try Self.index(whole, of: log.storage)
    let parts = whole.files.keys.filter { $0.hasPrefix("part-") }.sorted()
    #expect(parts.count == 3)
    for name in whole.files.keys where !name.hasPrefix("index-") {
      for change in 0..<2 {
        let storage = MemoryStorage(files: whole.files)
        if change == 0 { storage[name] = nil } else { storage[name]?.resize(to: (whole[name]?.count ?? 0) / 2) }
        #expect(throws: IndexFault.self, "\(name)") {
          let index = try Self.index(storage, of: log.storage)
          for filter in try Self.filters() { _ = try Self.found(filter, in: index) }
        }
      }
    }
    let swapped = MemoryStorage(files: whole.files)
    (swapped[parts[0]], swapped[parts[1]]) = (whole[parts[1]], whole[parts[0]])
    #expect(throws: IndexFault.damaged) { try Self.index(swapped, of: log.storage) }
    let other = MemoryStorage()
    _ = try Self.index(other, of: log.storage)
    let mixed = MemoryStorage(files: whole.files)
    mixed[parts[0]] = other[parts[0]]
    #expect(throws: IndexFault.damaged) { try Self.index(mixed, of: log.storage) }
    let boastful = MemoryStorage(files: whole.files)
    var bytes = try #require(boastful[parts[0]])
    let first = Array(bytes.prefix(IndexPage.byteCount))
    let parsed = IndexPage.parse(first.span, part: 0, number: 0)
    var words = try #require(parsed)
    words[5] = 1 << 39
    bytes.replaceSubrange(0..<IndexPage.byteCount, with: IndexPage.encode(words, part: 0, number: 0))
    boastful[parts[0]] = bytes
    #expect(throws: IndexFault.damaged, "more values than there is room for in the file") {
      try Self.index(boastful, of: log.storage)
    }
  }

  @Test func `A log that is not the one it was made from is noticed`() throws {
    let whole = MemoryStorage()
    _ = try Self.index(whole, of: log.storage)
    let rewritten = try SampleLog(entries: Self.entries, options: .small(first: 64 << 10, grown: 256 << 10), seed: 2)
    #expect(throws: IndexFault.damaged, "another log") { try Self.index(whole, of: rewritten.storage) }
    let cut = log.storage
    let last = try #require(log.frames().last)
    cut[last.file]?.overwrite([UInt8](repeating: 0, count: last.byteCount).span, at: last.offset)
    #expect(throws: IndexFault.otherLog, "the same log, cut") { try Self.index(whole, of: cut) }
  }

  @Test func `An entry that was changed after it was indexed is not shown`() throws {
    let whole = MemoryStorage()
    _ = try Self.index(whole, of: log.storage)
    var filter = EntryFilter()
    filter.requestID = Identifier(high: 0x5a5a, low: 777)
    let sequence = try #require(try Self.all(filter, in: log.storage).first)
    let frame = try #require(
      log.frames().first { $0.header.firstSequence <= sequence && sequence < $0.header.firstSequence + UInt64($0.header.count) })
    let changed = log.storage
    changed.flip(frame.file, at: frame.offset + 52 + 71, mask: 1)
    #expect(throws: IndexFault.otherLog) { try Self.found(filter, in: Self.index(whole, of: changed)) }
    let sound = try Self.index(whole, of: log.storage)
    #expect(try Self.found(filter, in: sound) == [sequence], "the control: as it was written it is")
  }

  @Test func `Control: an index whose owner wrote it anew without an entry hides it, which is why it proves no absence`() throws {
    let storage = MemoryStorage()
    _ = try Self.index(storage, of: log.storage)
    var filter = EntryFilter()
    filter.requestID = Identifier(high: 0x5a5a, low: 777)
    var hidden = 0
    for (name, bytes) in storage.files where name.hasPrefix("part-") {
      let part = try #require(name.split(separator: "-").dropFirst(2).first.flatMap { UInt64($0) })
      for page in 1..<bytes.count / IndexPage.byteCount {
        let place = page * IndexPage.byteCount..<(page + 1) * IndexPage.byteCount
        let found = IndexPage.parse(bytes.span.extracting(place), part: part, number: UInt64(page))
        let values = try #require(found)
        let zeros = IndexPage.encode(values.map { $0 == .max ? $0 : $0 ^ 1 << 40 }.sorted(), part: part, number: UInt64(page))
        storage[name]?.overwrite(zeros.span, at: place.lowerBound)
        hidden += 1
      }
    }
    let index = try Self.index(storage, of: log.storage)
    #expect(try hidden > 0 && Self.found(filter, in: index).isEmpty)
  }
}
