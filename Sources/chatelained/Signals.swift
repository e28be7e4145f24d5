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

  /// Runs `reload` at each SIGHUP; returns at SIGTERM or SIGINT.
  func forEachUntilStop(reload: () -> Void) {
    var set = taken
    while true {
      var number: Int32 = 0
      guard unsafe sigwait(&set, &number) == 0 else { continue }
      if number == SIGHUP { reload() } else { return }
    }
  }
}
