import ChatelaineAuditLog
import ChatelaineAuditTrail
import ChatelaineKeyStore
import ChatelaineVocabulary
import Foundation
import Testing

@testable import ChatelaineKeyService

/// A start reads the newest segment; the entry that the store names lies in an older one, and must be found there.
@Suite struct NamedEntryTests {
  private let shop: Workshop
  private let segment = "log/000001-0000000000.seg"

  init() throws {
    shop = try Workshop()
    try shop.initialize()
    try shop.running { service in
      _ = try service.createTenant(tenant("acme"), by: shop.caller, tags)
      for _ in 0..<3 { _ = try service.append(StoreStateTests.uses) }
      // The newest segment says what the store is before anything else is tried.
      let end = Date(timeIntervalSinceNow: 10)
      while try shop.entries().last?.entry.operation != .storeState, Date() < end { usleep(10_000) }
    }
  }

  enum Damage: CaseIterable { case entry, magic, earlierMagic, earlierLength, earlierSequence, zeros, header }

  // MUST: STORE-10
  @Test(arguments: Damage.allCases)
  func `a named entry that cannot be found is a corrupt log`(damage: Damage) throws {
    try inflict(damage)
    let before = try logFiles()
    for _ in 0..<2 {
      let refusal = shop.refusalToOpen()
      guard case .log(.corrupt(_, let file)) = refusal else {
        return #expect(Bool(false), "\(refusal?.sentence ?? "it was opened")")
      }
      #expect(segment.hasSuffix(file))
      #expect(try logFiles() == before)
    }
  }

  @Test func `the control: as it was, the log starts, and no other segment is read`() throws {
    let (service, report) = try shop.open()
    defer { service.close() }
    #expect(!report.hasReadWholeLog && report.recovery.segmentsRead == 1)
  }

  private func logFiles() throws -> [String: Data] {
    try Workshop.contents(shop.directory).filter { $0.key.hasPrefix("log/") && $0.key != "log/lock" }
  }

  private func inflict(_ damage: Damage) throws {
    let file = shop.directory.appending(path: segment)
    var bytes = [UInt8](try Data(contentsOf: file))
    let named = try shop.running { $0.store.storeRow.logSequence }
    let frame = try #require(frames(of: bytes).last { number(bytes, at: $0 + 16, count: 8) <= named })
    #expect(frame > 4096, "the named entry's frame is not the first")
    switch damage {
    case .entry: bytes[frame + 60] ^= 1
    case .magic: bytes[frame] ^= 1
    case .earlierMagic: bytes[4096] ^= 1
    case .earlierLength: bytes[4096 + 30] ^= 0x40
    case .earlierSequence: bytes[4096 + 23] = UInt8(named)
    case .zeros: bytes.replaceSubrange(4096..., with: repeatElement(0, count: bytes.count - 4096))
    case .header: bytes[200] ^= 1
    }
    try Data(bytes).write(to: file)
  }

  /// Where frames begin.
  private func frames(of bytes: [UInt8]) -> [Int] {
    var (offsets, offset) = ([Int](), 4096)
    while offset + 80 < bytes.count, bytes[offset..<offset + 4] == ArraySlice("CHF1".utf8) {
      offsets.append(offset)
      offset += (Int(number(bytes, at: offset + 28, count: 4)) + 80 + 511) / 512 * 512
    }
    return offsets
  }

  private func number(_ bytes: [UInt8], at offset: Int, count: Int) -> UInt64 {
    bytes[offset..<offset + count].reduce(0) { $0 << 8 | UInt64($1) }
  }
}
