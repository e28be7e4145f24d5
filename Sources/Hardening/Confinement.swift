internal import CLinux
internal import Glibc

extension Hardening {
  /// Confines file access for good: `writable` paths may be read and written below, `readable` ones read; in `addable`
  /// directories files may be made, renamed and removed besides. A path that does not exist is left out.
  ///
  /// After `close`: the kernel wants no new privileges first. Landlock confines the calling thread and
  /// the threads it starts from then on: call it before any other thread.
  package static func confineFiles(writable: [String], addable: [String] = [], readable: [String]) -> Measure {
    let abi = ch_landlock_abi()
    guard abi > 0 else {
      return Measure(.landlock, false, held: "", otherwise: "this kernel has no Landlock, or it is off")
    }
    let status = unsafe withCStrings(writable) { writable in
      unsafe withCStrings(addable) { addable in
        unsafe withCStrings(readable) { readable in unsafe ch_landlock_confine(writable, addable, readable) }
      }
    }
    let reason = errno
    return Measure(
      .landlock, status == 0,
      held: "ABI \(abi), \(writable.count) paths to write, \(addable.count) to add to, \(readable.count) to read",
      otherwise: "landlock(7) was refused: \(unsafe String(cString: ch_error_text(reason)))")
  }

  /// After `close`. Forbids for good, in every thread, what the process never does: execute, connect,
  /// trace, mount, load modules.
  package static func confineSystemCalls() -> Measure {
    let status = ch_seccomp_confine()
    let reason = errno
    return Measure(
      .seccomp, status == 0, held: "no exec, connect, ptrace, mount, bpf, keyctl, io_uring",
      otherwise: status > 0
        ? "thread \(status) could not be confined" : "seccomp(2) was refused: \(unsafe String(cString: ch_error_text(reason)))")
  }

  /// Lends `texts` as the NULL-terminated array that C wants.
  @unsafe private static func withCStrings<Result>(
    _ texts: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Result
  ) -> Result {
    let copies = unsafe texts.map { unsafe strdup($0) }
    defer { unsafe copies.forEach { unsafe free($0) } }
    let pointers: [UnsafePointer<CChar>?] = unsafe copies.map { unsafe UnsafePointer($0) } + [nil]
    return unsafe pointers.withUnsafeBufferPointer { unsafe body($0.baseAddress!) }
  }
}
