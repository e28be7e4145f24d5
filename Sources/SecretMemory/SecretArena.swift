internal import CLinux
internal import Glibc
internal import Synchronization

/// Hands out secret memory: slots of locked slabs, each slab between two guard pages.
///
/// One mapping a secret would cost four pages and 27 µs and end at 16,000 secrets; a slab holds
/// many. Behind every slot stands a canary that is compared when the slot is given back.
package enum SecretArena {
  /// What the kernel grants to secret pages here.
  package struct Protection: Sendable, Equatable {
    package var memfdSecret = false
    package var locked = false
    package var leftOutOfDumps = false
    package var absentInChildren = false
  }

  /// The process may not lock the memory it needs.
  package struct Exhausted: Error, Equatable {
    package let bytes: Int
  }

  /// One slot or mapping. `base` never leaves this room but through a span.
  @usableFromInline @safe struct Allocation: @unchecked Sendable {
    @usableFromInline let base: UnsafeMutableRawPointer
    let count: Int
    /// Slot size of the slab; nil for a mapping of its own.
    let slotBytes: Int?
  }

  /// Maps a first slab and tells what protects it: call before the first secret is read.
  ///
  /// With `mayBeUnlocked`, memory that the kernel does not let us lock is used all the same, from now on.
  package static func prepare(mayBeUnlocked: Bool = false) throws(Exhausted) -> Protection {
    let result = state.withLock { state -> Protection? in
      state.mayBeUnlocked = mayBeUnlocked
      if state.free[slotSizes[0]]?.isEmpty ?? true {
        guard state.addSlab(slotBytes: slotSizes[0]) else { return nil }
      }
      return state.protection
    }
    guard let result else { throw Exhausted(bytes: slabBytes) }
    return result
  }

  /// Bytes of secret memory mapped so far, slabs and mappings of their own.
  package static var mappedBytes: Int { state.withLock { $0.mappedBytes } }

  /// Secrets alive now.
  package static var secretCount: Int { state.withLock { $0.secretCount } }

  static func allocate(_ count: Int, keeping: SecretBytes.Keeping) -> Allocation {
    let slot = keeping == .sealed ? nil : slotSizes.first { $0 >= count }
    let allocation = state.withLock { state in
      if let slot { state.takeSlot(slot, count: count) } else { state.map(count) }
    }
    guard let allocation else {
      // why: callers bound what they hold by `Limits` and configuration, which are checked against
      // RLIMIT_MEMLOCK at start; to go on with an unlocked page would break the promise silently.
      fatalError("locked memory exhausted: raise RLIMIT_MEMLOCK (LimitMEMLOCK=) or lower the key cache")
    }
    return allocation
  }

  static func seal(_ allocation: Allocation) {
    let sealed = unsafe ch_secret_seal(allocation.base, wholePages(allocation.count))
    precondition(sealed == 0, "cannot seal a secret page")
  }

  static func release(_ allocation: Allocation) {
    guard let slot = allocation.slotBytes else {
      unsafe ch_secret_unmap(allocation.base, wholePages(allocation.count))
      state.withLock { state in
        state.mappedBytes -= wholePages(allocation.count)
        state.secretCount -= 1
      }
      return
    }
    precondition(canaryIsIntact(allocation), "secret memory was overrun")
    unsafe ch_wipe(allocation.base, slot + canaryBytes)
    state.withLock { state in
      unsafe state.free[slot, default: []].append(UInt(bitPattern: allocation.base))
      state.secretCount -= 1
    }
  }

  // MARK: Slabs

  private static let slotSizes = [32, 64, 128, 256, 512, 1024, 4096, 16_384]
  private static let slabBytes = 65_536
  private static let canaryBytes = 16
  private static let state = Mutex(State())

  private struct State {
    /// Free slots by size, as addresses.
    var free: [Int: [UInt]] = [:]
    var protection = Protection()
    var mayBeUnlocked = false
    var mappedBytes = 0
    var secretCount = 0

    mutating func takeSlot(_ slot: Int, count: Int) -> Allocation? {
      if free[slot]?.isEmpty ?? true {
        guard addSlab(slotBytes: slot) else { return nil }
      }
      guard let address = free[slot]?.popLast(),
        let base = unsafe UnsafeMutableRawPointer(bitPattern: address)
      else { return nil }
      secretCount += 1
      let allocation = unsafe Allocation(base: base, count: count, slotBytes: slot)
      unsafe base.storeBytes(of: canaryValue.0, toByteOffset: slot, as: UInt64.self)
      unsafe base.storeBytes(of: canaryValue.1, toByteOffset: slot + 8, as: UInt64.self)
      return allocation
    }

    mutating func addSlab(slotBytes: Int) -> Bool {
      guard let base = unsafe mapPages(SecretArena.slabBytes) else { return false }
      let stride = slotBytes + SecretArena.canaryBytes
      // why: slots end where the guard page begins, so an overrun past the last one faults.
      let slots = SecretArena.slabBytes / stride
      let first = UInt(bitPattern: base) + UInt(SecretArena.slabBytes - slots * stride)
      free[slotBytes, default: []].append(
        contentsOf: (0..<slots).reversed().map { first + UInt($0 * stride) })
      return true
    }

    mutating func map(_ count: Int) -> Allocation? {
      guard let base = unsafe mapPages(wholePages(count)) else { return nil }
      secretCount += 1
      return unsafe Allocation(base: base, count: count, slotBytes: nil)
    }

    @unsafe private mutating func mapPages(_ count: Int) -> UnsafeMutableRawPointer? {
      var held: UInt32 = 0
      let allow = CH_ALLOW_MEMFD_SECRET | (mayBeUnlocked ? CH_ALLOW_UNLOCKED : 0)
      guard let base = unsafe ch_secret_map(count, Int32(allow), &held) else { return nil }
      mappedBytes += count
      protection = Protection(
        memfdSecret: held & UInt32(CH_HELD_MEMFD_SECRET) != 0,
        locked: held & UInt32(CH_HELD_LOCKED) != 0,
        leftOutOfDumps: held & UInt32(CH_HELD_NO_DUMP) != 0,
        absentInChildren: held & UInt32(CH_HELD_NO_FORK) != 0)
      return unsafe base
    }
  }

  private static let canaryValue: (UInt64, UInt64) = (.random(in: 1 ... .max), .random(in: 1 ... .max))

  private static func canaryIsIntact(_ allocation: Allocation) -> Bool {
    guard let slot = allocation.slotBytes else { return true }
    return unsafe allocation.base.load(fromByteOffset: slot, as: UInt64.self) == canaryValue.0
      && allocation.base.load(fromByteOffset: slot + 8, as: UInt64.self) == canaryValue.1
  }

  private static func wholePages(_ count: Int) -> Int {
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    return (count + page - 1) / page * page
  }
}

/// What was left out of this build on purpose, for a test: words, empty in any other build.
///
/// `readable-secrets`: root can read secret pages, so that a scan of memory sees them. `nothing-wiped` and
/// `crashes-backtraced`: what those scans must then find. `nothing-logged`: uses of keys leave no entry.
package enum TestBuild {
  package static let leavesOut = unsafe String(cString: ch_test_build())
    .split(separator: " ").joined(separator: ", ")
}
