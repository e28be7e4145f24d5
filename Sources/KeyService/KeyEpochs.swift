internal import ChatelaineVocabulary
internal import Synchronization

/// When keys were opened: what was opened in an earlier epoch of its tenant, or of everything, is stale.
struct EpochStamp: Equatable, Sendable {
  let global: UInt64
  let tenant: UInt64
}

/// Counters that every state change raises before its outcome is noted, read at each use of a key.
///
/// Tenants share 1,024 counters by a hash of their ids: a change of one tenant leaves what is at hand of
/// nearly all others, and the counters take no memory a tenant.
final class KeyEpochs: Sendable {
  private static let count = 1024
  private let global = Atomic<UInt64>(1)
  private let tenants = InlineArray<1024, Atomic<UInt64>> { _ in Atomic(1) }

  func stamp(of tenant: TenantID) -> EpochStamp {
    EpochStamp(
      global: global.load(ordering: .acquiring),
      tenant: tenants[Self.place(of: tenant)].load(ordering: .acquiring))
  }

  /// Makes stale what was opened of a tenant; nil is everything.
  func raise(_ tenant: TenantID?) {
    guard let tenant else {
      global.wrappingAdd(1, ordering: .acquiringAndReleasing)
      return
    }
    tenants[Self.place(of: tenant)].wrappingAdd(1, ordering: .acquiringAndReleasing)
  }

  /// FNV-1a.
  static func place(of tenant: TenantID) -> Int {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in tenant.bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return Int(truncatingIfNeeded: (hash ^ hash >> 32) & UInt64(count - 1))
  }
}
