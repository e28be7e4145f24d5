internal import Glibc

/// Signals, taken one after the other on the main thread; every other thread leaves them alone.
struct Signals {
  private var taken = sigset_t()

  /// Call before any other thread is started: they inherit what is blocked.
  init() {
    signal(SIGPIPE, SIG_IGN)
    unsafe sigemptyset(&taken)
    for number in [SIGTERM, SIGINT, SIGHUP] { unsafe sigaddset(&taken, number) }
    unsafe pthread_sigmask(SIG_BLOCK, &taken, nil)
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
}
