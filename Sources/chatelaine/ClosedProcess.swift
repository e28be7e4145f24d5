internal import ArgumentParser
internal import CWipingFree
internal import ChatelaineExits
internal import ChatelaineHardening
internal import Glibc

/// Closes the process up, then runs the command that the command line names, and exits.
///
/// Only `keyring`, `signing-key` and `init` touch the service's secrets: only there is what cannot be closed a reason to refuse.
func runClosedUp() -> Never {
  var used: (any ParsableCommand.Type)?
  do {
    try Hardening.holdStandardDescriptors()
    // why: a file at RLIMIT_FSIZE is refused like a full disk; the default is death.
    signal(SIGXFSZ, SIG_IGN)
    try checkArguments()
    let policy = Hardening.Policy(
      allowed: allowances(CommandLine.arguments), lockedBytesNeeded: 1 << 20,
      freeWipes: ch_wiping_free_is_linked() == 1)
    _ = try Hardening.close(policy)
    var command = try Chatelaine.parseAsRoot()
    used = type(of: command)
    if command is any AsyncParsableCommand { runAsynchronously() }
    try command.run()
    try finishOutput()
    exit(0)
  } catch { end(error, of: used) }
}

/// why: what is not UTF-8 would reach the command repaired, and two contexts or two file names be one.
private func checkArguments() throws {
  for index in 1..<max(1, Int(CommandLine.argc)) {
    guard let argument = unsafe CommandLine.unsafeArgv[index], unsafe String(validatingCString: argument) == nil else {
      continue
    }
    throw Failure(.usage, "argument \(index) is not UTF-8, and nothing was done: give text in UTF-8")
  }
}

/// Commands that talk to the service. Parses once more: a parsed command cannot go to another thread.
private func runAsynchronously() -> Never {
  Task.detached {
    var used: (any ParsableCommand.Type)?
    do {
      guard var command = try Chatelaine.parseAsRoot() as? any AsyncParsableCommand else { exit(0) }
      used = type(of: command)
      try await command.run()
      try finishOutput()
      exit(0)
    } catch { end(error, of: used) }
  }
  while true { pause() }
}

/// What was printed has to arrive: a full disk behind standard output is a failure.
private func finishOutput() throws {
  guard Hardening.hasOutputArrived() else { throw outputFailure }
}

/// What to say where standard output took not all.
var outputFailure: Failure { Failure(.inputOutput, "standard output cannot be written: \(Hardening.outputFault)") }

private func end(_ error: any Error, of command: (any ParsableCommand.Type)?) -> Never {
  if let failure = failure(error) {
    printError("chatelaine: \(failure.sentence)")
    exit(failure.status.rawValue)
  }
  // why: of what is found out after parsing, the parser no longer knows which command it was.
  if let command, let error = error as? ValidationError {
    printError("Error: \(error.message)\nUsage: \(Chatelaine.usageString(for: command))")
    exit(ExitStatus.usage.rawValue)
  }
  Chatelaine.exit(withError: error)
}

/// Read before the command line is parsed: parsing is not the first thing that may run.
private func allowances(_ arguments: [String]) -> Hardening.Allowances {
  guard let command = arguments.dropFirst().first, ["init", "keyring", "signing-key"].contains(command) else {
    return [.root, .unlockedMemory, .swap, .preload]
  }
  var allowed: Hardening.Allowances = .root
  if arguments.contains("--allow-unlocked-memory") { allowed.insert(.unlockedMemory) }
  if arguments.contains("--allow-swap") { allowed.insert(.swap) }
  if arguments.contains("--allow-preload") { allowed.insert(.preload) }
  return allowed
}

func printError(_ line: String) {
  let bytes = Array((line + "\n").utf8)
  _ = unsafe bytes.withUnsafeBytes { unsafe write(2, $0.baseAddress, $0.count) }
}
