import ChatelaineAuditLog
import ChatelaineAuditTrail
import ChatelaineLogTestSupport
import ChatelaineVocabulary
import Foundation
import Testing

/// A search gives what a reading of the whole log gives, a page at a time, in either direction; and nothing of a log that is
/// not as it was written.
struct LogSearchTests {
  static let count: UInt64 = 4000

  /// Segments of several chunks, and small ones.
  private static func log(_ count: UInt64 = count) throws -> MemoryStorage {
    let storage = MemoryStorage()
    _ = try LogWriter.create(in: storage, name: "search", options: options, clock: .stepping())
    let log = AuditLog(try LogWriter.open(in: storage, options: options, clock: .stepping()).0)
    var next: UInt64 = 0
    while next < count {
      let end = min(count, next + next % 23 + 1)
      _ = try log.appendAndWait((next..<end).map { EntryDraft.sample($0) })
      next = end
    }
    log.close()
    return storage
  }

  private static let options = LogOptions.small(first: 64 << 10, grown: 700 << 10)

  private static func wants(_ bytes: Span<UInt8>, _ tenant: String) -> Bool { AuditEntry.isOf(Array(tenant.utf8), bytes) }

  /// All pages, one after the other; and how many there were.
  private static func pages(
    _ search: inout LogSearch, _ size: UInt64, newestFirst: Bool, limit: Int, bytesMax: Int = 1 << 20,
    range: Range<UInt64>? = nil, steps: Int = .max, tenant: String = "acme"
  ) throws -> (found: [FoundEntry], pages: Int) {
    var (rest, all, count) = (range ?? 0..<size, [FoundEntry](), 0)
    while !rest.isEmpty {
      var stretch = LogSearch.Stretch(epoch: 1, size: size, range: rest, entriesMax: limit, bytesMax: bytesMax)
      stretch.isNewestFirst = newestFirst
      var left = steps
      let isLate = {
        left -= 1
        return left < 0
      }
      let found = try search.look(through: stretch, isLate: isLate) { wants($0, tenant) }
      #expect(found.entries.count <= limit && (found.byteCount <= bytesMax || found.entries.count == 1))
      all += found.entries
      rest = found.rest
      count += 1
      guard count < 10_000 else { break }
    }
    return (all, count)
  }

  private static func all(_ storage: MemoryStorage, _ tenant: String = "acme") throws -> [FoundEntry] {
    var (reader, all) = (try LogReader(storage), [FoundEntry]())
    _ = try reader.readAvailable { bytes in
      guard wants(bytes, tenant), let entry = try? AuditEntry(parsing: bytes) else { return }
      all.append(FoundEntry(sequence: entry.sequence, leafHash: AuditEntry.leafHash(bytes), bytes: bytes.copied()))
    }
    return all
  }

  @Test func `Pages of any size, in either direction, come to what a reading of the whole gives`() throws {
    let storage = try Self.log()
    let all = try Self.all(storage)
    #expect(all.count > 1000)
    var search = LogSearch(storage)
    for (limit, bytes) in [(1000, 1 << 20), (37, 1 << 20), (1000, 5000)] {
      let old = try Self.pages(&search, Self.count, newestFirst: false, limit: limit, bytesMax: bytes)
      let new = try Self.pages(&search, Self.count, newestFirst: true, limit: limit, bytesMax: bytes)
      #expect(old.found == all && new.found == all.reversed())
    }
    var fresh = LogSearch(storage)
    let last = try Self.pages(&fresh, Self.count, newestFirst: true, limit: 1000, range: 3990..<4000, tenant: "globex")
    #expect(last.found == (try Self.all(storage, "globex")).filter { $0.sequence >= 3990 }.reversed())
  }

  @Test func `A page ends when it is late, and the next goes on there`() throws {
    let storage = try Self.log()
    let all = try Self.all(storage)
    for newestFirst in [false, true] {
      var search = LogSearch(storage)
      let found = try Self.pages(&search, Self.count, newestFirst: newestFirst, limit: 1000, steps: 1)
      #expect(found.found == (newestFirst ? all.reversed() : all))
      #expect(found.pages > 3, "the control: it was late")
    }
  }

  @Test func `What is behind the size is not looked at, though it is in the file`() throws {
    let storage = try Self.log(500)
    var search = LogSearch(storage)
    let early = try Self.pages(&search, 100, newestFirst: true, limit: 1000, range: 0..<500)
    #expect(early.found.allSatisfy { $0.sequence < 100 } && !early.found.isEmpty)
    let later = try Self.pages(&search, 500, newestFirst: false, limit: 1000)
    #expect(later.found == (try Self.all(storage)), "the same search goes on as the log grows")
  }

  @Test func `A byte that is changed anywhere in an entry or a frame's head is found`() throws {
    let storage = try Self.log(300)
    func isFound(_ newestFirst: Bool) -> Bool {
      var search = LogSearch(storage)
      do { _ = try Self.pages(&search, 300, newestFirst: newestFirst, limit: 1000) } catch {
        guard case .damaged = error as? LogSearch.Fault else { return false }
        return true
      }
      return false
    }
    #expect(!isFound(false) && !isFound(true), "the control: a whole log")
    let segment = LogNames.segment(epoch: 1, 0)
    for step in 0..<60 {
      let offset = 4096 + step * 401
      storage.flip(segment, at: offset, mask: 0x10)
      let isPadding = Verification(storage).verdict == .valid
      #expect(isPadding || isFound(step.isMultiple(of: 2)), "at \(offset) of \(segment)")
      storage.flip(segment, at: offset, mask: 0x10)
    }
  }
}
