import CLinux
import ChatelaineSecretMemory
import ChatelaineTestSupport
import Foundation
import Testing

/// What memory holds after a secret has gone. Each test is a process of its own, so that nobody
/// else's secret moves into the slot in between.
@Suite("Erasure and protection")
struct ErasureTests {
  @Test("A slot is zeros once its secret is gone, while its slab stays mapped")
  func slotsAreErased() async {
    await #expect(processExitsWith: .success) {
      for size in [1, 32, 64, 100, 432, 1024, 4096, 16_384] {
        let address = addressOfDropped(size: size)
        precondition(bytes(at: address, count: size).allSatisfy { $0 == 0 }, "\(size) bytes are left behind")
      }
    }
    // The control: the same look at the same place, the secret alive.
    await #expect(processExitsWith: .success) {
      let secret = SecretBytes(copying: [UInt8](repeating: 0xa5, count: 64))
      let address = secret.address
      precondition(bytes(at: address, count: 64).allSatisfy { $0 == 0xa5 })
      precondition(secret.count == 64)
    }
  }

  @Test("A used slot is handed out again, as zeros")
  func slotsAreReused() async {
    await #expect(processExitsWith: .success) {
      let address = addressOfDropped(size: 48)
      let next = SecretBytes(count: 48) { output in
        precondition(bytes(at: address, count: 48).allSatisfy { $0 == 0 })
        output.append(contentsOf: [UInt8](repeating: 1, count: 48).span)
      }
      precondition(next.address == address)
    }
  }

  @Test("What was written before filling threw is erased")
  func thrownFillIsErased() async {
    await #expect(processExitsWith: .success) {
      let address = addressOfDropped(size: 48)
      _ = try? SecretBytes(count: 48) { output throws(Exit) in
        output.append(contentsOf: [UInt8](repeating: 0x77, count: 20).span)
        precondition(bytes(at: address, count: 20).allSatisfy { $0 == 0x77 }, "the same slot")
        throw Exit()
      }
      precondition(bytes(at: address, count: 48).allSatisfy { $0 == 0 })
    }
  }

  @Test("A sealed secret's pages are unmapped once it is gone")
  func sealedPagesAreUnmapped() async {
    await #expect(processExitsWith: .signal(SIGSEGV)) {
      let address = addressOfDropped(size: 32, keeping: .sealed)
      precondition(bytes(at: address, count: 1) != [])
    }
    await #expect(processExitsWith: .success) {
      let secret = SecretBytes(copying: [7], keeping: .sealed)
      precondition(bytes(at: secret.address, count: 1) == [7])
      precondition(secret.count == 1)
    }
  }

  @Test("What prepare() reports is what the kernel says of the pages")
  func protectionIsTrue() async {
    await #expect(processExitsWith: .success) {
      guard let protection = try? SecretArena.prepare() else { preconditionFailure("no locked memory") }
      let secrets = [SecretBytes.Keeping.slab, .sealed].map {
        HeldSecret(.init(copying: [1, 2, 3], keeping: $0))
      }
      for secret in secrets {
        let (name, flags) = mapping(of: secret.value.address)
        precondition(protection.memfdSecret == name.contains("secretmem"), name)
        precondition(protection.locked == flags.contains("lo"), "locked: \(flags)")
        precondition(protection.leftOutOfDumps == flags.contains("dd"), "dumps: \(flags)")
        precondition(
          protection.absentInChildren == (flags.contains("dc") || flags.contains("wf")), "fork: \(flags)")
      }
      precondition(protection.locked && protection.leftOutOfDumps && protection.absentInChildren)
    }
    // The control: ordinary memory has none of it.
    await #expect(processExitsWith: .success) {
      let (name, flags) = mapping(of: addressOfOrdinaryMemory())
      precondition(!name.contains("secretmem") && flags.contains("rd"))
      precondition(flags.isDisjoint(with: ["lo", "dd", "dc", "wf"]), "\(flags)")
    }
  }
}

/// The two kinds of pages below the arena: an arena only ever uses the better one that it can have.
@Suite("Secret mappings")
struct SecretMappingTests {
  @Test(
    "What a mapping claims is what the kernel says of it, with memfd_secret and without",
    arguments: [0, 1] as [Int32])
  func claims(allowMemfd: Int32) {
    var held: UInt32 = 0
    guard let base = unsafe ch_secret_map(65_536, allowMemfd, &held) else {
      Issue.record("no locked memory")
      return
    }
    defer { unsafe ch_secret_unmap(base, 65_536) }
    let (name, flags) = mapping(of: UInt(bitPattern: base))
    func claims(_ bit: Int) -> Bool { held & UInt32(bit) != 0 }
    print(
      "secret mapping, memfd \(allowMemfd == 1 ? "tried" : "not tried"): \(name.suffix(30)) \(flags.sorted())"
    )
    #expect(claims(CH_HELD_MEMFD_SECRET) == name.contains("secretmem"))
    #expect(!claims(CH_HELD_MEMFD_SECRET) || allowMemfd == 1)
    #expect(claims(CH_HELD_LOCKED) && flags.contains("lo"))
    #expect(claims(CH_HELD_NO_DUMP) && flags.contains("dd"))
    #expect(claims(CH_HELD_NO_FORK) && !flags.isDisjoint(with: ["dc", "wf"]))
  }
}

/// Carries a secret in an array.
final class HeldSecret: Sendable {
  let value: SecretBytes
  init(_ value: consuming SecretBytes) { self.value = value }
}

extension SecretBytes {
  var address: UInt {
    withBytes { span in unsafe span.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) } }
  }
}

/// Fills a secret with 0xa5, drops it, and says where it was.
func addressOfDropped(size: Int, keeping: SecretBytes.Keeping = .slab) -> UInt {
  let secret = SecretBytes(copying: [UInt8](repeating: 0xa5, count: size), keeping: keeping)
  let address = secret.address
  precondition(secret.count == size)
  return address
}

func addressOfOrdinaryMemory() -> UInt {
  UInt(bitPattern: UnsafeMutableRawPointer.allocate(byteCount: 1 << 22, alignment: 4096))
}

func bytes(at address: UInt, count: Int) -> [UInt8] {
  let start = unsafe UnsafePointer<UInt8>(bitPattern: address)!
  return unsafe Array(UnsafeBufferPointer(start: start, count: count))
}

/// The name and VmFlags of the mapping that holds an address, from /proc/self/smaps.
func mapping(of address: UInt) -> (name: String, flags: Set<String>) {
  // why: String(contentsOfFile:) stops after the first page of a /proc file.
  guard let data = try? FileHandle(forReadingAtPath: "/proc/self/smaps")?.readToEnd() else { return ("", []) }
  var name: String?
  for line in String(decoding: data, as: UTF8.self).split(separator: "\n") {
    let words = line.split(separator: " ", omittingEmptySubsequences: true)
    let ends = words.first.map { $0.split(separator: "-") } ?? []
    if ends.count == 2, let low = UInt(ends[0], radix: 16), let high = UInt(ends[1], radix: 16) {
      name = (low..<high).contains(address) ? String(line) : nil
    } else if let name, line.hasPrefix("VmFlags:") {
      return (name, Set(words.dropFirst().map(String.init)))
    }
  }
  return ("", [])
}
