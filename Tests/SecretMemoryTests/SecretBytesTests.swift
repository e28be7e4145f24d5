import ChatelaineSecretMemory
import ChatelaineTestSupport
import Synchronization
import Testing

@Suite("Secrets")
struct SecretBytesTests {
  static let sizes = [
    1, 7, 8, 31, 32, 33, 63, 64, 65, 128, 129, 255, 256, 257, 432, 512, 1000, 1024, 1025, 4096, 4097, 16_384,
    16_385,
    65_536, 100_000,
  ]

  @Test("A secret gives back the bytes it was filled with", arguments: [SecretBytes.Keeping.slab, .sealed])
  func contents(keeping: SecretBytes.Keeping) {
    var random = SeededRandom(announcing: "secret contents")
    for size in Self.sizes {
      let bytes = random.bytes(size)
      let secret = SecretBytes(copying: bytes, keeping: keeping)
      let (count, copy) = (secret.count, secret.copied())
      #expect(count == size)
      #expect(copy == bytes, "\(size) bytes")
    }
  }

  @Test("Thousands of secrets of mixed sizes, made and dropped in random order, keep their contents apart")
  func manySecrets() {
    var random = SeededRandom(announcing: "many secrets")
    var living: [Held] = []
    for round in 0..<6000 {
      if living.count > 120 || (!living.isEmpty && Int.random(in: 0..<5, using: &random) < 2) {
        let gone = living.remove(at: Int.random(in: 0..<living.count, using: &random))
        #expect(gone.isIntact, "round \(round)")
      } else {
        let size = Int.random(in: 1...2048, using: &random) >> Int.random(in: 0..<7, using: &random) + 1
        living.append(Held(random.bytes(size)))
      }
    }
    for held in living { #expect(held.isIntact) }
    #expect(!living.isEmpty)
  }

  @Test("Secrets made and dropped on many threads at once keep their contents apart")
  func manyThreads() async {
    let broken = await withTaskGroup(of: Int.self) { group in
      for seed in 0..<8 {
        group.addTask {
          var random = SeededRandom(seed: UInt64(seed))
          let rounds = (0..<500).map { _ in Held(random.bytes(Int.random(in: 1...512, using: &random))) }
          return rounds.count { !$0.isIntact }
        }
      }
      return await group.reduce(0, +)
    }
    #expect(broken == 0)
  }

  @Test(
    "A duplicate has the same bytes and a life of its own", arguments: [SecretBytes.Keeping.slab, .sealed])
  func duplicates(keeping: SecretBytes.Keeping) {
    var original = SecretBytes(copying: Array(0..<40))
    let copy = original.duplicate(keeping: keeping)
    original.withMutableBytes { $0.storeBytes(of: 0xff, toByteOffset: 0, as: UInt8.self) }
    let (changed, same) = (original.copied(), copy.copied())
    #expect(changed == [0xff] + Array(1..<40))
    #expect(same == Array(0..<40))
  }

  @Test("A slab secret can be written in place")
  func writesInPlace() {
    var secret = SecretBytes(copying: [1, 2, 3])
    secret.withMutableBytes { $0.storeBytes(of: 9, toByteOffset: 2, as: UInt8.self) }
    let bytes = secret.copied()
    #expect(bytes == [1, 2, 9])
  }

  @Test("When filling throws, the error comes out and no secret is left")
  func fillThrows() async {
    struct Refused: Error {}
    #expect(throws: Refused.self) {
      _ = try SecretBytes(count: 32) { output throws(Refused) in
        output.append(contentsOf: [1, 2, 3].span)
        throw Refused()
      }
    }
    await #expect(processExitsWith: .success) {
      for keeping in [SecretBytes.Keeping.slab, .sealed] {
        _ = try? SecretBytes(count: 32, keeping: keeping) { output throws(Exit) in throw Exit() }
      }
      precondition(SecretArena.secretCount == 0)
    }
  }

  @Test("The counts of secrets and of mapped bytes go up, and go back down")
  func counts() async {
    await #expect(processExitsWith: .success) {
      precondition(SecretArena.secretCount == 0)
      do {
        let small = (0..<1000).map { _ in Held([1, 2, 3]) }
        precondition(SecretArena.secretCount == 1000)
        let mapped = SecretArena.mappedBytes
        precondition(mapped >= 32_000)
        let sealed = SecretBytes(copying: Array(0..<32), keeping: .sealed)
        precondition(SecretArena.secretCount == 1001)
        precondition(SecretArena.mappedBytes > mapped && sealed.count == 32)
        _ = consume sealed
        precondition(SecretArena.mappedBytes == mapped, "the sealed mapping is given back")
        precondition(small.count == 1000)
      }
      precondition(SecretArena.secretCount == 0)
      let mapped = SecretArena.mappedBytes
      for _ in 0..<1000 { _ = Held([1, 2, 3]) }
      precondition(SecretArena.mappedBytes == mapped, "slots are used again")
    }
  }
}

struct Exit: Error {}

/// A secret and the bytes it must hold.
final class Held: Sendable {
  private let secret: SecretBytes
  private let expected: [UInt8]

  init(_ bytes: [UInt8]) {
    expected = bytes
    secret = SecretBytes(copying: bytes)
  }

  var isIntact: Bool { secret.copied().isSame(as: expected) }
}
