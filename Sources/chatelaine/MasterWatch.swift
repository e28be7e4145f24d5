internal import ChatelaineAdminClient
internal import ChatelaineCustody
internal import ChatelaineExits
internal import ChatelaineMessages
internal import Dispatch
internal import Glibc

/// Watches a rotation of the master key to its end. Whoever stops watching stops nothing else.
final class MasterWatch {
  private let json: Bool
  private let interrupted: any DispatchSourceSignal

  init(json: Bool) {
    self.json = json
    signal(SIGINT, SIG_IGN)
    interrupted = DispatchSource.makeSignalSource(signal: SIGINT, queue: .global())
    interrupted.setEventHandler {
      printError(
        "\nchatelaine: no longer watching; the service goes on with the rotation: chatelaine master status --watch")
      exit(130)
    }
    interrupted.resume()
  }

  /// Returns when every tenant's root is on `version`, once that is committed; nil: when nothing is being rewrapped.
  /// Ends with a failure where that does not come by itself.
  func untilRewrapped(to version: UInt32?, _ admin: AdminOptions) async throws {
    try await admin.withService { service in
      var bar: ProgressLine?
      var (shown, stall) = (UInt64(0), Stall())
      defer { bar?.finish() }
      while true {
        let status = try await service.masterStatus()
        if isOver(status, version) { break }
        if status.isRewrapping {
          let line = bar ?? ProgressLine(total: status.tenantRoots, label: "rewrapping tenants' roots")
          bar = line
          line.advance(status.done > shown ? status.done - shown : 0)
          shown = max(shown, status.done)
        }
        if json { print(status.json.text) }
        flushOutput()
        if let version, let given = status.versions.first(where: { $0.version == version }) {
          try checkCommitted(given, waited: &stall)
        }
        try stall.take(status)
        try await Task.sleep(for: .seconds(1))
      }
    }
  }

  /// A version that waits for its commit is waited for; one that was given up is not.
  private func checkCommitted(
    _ version: Chatelaine_V1_MasterStatusResponse.Version, waited stall: inout Stall
  ) throws {
    switch version.state {
    case .pending:
      guard !stall.hasToldCommit else { return }
      stall.hasToldCommit = true
      printError("chatelaine: master key version \(version.version) waits for its commit: chatelaine master commit")
    case .retired:
      throw Failure(.cannotCreate, "master key version \(version.version) was given up before it was committed: rotate again")
    default: break
    }
  }

  private func isOver(_ status: Chatelaine_V1_MasterStatusResponse, _ version: UInt32?) -> Bool {
    guard let version else { return !status.isRewrapping }
    return status.hasRotation && status.rotation.version >= version && !status.isRewrapping
  }
}

/// Why a rotation does not go on, and for how long: the service tries again every two seconds.
private struct Stall {
  private static let secondsMax = 30

  var hasToldCommit = false
  private var reason = ""
  private var seconds = 0
  private var done: UInt64 = 0

  /// One look a second.
  mutating func take(_ status: Chatelaine_V1_MasterStatusResponse) throws {
    let found = status.rotation.stalled
    if found != reason, !found.isEmpty { printError("chatelaine: the rotation waits. \(printable(found))") }
    seconds = found.isEmpty || found != reason || status.done != done ? 0 : seconds + 1
    (reason, done) = (found, status.done)
    guard !found.isEmpty, seconds >= Self.secondsMax else { return }
    throw Failure(
      .unavailable,
      "the rotation to master key version \(status.rotation.version) does not go on: \(printable(found)) No longer watching."
    )
  }
}

/// What was printed is seen before what comes next takes its time.
func flushOutput() { fflush(nil) }
