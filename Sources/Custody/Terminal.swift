internal import Glibc

/// The terminal of this process, asked with echo off.
struct Terminal: ~Copyable {
  private let device: Descriptor

  init() throws(PassphraseError) {
    device = unsafe Descriptor(open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC))
    guard device.isOpen else { throw .noTerminal }
  }

  /// Shows `prompt` and reads a line that is not shown.
  ///
  /// Signals wait until the terminal echoes again: who interrupts must not be left without echo.
  borrowing func ask(_ prompt: StaticString) throws(PassphraseError) -> Passphrase {
    var before = termios()
    guard unsafe tcgetattr(device.number, &before) == 0 else { throw .noTerminal }
    var mask = sigset_t()
    hold(&mask)
    defer { unsafe pthread_sigmask(SIG_SETMASK, &mask, nil) }
    var quiet = before
    quiet.c_lflag &= ~tcflag_t(ECHO)
    quiet.c_lflag |= tcflag_t(ECHONL | ICANON | ISIG)
    guard unsafe tcsetattr(device.number, TCSAFLUSH, &quiet) == 0 else { throw .noTerminal }
    defer { unsafe tcsetattr(device.number, TCSAFLUSH, &before) }
    unsafe write(device.number, prompt.utf8Start, prompt.utf8CodeUnitCount)
    try awaitLine()
    return try Passphrase.readAll(device.number, isLine: true)
  }

  /// Waits for a line or a signal that ends the process.
  private borrowing func awaitLine() throws(PassphraseError) {
    var input = pollfd(fd: device.number, events: Int16(POLLIN), revents: 0)
    while unsafe poll(&input, 1, 100) == 0 {
      var pending = sigset_t()
      unsafe sigpending(&pending)
      for signal in ending where unsafe sigismember(&pending, signal) == 1 { throw .unreadable(errno: EINTR) }
    }
  }

  private borrowing func hold(_ mask: inout sigset_t) {
    var held = sigset_t()
    unsafe sigemptyset(&held)
    for signal in ending + [SIGTSTP] { unsafe sigaddset(&held, signal) }
    unsafe pthread_sigmask(SIG_BLOCK, &held, &mask)
  }

  private var ending: [Int32] { [SIGINT, SIGTERM, SIGHUP, SIGQUIT] }
}
