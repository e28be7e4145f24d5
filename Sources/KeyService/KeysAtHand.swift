internal import ChatelaineKeyStore
internal import ChatelaineVocabulary

/// A bounded cache of opened keys that one thread owns. Every use compares the epoch: any change of a
/// key's state raises it, and what was opened before is opened anew.
struct KeysAtHand {
  private struct Name: Hashable {
    let tenant: TenantID
    let key: KeyName
  }

  private struct Version: Hashable {
    let tenant: TenantID
    let reference: KeyReference
  }

  private let capacity: Int
  private var currents: [Name: OpenedKey] = [:]
  private var versions: [Version: OpenedKey] = [:]
  private var epoch: UInt64 = 0

  init(capacity: Int) { self.capacity = max(1, capacity) }

  mutating func current(_ name: KeyName, of tenant: TenantID, epoch: UInt64) -> OpenedKey? {
    forget(before: epoch)
    return currents[Name(tenant: tenant, key: name)]
  }

  mutating func version(_ reference: KeyReference, of tenant: TenantID, epoch: UInt64) -> OpenedKey? {
    forget(before: epoch)
    return versions[Version(tenant: tenant, reference: reference)]
  }

  /// Keeps a key that was opened in this epoch; where the cache is full an arbitrary key makes room.
  mutating func put(_ key: OpenedKey, isCurrent: Bool, epoch: UInt64) {
    forget(before: epoch)
    if currents.count + versions.count >= capacity { evict() }
    versions[Version(tenant: key.row.tenant, reference: key.reference)] = key
    if isCurrent { currents[Name(tenant: key.row.tenant, key: key.row.name)] = key }
  }

  private mutating func forget(before epoch: UInt64) {
    guard epoch != self.epoch else { return }
    currents.removeAll()
    versions.removeAll()
    self.epoch = epoch
  }

  private mutating func evict() {
    guard let victim = versions.first else { return }
    versions.removeValue(forKey: victim.key)
    currents.removeValue(forKey: Name(tenant: victim.key.tenant, key: victim.value.row.name))
  }
}
