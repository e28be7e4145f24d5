internal import ChatelaineKeyStore
internal import ChatelaineAuditTrail
package import ChatelaineAuditLog
package import ChatelaineHardening
internal import ChatelaineKeyService
internal import ChatelaineMessages
package import ChatelaineVocabulary
internal import Foundation
internal import SwiftProtobuf

/// What a daemon knows of itself, beside what the hall knows.
package struct StatusFacts: Sendable {
  package struct Door: Sendable {
    package let name: String
    package let path: String
    package let connections: Int
    package let connectionsMax: Int
    package let accepted: UInt64
    /// Connections, calls and frames that were none or too much.
    package let turnedAway: UInt64
  }

  package var softwareVersion: String
  package var started: WallTime
  package var processID: UInt32
  package var keyringID: Identifier
  package var measures: [Measure]
  package var doors: [Door] = []
  package var warnings: [String] = []
  package var diskFreeBytes: UInt64 = 0
  /// nil where the log's files cannot be read.
  package var growth: LogGrowth?
  package var logBytesPerDay: Double = 0

  package init(
    softwareVersion: String, started: WallTime, processID: UInt32, keyringID: Identifier, measures: [Measure]
  ) {
    self.softwareVersion = softwareVersion
    self.started = started
    self.processID = processID
    self.keyringID = keyringID
    self.measures = measures
  }

  func message(of status: ServiceStatus) -> Chatelaine_V1_StatusResponse {
    .with {
      $0.version = softwareVersion
      $0.startedUnixNs = started.nanoseconds
      $0.processID = processID
      $0.log = log(status)
      $0.store.generation = status.storeHead.generation
      $0.store.root = Data(status.storeHead.root.bytes)
      $0.keyringID = Data(keyringID.bytes)
      $0.masterVersions = (status.master?.versions ?? []).map { version in
        .with {
          $0.version = version.version
          $0.seal = version.sealWord
          $0.keyCheckValue = Data(version.keyCheckValue?.bytes ?? [])
          $0.primary = version.state == .primary
          $0.state = version.state.message
          $0.tenantRoots = UInt64(version.roots)
        }
      }
      $0.tenantRoots = UInt64(status.master?.roots ?? 0)
      $0.measures = measures.map { measure in
        .with {
          $0.name = measure.name.rawValue
          $0.held = measure.isHeld
          $0.detail = measure.detail
        }
      }
      $0.doors = doors.map { door in
        .with {
          $0.name = door.name
          $0.path = door.path
          $0.connections = UInt64(door.connections)
          $0.accepted = door.accepted
          $0.connectionsMax = UInt64(door.connectionsMax)
          $0.turnedAway = door.turnedAway
        }
      }
      $0.warnings = warnings + Self.warnings(status)
    }
  }

  private func log(_ status: ServiceStatus) -> Chatelaine_V1_StatusResponse.Log {
    let head = status.logHead
    return .with {
      $0.logID = Data(head.epoch.logID.bytes)
      $0.epoch = head.epoch.epoch
      $0.name = head.epoch.name
      $0.nextSequence = head.nextSequence
      $0.segment = head.segment
      $0.segmentUsedBytes = head.segmentUsedBytes
      $0.segmentBytes = head.segmentBytes
      $0.accepting = !status.isLogPoisoned && status.logRefusedBy == nil
      $0.diskFreeBytes = diskFreeBytes
      $0.bytesPerEntry = growth?.bytesPerEntry ?? 0
      $0.bytesPerDay = logBytesPerDay
      $0.daysUntilFull = logBytesPerDay > 0 ? Double(diskFreeBytes) / logBytesPerDay : 0
      $0.growthSinceUnixNs = growth?.since.nanoseconds ?? 0
      $0.reserveBytes = growth?.reserveBytes ?? 0
    }
  }

  private static func warnings(_ status: ServiceStatus) -> [String] {
    var warnings: [String] = []
    if status.isLogPoisoned { warnings.append("The log's disk failed a sync: nothing is answered until a restart.") }
    if let failure = status.logRefusedBy { warnings.append(failure.refusalSentence) }
    if let halt = status.changesHaltedBy { warnings.append(halt.sentence) }
    for version in status.master?.versions ?? [] where version.state == .primary || version.state == .inUse {
      guard let fault = version.fault else { continue }
      warnings.append("Master key version \(version.version) is in use, and the next start would be refused. \(fault.sentence).")
    }
    if let stall = status.master?.stalledBy { warnings.append("The master key's rotation waits. " + stall.sentence) }
    if let fault = status.fault {
      let times = fault.times == 1 ? "once" : "\(fault.times) times"
      warnings.append("Callers were refused for a fault here, \(times), last at \(fault.last.rfc3339): \(fault.sentence)")
    }
    return warnings
  }
}
