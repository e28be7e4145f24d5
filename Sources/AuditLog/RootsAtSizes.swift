internal import ChatelaineAuditTrail
package import ChatelaineVocabulary
internal import Synchronization

/// Collects the roots at a few sizes while a log is read.
package final class RootsAtSizes: TreeWatch {
  private struct State {
    /// Ascending.
    let sizes: [UInt64]
    var next = 0
    var found: [UInt64: Digest] = [:]
  }

  private let state: Mutex<State>

  package init(_ sizes: [UInt64]) { state = Mutex(State(sizes: Set(sizes).sorted())) }

  package var found: [UInt64: Digest] { state.withLock { $0.found } }

  /// Begins anew with the sizes that a tree of `size` leaves does not have behind it.
  package func first(from size: UInt64) -> UInt64 {
    state.withLock { state in
      state.found = [:]
      state.next = state.sizes.firstIndex { $0 >= size } ?? state.sizes.count
      return state.sizes.indices.contains(state.next) ? state.sizes[state.next] : .max
    }
  }

  package func reached(_ root: Digest) -> UInt64 {
    state.withLock { state in
      state.found[state.sizes[state.next]] = root
      state.next += 1
      return state.sizes.indices.contains(state.next) ? state.sizes[state.next] : .max
    }
  }
}
