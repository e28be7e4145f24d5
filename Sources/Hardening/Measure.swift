/// One thing that closes the process up, and whether it holds.
package struct Measure: Sendable, Equatable {
  package enum Name: String, Sendable, CaseIterable {
    case crashSignals = "crash-signals"
    case bindNow = "bind-now"
    case notDumpable = "not-dumpable"
    case noCoreFiles = "no-core-files"
    case noNewPrivileges = "no-new-privileges"
    case noPreload = "no-preload"
    case memoryLocked = "memory-locked"
    case memfdSecret = "memfd-secret"
    case leftOutOfDumps = "left-out-of-dumps"
    case absentInChildren = "absent-in-children"
    case noSwap = "no-swap"
    case notRoot = "not-root"
    case wipingFree = "wiping-free"
    case wholeBuild = "whole-build"
    case landlock
    case seccomp
  }

  package let name: Name
  package let isHeld: Bool
  /// Why it holds or does not, for a person.
  package let detail: String

  init(_ name: Name, _ isHeld: Bool, held: String, otherwise: String) {
    self.name = name
    self.isHeld = isHeld
    detail = isHeld ? held : otherwise
  }
}
