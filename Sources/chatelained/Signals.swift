internal import Glibc

/// Signals, taken one after the other on the main thread; every other thread leaves them alone.
///
/// SIGHUP, SIGTERM and SIGINT wait from the first instruction of `main` on, also over the new start that hardening
/// makes: a reload that is asked for during a start is made right after it.
struct Signals {
  private let taken: sigset_t

  /// Call first thing in `main`: threads inherit what is blocked, and so does the program that takes our place.
  static func hold() { mask(SIG_BLOCK, [SIGTERM, SIGINT, SIGHUP]) }

  /// For who only looks: signals end it, as they do any command.
  static func release() { mask(SIG_UNBLOCK, [SIGTERM, SIGINT, SIGHUP]) }

  /// For a start, as long as nothing is open that would have to be closed: SIGTERM and SIGINT end it at once.
  static func endAtStop() {
    signal(SIGPIPE, SIG_IGN)
    for number in [SIGTERM, SIGINT] { signal(number) { _ in _exit(0) } }
    mask(SIG_UNBLOCK, [SIGTERM, SIGINT])
  }

  /// From here on they wait to be taken.
  init() {
    Self.hold()
    taken = Self.set([SIGTERM, SIGINT, SIGHUP])
  }

  /// Whether the service is to stop, asked without waiting.
  var isStopWaiting: Bool {
    var pending = sigset_t()
    unsafe sigpending(&pending)
    return unsafe sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1
  }

  /// Runs `reload` at each SIGHUP and `look` every so many seconds; returns at SIGTERM or SIGINT.
  func forEachUntilStop(every seconds: Int, look: () -> Void, reload: () -> Void) {
    var set = taken
    var pause = timespec(tv_sec: seconds, tv_nsec: 0)
    while true {
      let number = unsafe sigtimedwait(&set, nil, &pause)
      if number == SIGHUP { reload() } else if number > 0 { return } else if errno == EAGAIN { look() }
    }
  }

  private static func set(_ numbers: [Int32]) -> sigset_t {
    var set = sigset_t()
    unsafe sigemptyset(&set)
    for number in numbers { unsafe sigaddset(&set, number) }
    return set
  }

  private static func mask(_ how: Int32, _ numbers: [Int32]) {
    var set = set(numbers)
    unsafe pthread_sigmask(how, &set, nil)
  }
}
