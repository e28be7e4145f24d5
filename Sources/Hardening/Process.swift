internal import CLinux
internal import Glibc

extension Hardening {
  /// Call before a file is opened: one that got number 2 would have every sentence meant for a terminal written
  /// into it.
  package static func holdStandardDescriptors() throws(HardeningError) {
    guard ch_hold_standard_descriptors() == 0 else { throw .noStandardDescriptors }
  }

  /// Whether everything printed so far has arrived on standard output.
  package static func hasOutputArrived() -> Bool { ch_flush_standard_output() == 0 }

  /// Why it has not, as far as the kernel tells: a pipe without a reader says so, whenever it is asked.
  package static var outputFault: String {
    var output = pollfd(fd: 1, events: Int16(POLLOUT), revents: 0)
    guard unsafe poll(&output, 1, 0) == 1, output.revents & Int16(POLLERR) != 0 else { return "its disk may be full" }
    return "whoever read it went away"
  }

  /// Swift's backtracer prints the bytes behind each register when the process crashes.
  static func crashSignals() -> Measure {
    let isReset = ch_reset_crash_signals() == 0 && ch_crash_signals_are_reset() == 1
    return Measure(
      .crashSignals, isReset, held: "a crash prints nothing",
      otherwise: "sigaction(2) failed: a crash may print memory")
  }

  /// glibc's lazy binding spills registers that hold key bytes onto the stack, the first time a
  /// function is called. LD_BIND_NOW binds all of them at start, and only the dynamic linker reads it:
  /// the program replaces itself once by /proc/self/exe, under the same process id and with the same
  /// arguments. A mark in the environment keeps it from doing so twice.
  static func bindNow(reexecutes: Bool) -> Measure {
    let hasRestarted = isSet(restartMark)
    if !isSet("LD_BIND_NOW"), reexecutes, !hasRestarted { restart() }
    if hasRestarted { nameMainThread() }
    return Measure(
      .bindNow, isSet("LD_BIND_NOW"), held: "LD_BIND_NOW is set",
      otherwise: hasRestarted ? "LD_BIND_NOW did not survive starting anew" : "LD_BIND_NOW is not set")
  }

  static func notDumpable() -> Measure {
    let isHeld = ch_set_not_dumpable() == 0 && ch_is_dumpable() == 0
    return Measure(
      .notDumpable, isHeld, held: "other processes of this user cannot read our memory",
      otherwise: "prctl(PR_SET_DUMPABLE) was refused")
  }

  static func noCoreFiles() -> Measure {
    let isHeld = ch_forbid_core_files() == 0 && ch_core_files_are_forbidden() == 1
    let isPiped = SystemFile.text(at: "/proc/sys/kernel/core_pattern")?.utf8.first == UInt8(ascii: "|")
    return Measure(
      .noCoreFiles, isHeld,
      held: isPiped
        ? "core_pattern is a pipe, which ignores the limit: not-dumpable keeps cores away"
        : "RLIMIT_CORE is 0",
      otherwise: "setrlimit(RLIMIT_CORE) was refused")
  }

  static func noNewPrivileges() -> Measure {
    let isHeld = ch_set_no_new_privileges() == 0 && ch_no_new_privileges() == 1
    return Measure(
      .noNewPrivileges, isHeld, held: "no program started from here gains rights",
      otherwise: "prctl(PR_SET_NO_NEW_PRIVS) was refused")
  }

  static func noPreload() -> Measure {
    Measure(
      .noPreload, !isSet("LD_PRELOAD") && !isSet("LD_AUDIT"), held: "no library was put in front",
      otherwise: "LD_PRELOAD or LD_AUDIT is set")
  }

  static func notRoot() -> Measure {
    Measure(.notRoot, geteuid() != 0, held: "uid \(geteuid())", otherwise: "running as root")
  }

  // MARK: Starting anew

  private static let restartMark = "CHATELAINE_RESTARTED"

  /// Returns only where execv(3) fails.
  private static func restart() {
    unsafe setenv(restartMark, "1", 1)
    unsafe setenv("LD_BIND_NOW", "1", 1)
    _ = unsafe execv("/proc/self/exe", CommandLine.unsafeArgv)
    unsafe unsetenv("LD_BIND_NOW")
  }

  /// After execv of /proc/self/exe the kernel calls the process "exe": ps should show its name.
  private static func nameMainThread() {
    guard let path = CommandLine.arguments.first,
      let name = path.utf8.split(separator: UInt8(ascii: "/")).last
    else {
      return
    }
    _ = unsafe ch_set_process_name(String(decoding: name.prefix(15), as: UTF8.self))
  }

  private static func isSet(_ variable: String) -> Bool {
    guard let value = unsafe getenv(variable) else { return false }
    return unsafe value.pointee != 0
  }
}

/// Small files of /proc.
enum SystemFile {
  static func text(at path: String) -> String? {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { _ = Glibc.close(descriptor) }
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = unsafe buffer.withUnsafeMutableBytes { unsafe read(descriptor, $0.baseAddress, $0.count) }
    return count < 0 ? nil : String(decoding: buffer.prefix(count), as: UTF8.self)
  }
}
