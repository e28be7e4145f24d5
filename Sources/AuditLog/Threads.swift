internal import CLinux
internal import Glibc

/// A mutex with a condition.
@safe final class Monitor: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  init() {
    unsafe mutex.initialize(to: pthread_mutex_t())
    unsafe condition.initialize(to: pthread_cond_t())
    unsafe pthread_mutex_init(mutex, nil)
    var attributes = pthread_condattr_t()
    unsafe pthread_condattr_init(&attributes)
    unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    unsafe pthread_cond_init(condition, &attributes)
    unsafe pthread_condattr_destroy(&attributes)
  }

  deinit {
    unsafe pthread_cond_destroy(condition)
    unsafe pthread_mutex_destroy(mutex)
    unsafe condition.deallocate()
    unsafe mutex.deallocate()
  }

  func lock() { unsafe pthread_mutex_lock(mutex) }
  /// False where another thread holds it.
  func tryLock() -> Bool { unsafe pthread_mutex_trylock(mutex) == 0 }
  func unlock() { unsafe pthread_mutex_unlock(mutex) }
  func wait() { unsafe pthread_cond_wait(condition, mutex) }
  func signal() { unsafe pthread_cond_signal(condition) }
  func broadcast() { unsafe pthread_cond_broadcast(condition) }

  func wait(milliseconds: Int) {
    var until = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &until)
    let nanoseconds = until.tv_nsec + milliseconds % 1000 * 1_000_000
    until.tv_sec += milliseconds / 1000 + nanoseconds / 1_000_000_000
    until.tv_nsec = nanoseconds % 1_000_000_000
    _ = unsafe pthread_cond_timedwait(condition, mutex, &until)
  }
}

/// A flag that one thread raises and another waits for.
@safe final class Signal: @unchecked Sendable {
  private let monitor = Monitor()
  private var isRaised = false
  private var closed = false

  var isClosed: Bool {
    monitor.lock()
    defer { monitor.unlock() }
    return closed
  }

  func raise() {
    monitor.lock()
    isRaised = true
    monitor.signal()
    monitor.unlock()
  }

  func close() {
    monitor.lock()
    closed = true
    monitor.signal()
    monitor.unlock()
  }

  /// Waits until raised or closed, and lowers the flag.
  func wait() {
    monitor.lock()
    while !isRaised, !closed { monitor.wait() }
    isRaised = false
    monitor.unlock()
  }

  /// Waits so long, or until closed, and lowers the flag.
  func pause(milliseconds: Int) {
    monitor.lock()
    let slice = 50
    var left = milliseconds
    while left > 0, !closed {
      monitor.wait(milliseconds: min(left, slice))
      left -= slice
    }
    isRaised = false
    monitor.unlock()
  }

  /// Waits until raised or closed, or for so long.
  func wait(milliseconds: Int) {
    monitor.lock()
    if !isRaised, !closed { monitor.wait(milliseconds: milliseconds) }
    isRaised = false
    monitor.unlock()
  }
}

/// A thread of our own: fsync must block neither an event loop nor the cooperative pool.
@safe final class WorkThread: @unchecked Sendable {
  private var thread = pthread_t()

  private final class Body {
    let name: String
    let run: @Sendable () -> Void

    init(name: String, run: @escaping @Sendable () -> Void) {
      self.name = name
      self.run = run
    }
  }

  init(name: String, _ body: @escaping @Sendable () -> Void) {
    let argument = unsafe Unmanaged.passRetained(Body(name: name, run: body)).toOpaque()
    let status = unsafe pthread_create(
      &thread, nil,
      { argument in
        let body = unsafe Unmanaged<Body>.fromOpaque(argument!).takeRetainedValue()
        unsafe ch_name_thread(body.name)
        body.run()
        return nil
      }, argument)
    precondition(status == 0, "cannot start a thread")
  }

  func join() { _ = pthread_join(thread, nil) }
}

/// What the system calls the calling thread, at most 15 bytes; a thread that is not named is called like who started it.
package func nameThisThread(_ name: String) { unsafe ch_name_thread(name) }
