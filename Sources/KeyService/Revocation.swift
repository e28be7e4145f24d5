package import ChatelaineVocabulary
internal import Dispatch
internal import Synchronization

/// A thread or event loop that has keys at hand.
package protocol KeyHolder: AnyObject, Sendable {
  /// Lets go of a tenant's keys, or with nil of all, and calls `done` once every entry of what it did with
  /// them is queued in the log. Called on a thread that waits for `done`; every holder is asked before any is
  /// waited for.
  func forget(_ tenant: TenantID?, done: @escaping @Sendable () -> Void)
}

extension KeyService {
  /// Before the holder's first use of a key: from now on state changes wait for it.
  package func attach(_ holder: any KeyHolder) { holders.attach(holder) }

  /// After the holder's last entry was queued: a change under way waits for it no longer.
  package func detach(_ holder: any KeyHolder) { holders.detach(holder) }
}

/// Everyone who has keys at hand, and the wait until all have let go of some.
final class KeyHolders: Sendable {
  private struct State {
    var attached: [ObjectIdentifier: any KeyHolder] = [:]
    var barrier: Barrier?
  }

  private let state = Mutex(State())

  func attach(_ holder: any KeyHolder) {
    state.withLock { $0.attached[ObjectIdentifier(holder)] = holder }
  }

  func detach(_ holder: any KeyHolder) {
    let id = ObjectIdentifier(holder)
    let barrier = state.withLock { state in
      state.attached[id] = nil
      return state.barrier
    }
    barrier?.pass(id)
  }

  /// False where someone did not let go in time. One caller at a time.
  func forget(_ tenant: TenantID?, withinSeconds seconds: Int) -> Bool {
    let (holders, barrier) = state.withLock { state in
      let barrier = Barrier(Set(state.attached.keys))
      state.barrier = barrier
      return (state.attached, barrier)
    }
    for (id, holder) in holders { holder.forget(tenant) { barrier.pass(id) } }
    defer { state.withLock { $0.barrier = nil } }
    return holders.isEmpty || barrier.wait(seconds: seconds)
  }
}

/// Opens when all have passed.
private final class Barrier: Sendable {
  private let missing: Mutex<Set<ObjectIdentifier>>
  private let opened = DispatchSemaphore(value: 0)

  init(_ holders: Set<ObjectIdentifier>) { missing = Mutex(holders) }

  func pass(_ id: ObjectIdentifier) {
    let wasLast = missing.withLock { $0.remove(id) != nil && $0.isEmpty }
    if wasLast { opened.signal() }
  }

  func wait(seconds: Int) -> Bool { opened.wait(timeout: .now() + .seconds(seconds)) == .success }
}
