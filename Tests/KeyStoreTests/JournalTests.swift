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
}
