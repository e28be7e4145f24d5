internal import Glibc

/// SplitMix64: the same bytes for the same seed, on every machine.
package struct SeededRandom: RandomNumberGenerator {
  package let seed: UInt64
  private var state: UInt64

  package init(seed: UInt64) {
    self.seed = seed
    state = seed
  }

  /// Seeds from `CHATELAINE_SEED`, else from the clock, and prints the seed: a failure replays.
  package init(announcing name: String) {
    let given = unsafe getenv("CHATELAINE_SEED").flatMap { unsafe UInt64(String(cString: $0)) }
    self.init(seed: given ?? UInt64.random(in: 0 ... .max))
    print("\(name): CHATELAINE_SEED=\(seed)")
  }

  package mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  package mutating func bytes(_ count: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count + 8)
    while bytes.count < count {
      unsafe withUnsafeBytes(of: next().bigEndian) { unsafe bytes.append(contentsOf: $0) }
    }
    bytes.removeLast(bytes.count - count)
    return bytes
  }
}
