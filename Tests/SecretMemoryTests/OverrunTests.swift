import ChatelaineSecretMemory
import ChatelaineTestSupport
import Glibc
import Testing

/// How a `precondition` ends a process here.
#if arch(x86_64)
  private let trap = ExitTest.Condition.signal(SIGILL)
#else
  private let trap = ExitTest.Condition.signal(SIGTRAP)
#endif

/// Each crash has its control: the same access, the last that is within bounds, does not crash.
@Suite("Overruns and forbidden writes end the process")
struct OverrunTests {
  @Test("A byte written behind a full slot is found when the secret is given back")
  func canary() async {
    await #expect(processExitsWith: trap) { poke(size: 32, at: 32) }
    await #expect(processExitsWith: trap) { poke(size: 32, at: 47) }
    await #expect(processExitsWith: trap) { poke(size: 1024, at: 1024) }
    await #expect(processExitsWith: .success) { poke(size: 32, at: 31) }
    await #expect(processExitsWith: .success) { poke(size: 1024, at: 1023) }
  }

  @Test("A write past the end of the slab faults at once")
  func slabEnd() async {
    // 65,536 bytes hold three slots of 16,384 and their canaries; the third ends where the guard page begins.
    await #expect(processExitsWith: .signal(SIGSEGV)) { pokeThird(at: 16_384 + 16) }
    await #expect(processExitsWith: trap) { pokeThird(at: 16_384 + 15) }
    await #expect(processExitsWith: .success) { pokeThird(at: 16_383) }
  }

  @Test("A read past the end of the slab faults at once")
  func slabEndRead() async {
    await #expect(processExitsWith: .signal(SIGSEGV)) { peekThird(at: 16_384 + 16) }
    await #expect(processExitsWith: .success) { peekThird(at: 16_384 + 15) }
  }

  @Test("A read before the first page or behind the last page of a sealed secret faults")
  func sealedEnds() async {
    await #expect(processExitsWith: .signal(SIGSEGV)) { peekSealed(at: 4096) }
    await #expect(processExitsWith: .signal(SIGSEGV)) { peekSealed(at: -1) }
    await #expect(processExitsWith: .success) { peekSealed(at: 4095) }
    await #expect(processExitsWith: .success) { peekSealed(at: 0) }
  }

  @Test("A write to a sealed secret faults, and the same write to a slab secret does not")
  func sealedIsReadOnly() async {
    await #expect(processExitsWith: .signal(SIGSEGV)) { poke(size: 32, at: 0, keeping: .sealed) }
    await #expect(processExitsWith: .signal(SIGSEGV)) { poke(size: 4096, at: 4095, keeping: .sealed) }
    await #expect(processExitsWith: .success) { poke(size: 32, at: 0, keeping: .slab) }
  }

  @Test("A secret that is filled only in part traps")
  func partlyFilled() async {
    await #expect(processExitsWith: trap) { fill(31, of: 32, keeping: .slab) }
    await #expect(processExitsWith: trap) { fill(0, of: 1, keeping: .slab) }
    await #expect(processExitsWith: trap) { fill(31, of: 32, keeping: .sealed) }
    await #expect(processExitsWith: .success) { fill(32, of: 32, keeping: .slab) }
    await #expect(processExitsWith: .success) { fill(32, of: 32, keeping: .sealed) }
  }

  @Test("More bytes than a secret has room for trap")
  func overfilled() async {
    await #expect(processExitsWith: trap) { fill(33, of: 32, keeping: .slab) }
    await #expect(processExitsWith: trap) { fill(20_000, of: 32, keeping: .slab) }
  }

  @Test("A secret of no bytes traps")
  func empty() async {
    await #expect(processExitsWith: trap) { fill(0, of: 0, keeping: .slab) }
    await #expect(processExitsWith: .success) { fill(1, of: 1, keeping: .slab) }
  }

  @Test("Where no more memory may be locked, the process ends rather than hold an unlocked secret")
  func lockedMemoryExhausted() async {
    await #expect(processExitsWith: trap) {
      dropPrivileges(lockedBytes: 0)
      fill(32, of: 32, keeping: .slab)
    }
    await #expect(processExitsWith: .success) {
      dropPrivileges(lockedBytes: 0)
      precondition((try? SecretArena.prepare()) == nil)
    }
    await #expect(processExitsWith: .success) {
      dropPrivileges(lockedBytes: 1 << 20)
      fill(32, of: 32, keeping: .slab)
    }
  }
}

/// Writes one byte at an offset that the secret may not have, then gives the secret back.
private func poke(size: Int, at offset: Int, keeping: SecretBytes.Keeping = .slab) {
  var secret = SecretBytes(copying: [UInt8](repeating: 0, count: size), keeping: keeping)
  secret.poke(offset)
}

private func pokeThird(at offset: Int) {
  let first = SecretBytes(copying: [UInt8](repeating: 0, count: 16_384))
  let second = SecretBytes(copying: [UInt8](repeating: 0, count: 16_384))
  var third = SecretBytes(copying: [UInt8](repeating: 0, count: 16_384))
  third.poke(offset)
  precondition(first.count == second.count)
}

private func peekThird(at offset: Int) {
  let first = SecretBytes(copying: [UInt8](repeating: 0, count: 16_384))
  let second = SecretBytes(copying: [UInt8](repeating: 0, count: 16_384))
  let third = SecretBytes(copying: [UInt8](repeating: 0, count: 16_384))
  precondition(third.peek(offset) != nil && first.count == second.count)
}

private func peekSealed(at offset: Int) {
  let secret = SecretBytes(copying: [1], keeping: .sealed)
  precondition(secret.peek(offset) != nil)
}

private func fill(_ written: Int, of count: Int, keeping: SecretBytes.Keeping) {
  let bytes = [UInt8](repeating: 1, count: written)
  let secret = SecretBytes(count: count, keeping: keeping) { $0.append(contentsOf: bytes.span) }
  precondition(secret.count == count)
}

/// Becomes a user without the right to lock more than the limit: root ignores it.
private func dropPrivileges(lockedBytes: UInt) {
  var limit = rlimit(rlim_cur: lockedBytes, rlim_max: lockedBytes)
  precondition(unsafe setrlimit(__rlimit_resource_t(8), &limit) == 0)  // RLIMIT_MEMLOCK
  if geteuid() == 0 { precondition(setuid(65_534) == 0) }
}

extension SecretBytes {
  fileprivate mutating func poke(_ offset: Int) {
    withMutableBytes { span in
      // why: a byte of a canary may be any; only one that is changed is sure to be another.
      unsafe span.withUnsafeMutableBytes {
        let before = unsafe $0.baseAddress!.load(fromByteOffset: offset, as: UInt8.self)
        unsafe $0.baseAddress!.storeBytes(of: before ^ 0xee, toByteOffset: offset, as: UInt8.self)
      }
    }
  }

  fileprivate borrowing func peek(_ offset: Int) -> UInt8? {
    withBytes { span in
      unsafe span.withUnsafeBytes { unsafe $0.baseAddress!.load(fromByteOffset: offset, as: UInt8.self) }
    }
  }
}
