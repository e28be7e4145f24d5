internal import ChatelaineAuditLog
internal import Dispatch
internal import Foundation
internal import Synchronization

/// A value that a thread of its own makes, while its owner does something else.
final class MadeAhead<Value: Sendable>: Sendable {
  private let made = Mutex<Value?>(nil)
  private let thread = DispatchGroup()

  /// `make` gives nil where there is none to be had.
  init(_ name: String, _ make: @escaping @Sendable () -> Value?) {
    thread.enter()
    Thread { [self] in
      nameThisThread(name)
      let value = make()
      made.withLock { $0 = value }
      thread.leave()
    }.start()
  }

  /// Waits for it.
  func value() -> Value? {
    thread.wait()
    return made.withLock { $0 }
  }
}
