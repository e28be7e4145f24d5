package import ChatelaineAuditLog
internal import Synchronization

/// Counts calls that change something; from the n-th on all are due to fail.
package final class CallCounter: Sendable {
  private let count = Atomic<Int>(0)
  private let failing: Int

  package init(failing: Int) { self.failing = failing }

  package func isDue(_ call: StorageFailure.Call) -> Bool {
    switch call {
    case .create, .write, .sync, .truncate, .rename, .remove:
      return count.wrappingAdd(1, ordering: .relaxed).newValue >= failing
    case .open, .read, .list, .lock, .place: return false
    }
  }
}

/// Values that several threads add to.
package final class Collected<Value: Sendable>: Sendable {
  private let state = Mutex<[Value]>([])

  package init() {}

  package func append(_ value: Value) { state.withLock { $0.append(value) } }
  package var values: [Value] { state.withLock { $0 } }
}
