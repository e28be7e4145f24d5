internal import ChatelaineCustody
internal import ChatelaineMessages
internal import ChatelaineVocabulary

extension Chatelaine_V1_RotateMasterResponse {
  var lines: [String] {
    guard !primary else {
      return [
        "master key version \(version) is primary, without a second copy; tenants' roots are being rewrapped",
        "its only file, to be copied soon: \(printable(file))",
      ]
    }
    return [
      "master key version \(version) is made and waits: \(printable(file))",
      "copy the file to the keyring's second copy, then commit with the key check value that the copy itself gives for version \(version):",
      "  chatelaine keyring check COPY", "  chatelaine master commit KEY-CHECK-VALUE",
    ]
  }

  var json: JSON {
    .object([
      ("version", .number(UInt64(version))), ("file", .string(file)), ("primary", .bool(primary)), ("receipt", receipt.json),
    ])
  }
}

extension Chatelaine_V1_MasterStatusResponse {
  /// Whether roots may be left to rewrap.
  var isRewrapping: Bool { hasRotation && rotation.finishedUnixNs == 0 }

  /// On the primary version.
  var done: UInt64 { versions.first { $0.state == .primary }?.tenantRoots ?? 0 }

  var lines: [String] {
    var lines: [String] = []
    if let primary = versions.first(where: { $0.state == .primary }) {
      let census = "\(grouped(primary.tenantRoots)) of \(grouped(tenantRoots)) on v\(primary.version)"
      lines.append(([census] + versions.compactMap(\.retirement)).joined(separator: "; "))
    }
    lines += versions.map(\.line)
    if hasRotation { lines.append(rotation.line) }
    if versions.contains(where: { $0.state == .pending }) {
      lines.append(
        "the version that waits is committed with the key check value that its second copy gives: keyring check COPY, master commit")
    }
    return lines
  }

  var json: JSON {
    var fields: [(String, JSON)] = [
      ("tenantRoots", .number(tenantRoots)), ("versions", .array(versions.map(\.json))),
    ]
    if hasRotation { fields.append(("rotation", rotation.json)) }
    return .object(fields)
  }
}

extension Chatelaine_V1_MasterState {
  var word: String {
    switch self {
    case .unspecified: "unspecified"
    case .primary: "primary"
    case .inUse: "in-use"
    case .pending: "pending"
    case .retired: "retired"
    case .unknown: "unknown"
    case .UNRECOGNIZED(let number): "state-\(number)"
    }
  }
}

extension Chatelaine_V1_MasterStatusResponse.Version {
  /// nil of a file that cannot be read.
  private var created: String? { createdUnixNs == 0 ? nil : WallTime(nanoseconds: createdUnixNs).rfc3339 }

  fileprivate var retirement: String? {
    guard state == .inUse else { return nil }
    guard !safeToRetire else { return "v\(version) safe to retire: yes" }
    return "v\(version) safe to retire: no, because \(grouped(tenantRoots)) tenant roots are on it"
  }

  fileprivate var line: String {
    let word = state.word + String(repeating: " ", count: max(0, 8 - state.word.utf8.count))
    let isThere = state == .retired && !seal.isEmpty ? ", its file is still in the keyring" : ""
    let check = keyCheckValue.isEmpty ? "(key check value: ask its copy)" : Hex.encode([UInt8](keyCheckValue).span)
    return "v\(version)  \(word)  \(created.map { $0 + "  " } ?? "")\(check)  \(printable(place))\(isThere)"
  }

  private var place: String {
    guard file.isEmpty else { return "FILE \(file.uppercased()): \(problem)" }
    return seal.isEmpty ? "not in the keyring" : seal
  }

  fileprivate var json: JSON {
    .object([
      ("version", .number(UInt64(version))), ("state", .string(state.word)),
      ("keyCheckValue", .string(Hex.encode([UInt8](keyCheckValue).span))), ("seal", .string(seal)),
      ("created", .string(created ?? "")), ("tenantRoots", .number(tenantRoots)),
      ("safeToRetire", .bool(safeToRetire)), ("file", .string(file)), ("problem", .string(problem)),
    ])
  }
}

extension Chatelaine_V1_MasterStatusResponse.Rotation {
  fileprivate var line: String {
    let begun = "rotation to v\(version): \(grouped(rewrapped)) tenant roots rewrapped since "
      + WallTime(nanoseconds: startedUnixNs).rfc3339
    if !stalled.isEmpty { return begun + "; IT WAITS: \(printable(stalled))" }
    guard finishedUnixNs > 0 else { return begun + ", under way" }
    return begun + ", finished " + WallTime(nanoseconds: finishedUnixNs).rfc3339
  }

  fileprivate var json: JSON {
    var fields: [(String, JSON)] = [
      ("version", .number(UInt64(version))), ("started", .string(WallTime(nanoseconds: startedUnixNs).rfc3339)),
    ]
    if finishedUnixNs > 0 {
      fields.append(("finished", .string(WallTime(nanoseconds: finishedUnixNs).rfc3339)))
    }
    return .object(fields + [("rewrapped", .number(rewrapped)), ("stalled", .string(stalled))])
  }
}

/// `1,000,000`
func grouped(_ number: UInt64) -> String {
  var text = ""
  for (index, digit) in String(number).reversed().enumerated() {
    if index > 0, index.isMultiple(of: 3) { text = "," + text }
    text = String(digit) + text
  }
  return text
}
