import Foundation
import Testing

@testable import ChatelaineHardening

@Suite struct HardeningTests {
  @Test func `closing up holds what every Linux grants, and tells the rest`() throws {
    let probe = try Probe.run(["measures", "allow-root", "a b", ""])
    #expect(probe.status == 0, "\(probe.output)")
    let always = [
      "crash-signals", "bind-now", "not-dumpable", "no-core-files", "no-new-privileges", "no-preload",
      "memory-locked",
      "left-out-of-dumps", "absent-in-children", "wiping-free",
    ]
    for name in always { #expect(probe.says("\(name) true"), "\(probe.output)") }
    for name in ["memfd-secret", "no-swap", "not-root"] {
      #expect(probe.says("\(name) true") || probe.says("\(name) false"))
      print(probe.lines.first { $0.hasPrefix(name) } ?? "")
    }
    #expect(probe.lines.first?.hasPrefix("crash-signals") == true)
  }

  @Test func `starting anew keeps the arguments and the name`() throws {
    let probe = try Probe.run(["measures", "allow-root", "a b", ""])
    #expect(probe.says("arguments measures,allow-root,a b,"))
    #expect(probe.says("name hardening-probe"))
  }

  @Test func `a process starts anew once and no more`() throws {
    let left = try Probe.run(["measures", "allow-root", "no-restart"])
    #expect(left.says("bind-now false LD_BIND_NOW is not set"))
    let marked = try Probe.run(["measures", "allow-root"], environment: ["CHATELAINE_RESTARTED": "1"])
    #expect(marked.status == 0)
    #expect(marked.says("bind-now false LD_BIND_NOW did not survive starting anew"))
  }

  @Test func `a preload is refused unless allowed`() throws {
    let preload = ["LD_PRELOAD": "libm.so.6"]
    let refused = try Probe.run(["measures", "allow-root"], environment: preload)
    #expect(refused.status == 78)
    #expect(refused.output.contains("LD_PRELOAD"))
    let allowed = try Probe.run(["measures", "allow-root", "allow-preload"], environment: preload)
    #expect(allowed.status == 0)
    #expect(allowed.says("no-preload false"))
  }

  @Test func `too little lockable memory is refused unless allowed`() throws {
    guard Probe.userCanStart else { return print("skipped: another user cannot reach this build") }
    let launcher = Probe.asUser + ["prlimit", "--memlock=65536:65536"]
    let refused = try Probe.run(["measures"], launcher: launcher)
    #expect(refused.status == 78)
    #expect(refused.output.contains("4194304 bytes are needed and RLIMIT_MEMLOCK allows 65536"))
    let allowed = try Probe.run(["measures", "allow-unlocked", "allow-swap"], launcher: launcher)
    #expect(allowed.status == 0, "\(allowed.output)")
    #expect(allowed.says("memory-locked false"))
    let nothing = try Probe.run(
      ["measures", "allow-unlocked", "allow-swap"], launcher: Probe.asUser + ["prlimit", "--memlock=0:0"])
    #expect(nothing.status == 0, "\(nothing.output)")
    #expect(try Probe.run(["measures"], launcher: Probe.asUser).says("memory-locked true"))
  }

  @Test func `root is refused unless allowed`() throws {
    guard geteuid() == 0 else { return print("skipped: not root, so root cannot be refused") }
    let refused = try Probe.run(["measures"])
    #expect(refused.status == 78)
    #expect(refused.output.contains("running as root"))
    guard Probe.userCanStart else { return print("skipped: another user cannot reach this build") }
    #expect(try Probe.run(["measures"], launcher: Probe.asUser).says("not-root true"))
  }

  @Test func `swap is refused only where memory is unlocked`() throws {
    var policy = Hardening.Policy(freeWipes: true)
    let short = HardeningError.lockedMemoryTooSmall(neededBytes: 4 << 20, limitBytes: 0)
    #expect(throws: short) { try Hardening.admitUnlocked(policy, limitBytes: 0, swapIsOff: true) }
    policy.allowed = .unlockedMemory
    #expect(throws: HardeningError.swapWithoutLock) {
      try Hardening.admitUnlocked(policy, limitBytes: 0, swapIsOff: false)
    }
    try Hardening.admitUnlocked(policy, limitBytes: 0, swapIsOff: true)
    policy.allowed = [.unlockedMemory, .swap]
    try Hardening.admitUnlocked(policy, limitBytes: 0, swapIsOff: false)
  }

  @Test func `a crash prints no memory, where it would without the reset`() throws {
    let backtrace = ["SWIFT_BACKTRACE": "enable=yes,color=no"]
    let canary = "c0 c1 c2 c3"
    let control = try Probe.run(["crash", "without"], environment: backtrace)
    #expect(control.status == SIGSEGV)
    #expect(control.errors.contains(canary), "the control shows nothing: is the runtime linked statically?")
    let closed = try Probe.run(["crash", "allow-root"], environment: backtrace)
    #expect(closed.status == SIGSEGV)
    #expect(!closed.errors.contains(canary))
    #expect(!closed.output.contains(canary))
  }
}
