import ChatelaineEnvelopes
import ChatelaineVocabulary
import Foundation
import Testing

@testable import ChatelaineKeyStore

/// A service was killed, and then something happened to the journal that it left.
@Suite struct JournalTests {
  private let bench: Bench
  private let store: KeyStore
  private let crashed: Bench
  private let frame = 24 + 4096

  init() throws {
    bench = try Bench()
    let first = try bench.create()
    try bench.put(first, TenantRow.sample("acme"))
    try first.close()
    store = try bench.open()
    for name in ["beta", "gamma", "delta"] { try bench.put(store, TenantRow.sample(name)) }
    crashed = try Bench(storeKey: bench.storeKey)
    for suffix in ["", "-wal"] {
      try FileManager.default.copyItem(atPath: bench.path + suffix, toPath: crashed.path + suffix)
    }
  }

  enum Damage: CaseIterable {
    case none, magic, salt, checksum, zeros, noHeader, headerAlone, firstFrame, firstSalt, secondFrame, tornTail, noTail
  }

  private var journal: URL { URL(filePath: crashed.path + "-wal") }

  private func inflict(_ damage: Damage) throws {
    var bytes = [UInt8](try Data(contentsOf: journal))
    #expect(bytes.count > 32 + 6 * frame)
    switch damage {
    case .none: break
    case .magic: bytes[0] ^= 1
    case .salt: bytes[17] ^= 1
    case .checksum: bytes[25] ^= 1
    case .zeros: bytes = [UInt8](repeating: 0, count: bytes.count)
    case .noHeader: bytes.removeLast(bytes.count - 20)
    case .headerAlone: bytes.removeLast(bytes.count - 32)
    case .firstFrame: bytes[32 + 24 + 100] ^= 1
    case .firstSalt: bytes[32 + 9] ^= 1
    case .secondFrame: bytes[32 + frame + 30] ^= 1
    case .tornTail: bytes[bytes.count - 50] ^= 1
    case .noTail: bytes.removeLast(2 * frame + 7)
    }
    try Data(bytes).write(to: journal)
  }

  @Test(arguments: Damage.allCases)
  func `a check changes nothing, whatever the journal holds`(damage: Damage) throws {
    try inflict(damage)
    let before = try crashed.contents()
    do {
      let checked = try crashed.open(for: .checking)
      _ = try? checked.verifyAll()
      #expect((checked.head == store.head) == (damage == .none))
      try checked.close()
    } catch { #expect(error is KeyStoreError && damage != .none) }
    #expect(try crashed.contents() == before)
  }

  @Test(arguments: [Damage.magic, .salt, .checksum, .zeros, .firstFrame, .firstSalt, .secondFrame])
  func `a journal that breaks before committed changes is refused by its name, and kept`(damage: Damage) throws {
    try inflict(damage)
    let before = try crashed.contents()
    for use in [KeyStore.Use.serving, .checking] {
      let refusal = #expect(throws: KeyStoreError.self) { try crashed.open(for: use).close() }
      #expect(refusal?.sentence.contains(crashed.path + "-wal") == true, "\(refusal?.sentence ?? "opened")")
      #expect(try crashed.contents() == before)
    }
  }

  @Test(arguments: [Damage.none, .headerAlone, .tornTail, .noTail])
  func `a journal as a power cut may leave it is opened`(damage: Damage) throws {
    // The control: the last change was not on the disk yet, and nobody was told that it was.
    try inflict(damage)
    let opened = try crashed.open()
    #expect((opened.head == store.head) == (damage == .none))
    #expect(try opened.tenant(tenant("acme")) != nil)
    try opened.close()
    #expect(try crashed.contents().keys.sorted() == ["store.db"])
  }

  // MUST: STORE-14
  @Test(arguments: [false, true])
  func `a rollback journal is refused by its name before SQLite can play it back`(isCrashed: Bool) throws {
    if !isCrashed { try crashed.open().close() }
    let now = try crashed.contents()
    try rollbackJournal(to: Data(contentsOf: URL(filePath: bench.path))).write(to: rollback)
    try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: rollback.path)
    let before = try crashed.contents()
    for use in [KeyStore.Use.serving, .checking] {
      let refusal = #expect(throws: KeyStoreError.self) { try crashed.open(for: use).close() }
      #expect(refusal?.sentence.contains(rollback.path) == true, "\(refusal?.sentence ?? "opened")")
      #expect(try crashed.contents() == before)
    }
    // The control: an empty one says nothing.
    try Data().write(to: rollback)
    #expect(try crashed.contents().filter { $0.key.hasSuffix(".db") } == now.filter { $0.key.hasSuffix(".db") })
    let opened = try crashed.open()
    #expect(opened.head == store.head)
    try opened.close()
  }

  @Test func `the control: SQLite itself plays a rollback journal back`() throws {
    try crashed.open().close()
    let database = URL(filePath: crashed.path)
    let old = try Data(contentsOf: URL(filePath: bench.path))
    let now = try Data(contentsOf: database)
    try rollbackJournal(to: old).write(to: rollback)
    try crashed.sql("PRAGMA user_version")
    #expect(try Data(contentsOf: database) == old && old != now)
  }

  private var rollback: URL { URL(filePath: crashed.path + "-journal") }

  /// What SQLite would write over the database to have these bytes again (SQLite file format, 3).
  private func rollbackJournal(to old: Data) -> Data {
    let (pageSize, nonce) = (4096, UInt32(12_345))
    let pages = old.count / pageSize
    var journal = Data([0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7])
    for number in [UInt32(pages), nonce, UInt32(pages), 512, UInt32(pageSize)] { journal.append(bigEndian(number)) }
    journal.append(Data(count: 512 - journal.count))
    for page in 0..<pages {
      let bytes = [UInt8](old[page * pageSize..<(page + 1) * pageSize])
      let sum = stride(from: pageSize - 200, to: 0, by: -200).reduce(nonce) { $0 &+ UInt32(bytes[$1]) }
      journal.append(bigEndian(UInt32(page + 1)) + Data(bytes) + bigEndian(sum))
    }
    return journal
  }

  private func bigEndian(_ number: UInt32) -> Data {
    Data((0..<4).map { UInt8(truncatingIfNeeded: number >> (24 - 8 * UInt32($0))) })
  }
}
