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
  func untilRewrapped(to version: UInt32?, _ admin: AdminOptions) async throws {
    try await admin.withService { service in
      var bar: ProgressLine?
      var (shown, stall) = (UInt64(0), "")
      while true {
        let status = try await service.masterStatus()
        if isOver(status, version) { break }
        if status.isRewrapping {
          let line = bar ?? ProgressLine(total: status.tenantRoots, label: "rewrapping tenants' roots")
          bar = line
          if status.done > shown { line.advance(status.done - shown) }
          shown = max(shown, status.done)
        }
        if json { print(status.json.text) }
        flushOutput()
        if status.rotation.stalled != stall {
          stall = status.rotation.stalled
          if !stall.isEmpty { printError("chatelaine: the rotation waits. \(printable(stall))") }
        }
        try await Task.sleep(for: .seconds(1))
      }
      bar?.finish()
    }
  }

  private func isOver(_ status: Chatelaine_V1_MasterStatusResponse, _ version: UInt32?) -> Bool {
    guard let version else { return !status.isRewrapping }
    return status.hasRotation && status.rotation.version >= version && !status.isRewrapping
  }
}

/// What was printed is seen before what comes next takes its time.
func flushOutput() { fflush(nil) }
