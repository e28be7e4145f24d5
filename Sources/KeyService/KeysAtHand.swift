internal import ChatelaineKeyStore
package import ChatelaineVocabulary

/// Which key a call needs.
package enum KeyRequest: Hashable, Sendable {
  /// The current version of a key.
  case current(TenantID, KeyName)
  /// The version that an envelope or a wrapped data key of this tenant names.
  case version(TenantID, KeyReference)

  var tenant: TenantID {
    switch self {
    case .current(let tenant, _), .version(let tenant, _): tenant
    }
  }
}

/// What was found for a request, and in which epoch.
package struct LoadedKey: Sendable {
  package let request: KeyRequest
  let found: Found
  let stamp: EpochStamp
}

/// A key, or why there is none.
enum Found: Sendable {
  case key(OpenedKey)
  case refused(Refusal)

  /// The key's name, where a key of that id is the tenant's.
  var name: KeyName? {
    switch self {
    case .key(let key): key.row.name
    case .refused(let refusal): refusal.keyName
    }
  }
}

/// What one thread has at hand: opened keys, and apart from them names that nobody may use, so that asking
/// for what is not there costs others nothing.
struct KeysAtHand {
  private var keys: Shelf
  private var refusals: Shelf

  init(capacity: Int) {
    keys = Shelf(capacity: capacity)
    // why: not fewer, or a batch of names that nobody may use would never find them all.
    refusals = Shelf(capacity: max(64, capacity))
  }

  var capacity: Int { keys.capacity }

  /// What is known of a request in this epoch. A passing failure of the store is told once and then
  /// forgotten.
  mutating func find(_ request: KeyRequest, _ epochs: KeyEpochs) -> Found? {
    let stamp = epochs.stamp(of: request.tenant)
    if let found = keys.find(request, stamp) { return found }
    guard let found = refusals.find(request, stamp) else { return nil }
    if case .refused(let refusal) = found, !refusal.lasts { refusals.remove(request) }
    return found
  }

  /// Whether `find` would find something.
  func has(_ request: KeyRequest, _ epochs: KeyEpochs) -> Bool {
    let stamp = epochs.stamp(of: request.tenant)
    return keys.has(request, stamp) || refusals.has(request, stamp)
  }

  /// Keeps what was loaded, unless it is stale by now.
  mutating func keep(_ loaded: LoadedKey, _ epochs: KeyEpochs) {
    guard loaded.stamp == epochs.stamp(of: loaded.request.tenant) else { return }
    switch loaded.found {
    case .refused: refusals.put(loaded.request, loaded.found, loaded.stamp)
    case .key(let key):
      if case .current(let tenant, _) = loaded.request {
        keys.put(.version(tenant, key.reference), loaded.found, loaded.stamp)
      }
      keys.put(loaded.request, loaded.found, loaded.stamp)
    }
  }

  /// nil forgets everything.
  mutating func forget(_ tenant: TenantID?) {
    keys.forget(tenant)
    refusals.forget(tenant)
  }

  var count: Int { keys.count + refusals.count }
}

/// A bounded map. Where it is full, the next slot that was not used since the hand last passed makes room.
private struct Shelf {
  private struct Slot {
    let request: KeyRequest
    var found: Found
    var stamp: EpochStamp
    var wasUsed: Bool
  }

  let capacity: Int
  private var slots: [Slot] = []
  private var places: [KeyRequest: Int] = [:]
  private var hand = 0

  init(capacity: Int) { self.capacity = capacity }

  var count: Int { slots.count }

  func has(_ request: KeyRequest, _ stamp: EpochStamp) -> Bool {
    places[request].map { slots[$0].stamp == stamp } ?? false
  }

  mutating func find(_ request: KeyRequest, _ stamp: EpochStamp) -> Found? {
    guard let place = places[request] else { return nil }
    guard slots[place].stamp == stamp else {
      remove(at: place)
      return nil
    }
    slots[place].wasUsed = true
    return slots[place].found
  }

  mutating func put(_ request: KeyRequest, _ found: Found, _ stamp: EpochStamp) {
    let slot = Slot(request: request, found: found, stamp: stamp, wasUsed: true)
    if let place = places[request] {
      slots[place] = slot
      return
    }
    if slots.count >= capacity { evict() }
    places[request] = slots.count
    slots.append(slot)
  }

  mutating func remove(_ request: KeyRequest) {
    if let place = places[request] { remove(at: place) }
  }

  mutating func forget(_ tenant: TenantID?) {
    guard let tenant else {
      slots.removeAll()
      places.removeAll()
      return
    }
    for place in slots.indices.reversed() where slots[place].request.tenant == tenant { remove(at: place) }
  }

  private mutating func evict() {
    while true {
      if hand >= slots.count { hand = 0 }
      guard slots[hand].wasUsed else { return remove(at: hand) }
      slots[hand].wasUsed = false
      hand += 1
    }
  }

  /// The last slot takes the place.
  private mutating func remove(at place: Int) {
    places[slots[place].request] = nil
    let last = slots.removeLast()
    guard place < slots.count else { return }
    slots[place] = last
    places[last.request] = place
  }
}
