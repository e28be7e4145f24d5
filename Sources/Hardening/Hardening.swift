internal import CLinux
internal import ChatelaineSecretMemory
internal import Glibc

/// Closes the process up before its first secret, and tells for each part whether it holds.
package enum Hardening {
  /// What the caller lets pass that would otherwise be refused.
  package struct Allowances: OptionSet, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static let unlockedMemory = Allowances(rawValue: 1)
    package static let swap = Allowances(rawValue: 2)
    package static let preload = Allowances(rawValue: 4)
    package static let root = Allowances(rawValue: 8)
  }

  /// What is asked of a process.
  package struct Policy: Sendable {
    package var allowed: Allowances
    /// Locked memory that the process may come to need.
    package var lockedBytesNeeded: Int
    /// Whether to start the program anew once, to have LD_BIND_NOW set.
    package var reexecutes: Bool
    /// What `ch_wiping_free_is_linked` of the executable said.
    package var freeWipes: Bool

    package init(
      allowed: Allowances = [], lockedBytesNeeded: Int = 4 << 20, reexecutes: Bool = true, freeWipes: Bool
    ) {
      self.allowed = allowed
      self.lockedBytesNeeded = lockedBytesNeeded
      self.reexecutes = reexecutes
      self.freeWipes = freeWipes
    }
  }

  /// Call first thing in `main`, with one thread running.
  ///
  /// May not return but start the program anew, with the same arguments, see `bindNow`.
  package static func close(_ policy: Policy) throws(HardeningError) -> [Measure] {
    var measures = [crashSignals(), bindNow(reexecutes: policy.reexecutes)]
    measures += [notDumpable(), noCoreFiles(), noNewPrivileges()]
    let preload = noPreload()
    guard preload.isHeld || policy.allowed.contains(.preload) else { throw .preloaded }
    let user = notRoot()
    guard user.isHeld || policy.allowed.contains(.root) else { throw .root }
    measures += [preload, user]
    measures += try secretMemory(policy)
    measures.append(
      Measure(
        .wipingFree, policy.freeWipes, held: "free and realloc erase first",
        otherwise: "freed heap blocks keep their bytes: not linked, or a sanitizer build"))
    measures.append(
      Measure(
        .wholeBuild, TestBuild.leavesOut.isEmpty, held: "nothing was left out for a test",
        otherwise: "a test build, for the example keyring only: \(TestBuild.leavesOut)"))
    return measures
  }

  // MARK: Secret memory

  private static func secretMemory(_ policy: Policy) throws(HardeningError) -> [Measure] {
    let swap = noSwap()
    let limit = ch_memlock_limit()
    let isEnough = ch_can_lock(policy.lockedBytesNeeded) == 1
    if !isEnough { try admitUnlocked(policy, limitBytes: limit, swapIsOff: swap.isHeld) }
    guard let protection = try? SecretArena.prepare(mayBeUnlocked: policy.allowed.contains(.unlockedMemory))
    else {
      throw .lockedMemoryTooSmall(neededBytes: policy.lockedBytesNeeded, limitBytes: limit)
    }
    return [
      Measure(
        .memoryLocked, protection.locked && isEnough, held: "never swapped",
        otherwise: "RLIMIT_MEMLOCK allows \(limit) bytes, \(policy.lockedBytesNeeded) may be needed"),
      Measure(
        .memfdSecret, protection.memfdSecret, held: "out of the kernel's own map",
        otherwise: TestBuild.leavesOut.contains("readable-secrets")
          ? "a test build that root can scan"
          : "this kernel has no memfd_secret(2), or it is off: anonymous locked pages"),
      Measure(
        .leftOutOfDumps, protection.leftOutOfDumps, held: "MADV_DONTDUMP",
        otherwise: "MADV_DONTDUMP was refused"),
      Measure(
        .absentInChildren, protection.absentInChildren, held: "a forked child has none of it",
        otherwise: "MADV_WIPEONFORK was refused"),
      swap,
    ]
  }

  /// Unlocked memory is let pass only where it is allowed, and cannot be swapped or may be.
  static func admitUnlocked(_ policy: Policy, limitBytes: UInt64, swapIsOff: Bool) throws(HardeningError) {
    guard policy.allowed.contains(.unlockedMemory) else {
      throw .lockedMemoryTooSmall(neededBytes: policy.lockedBytesNeeded, limitBytes: limitBytes)
    }
    guard swapIsOff || policy.allowed.contains(.swap) else { throw .swapWithoutLock }
  }

  private static func noSwap() -> Measure {
    guard
      let areas = SystemFile.text(at: "/proc/swaps")?.utf8.split(separator: UInt8(ascii: "\n")).dropFirst()
        .count
    else { return Measure(.noSwap, false, held: "", otherwise: "/proc/swaps cannot be read") }
    return Measure(
      .noSwap, areas == 0, held: "no swap area",
      otherwise: "\(areas) swap areas: plaintext in transit may reach a disk")
  }
}
