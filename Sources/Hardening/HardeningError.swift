/// Why the process refuses to touch a secret here.
package enum HardeningError: Error, Equatable {
  /// Locked memory may not grow to what the process needs.
  case lockedMemoryTooSmall(neededBytes: Int, limitBytes: UInt64)
  /// Nothing can be locked, and the machine swaps.
  case swapWithoutLock
  /// LD_PRELOAD or LD_AUDIT put foreign code into the process.
  case preloaded
  case root
  /// One of the descriptors 0 to 2 is closed, and /dev/null cannot be opened in its place.
  case noStandardDescriptors

  /// What is wrong and how to mend it, in one sentence.
  package var sentence: String {
    switch self {
    case .lockedMemoryTooSmall(let needed, let limit):
      "locked memory: \(needed) bytes are needed and RLIMIT_MEMLOCK allows \(limit): raise it (LimitMEMLOCK= in the unit, ulimit -l) or allow unlocked memory"
    case .swapWithoutLock:
      "swap is on and memory cannot be locked: turn swap off (swapoff -a), raise RLIMIT_MEMLOCK, or allow swap"
    case .preloaded:
      "LD_PRELOAD or LD_AUDIT is set: start without it, or allow preloads"
    case .root:
      "running as root: start as a user of its own, or say --allow-root"
    case .noStandardDescriptors:
      "a standard stream is closed and /dev/null cannot be opened: open it, or mend /dev/null"
    }
  }
}
