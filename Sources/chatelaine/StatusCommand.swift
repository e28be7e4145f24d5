internal import ArgumentParser
internal import ChatelaineAdminClient
internal import ChatelaineCustody
internal import ChatelaineMessages
internal import ChatelaineVocabulary

/// `chatelaine status`: how the running service is.
struct StatusCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "Shows versions, seals, hardening, log and disk of the running service.",
    discussion: exitCodesHelp)

  @OptionGroup var admin: AdminOptions

  func run() async throws {
    let status = try await admin.withService { try await $0.status() }
    print(admin.json ? JSON.object(status.fields).text : status.lines.joined(separator: "\n"))
  }
}

extension Chatelaine_V1_StatusResponse {
  private var started: WallTime { WallTime(nanoseconds: startedUnixNs) }

  fileprivate var lines: [String] {
    var lines = [
      "service   chatelained \(printable(version)), pid \(processID), since \(started.rfc3339)",
      "log       \(printable(log.name))/\(hex(log.logID))/\(log.epoch), \(log.nextSequence) entries, "
        + (log.accepting ? "accepting" : "NOT ACCEPTING: nothing that needs an entry is answered"),
      "segment   \(log.segment): \(log.segmentUsedBytes) of \(log.segmentBytes) bytes",
      "disk      \(log.diskFreeBytes) bytes free\(log.pace)",
      "reserve   \(log.reserve)",
      "store     generation \(store.generation), root \(hex(store.root))",
      "keyring   \(hex(keyringID))",
    ]
    for version in masterVersions {
      let roots = version.tenantRoots > 0 ? ", \(grouped(version.tenantRoots)) of \(grouped(tenantRoots)) tenants" : ""
      let seal = version.seal.isEmpty ? "no readable file in the keyring" : printable(version.seal)
      let check = version.keyCheckValue.isEmpty ? "" : "  " + hex(version.keyCheckValue)
      lines.append("  v\(version.version)  \(seal)\(check), \(version.state.word)\(roots)")
    }
    for door in doors {
      lines.append(
        "door      \(printable(door.name)) \(printable(door.path)): \(door.connections) of \(door.connectionsMax) connections, "
          + "\(door.accepted) so far, \(door.turnedAway) refusals without an entry of their own")
    }
    for measure in measures {
      lines.append(
        "\(measure.held ? "held    " : "NOT HELD")  \(printable(measure.name)): \(printable(measure.detail))")
    }
    return lines + warnings.map { "WARNING   \(printable($0))" }
  }

  fileprivate var fields: [(String, JSON)] {
    [
      ("version", .string(version)), ("started", .string(started.rfc3339)),
      ("processId", .number(UInt64(processID))),
      ("log", log.json),
      ("store", .object([("generation", .number(store.generation)), ("root", .string(hex(store.root)))])),
      ("keyringId", .string(hex(keyringID))), ("tenantRoots", .number(tenantRoots)), ("masterVersions", .array(masterVersions.map(\.json))),
      ("measures", .array(measures.map(\.json))), ("doors", .array(doors.map(\.json))),
      ("warnings", .array(warnings.map { .string($0) })),
    ]
  }
}

private func hex(_ bytes: some Sequence<UInt8>) -> String { Hex.encode(Array(bytes).span) }

/// To one decimal.
private func rounded(_ value: Double) -> String { String((value * 10).rounded() / 10) }

extension Chatelaine_V1_StatusResponse.Log {
  fileprivate var pace: String {
    guard bytesPerEntry > 0 else { return "" }
    let since = WallTime(nanoseconds: growthSinceUnixNs).rfc3339
    let day = bytesPerDay > 0 ? ", \(UInt64(bytesPerDay)) a day" : ""
    let end = daysUntilFull > 0 ? ": full in \(rounded(daysUntilFull)) days" : ""
    return "; since \(since) \(rounded(bytesPerEntry)) bytes an entry\(day)\(end)"
  }

  /// What is there for entries on a full disk.
  fileprivate var reserve: String {
    guard reserveBytes > 0 else { return "none: on a full disk, nothing that needs an entry is answered" }
    let entries = bytesPerEntry > 0 ? ", for about \(UInt64(Double(reserveBytes) / bytesPerEntry)) entries" : ""
    return "\(reserveBytes) bytes written ahead\(entries)"
  }

  fileprivate var json: JSON {
    .object([
      ("logId", .string(hex(logID))), ("epoch", .number(UInt64(epoch))), ("name", .string(name)),
      ("nextSequence", .number(nextSequence)), ("segment", .number(segment)),
      ("segmentUsedBytes", .number(segmentUsedBytes)), ("segmentBytes", .number(segmentBytes)),
      ("accepting", .bool(accepting)), ("diskFreeBytes", .number(diskFreeBytes)),
      ("bytesPerEntry", .decimal(bytesPerEntry)), ("bytesPerDay", .decimal(bytesPerDay)),
      ("daysUntilFull", .decimal(daysUntilFull)),
      ("growthSince", .string(growthSinceUnixNs == 0 ? "" : WallTime(nanoseconds: growthSinceUnixNs).rfc3339)),
      ("reserveBytes", .number(reserveBytes)),
    ])
  }
}

extension Chatelaine_V1_StatusResponse.MasterVersion {
  fileprivate var json: JSON {
    .object([
      ("version", .number(UInt64(version))), ("seal", .string(seal)),
      ("keyCheckValue", .string(hex(keyCheckValue))),
      ("primary", .bool(primary)), ("state", .string(state.word)), ("tenantRoots", .number(tenantRoots)),
    ])
  }
}

extension Chatelaine_V1_StatusResponse.Measure {
  fileprivate var json: JSON {
    .object([("name", .string(name)), ("held", .bool(held)), ("detail", .string(detail))])
  }
}

extension Chatelaine_V1_StatusResponse.Door {
  fileprivate var json: JSON {
    .object([
      ("name", .string(name)), ("path", .string(path)), ("connections", .number(connections)),
      ("connectionsMax", .number(connectionsMax)), ("accepted", .number(accepted)), ("turnedAway", .number(turnedAway)),
    ])
  }
}
