internal import ArgumentParser
internal import ChatelaineCustody
internal import ChatelaineVocabulary

/// `chatelaine keyring show`: what the files say of themselves; opens none.
struct KeyringShow: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Shows the versions of a keyring, without opening any.")

  @OptionGroup var keyring: KeyringOptions

  func run() throws {
    let ring = try Keyring(at: keyring.directory, keyring.rules())
    let rows = try ring.headers().map { VersionRow(file: Keyring.fileName($0.key.version), header: $0) }
    print(
      KeyringReport(path: ring.path, rows: rows, unknownNames: ring.unknownNames).rendered(json: keyring.json)
    )
  }
}

/// One version in a report.
struct VersionRow {
  let file: String
  /// nil where the file could not be read.
  var header: KeyringFile.Header?
  /// Whether the key was opened; nil where nobody tried.
  var isOpened: Bool?
  var problem: String?

  var json: JSON {
    var fields: [(String, JSON)] = [("file", .string(file))]
    if let header {
      fields += [
        ("version", .number(UInt64(header.key.version))), ("seal", .string(SealOption(header.seal).rawValue)),
        ("createdNs", .string(String(header.created.nanoseconds))),
        ("created", .string(header.created.rfc3339)),
        ("keyCheckValue", .string(header.keyCheckValue.hex)),
      ]
    }
    if let cost = header?.cost {
      fields += [
        ("argon2MemoryKiB", .number(UInt64(cost.memoryKiB))), ("argon2Passes", .number(UInt64(cost.passes))),
      ]
    }
    if let isOpened { fields.append(("ok", .bool(isOpened))) }
    if let problem { fields.append(("problem", .string(problem))) }
    return .object(fields)
  }

  var line: String {
    guard let header else { return "\(file)  FAILED" }
    let state = isOpened.map { $0 ? "  ok" : "  FAILED" } ?? ""
    let cost = header.cost.map { " (\($0.memoryKiB) KiB, \($0.passes) passes)" } ?? ""
    return
      "\(file)  \(header.created.rfc3339)  \(header.keyCheckValue.hex)  \(SealOption(header.seal).rawValue)\(cost)\(state)"
  }
}

/// What `show` and `check` print.
struct KeyringReport {
  let path: String
  let rows: [VersionRow]
  let unknownNames: [String]

  func rendered(json: Bool) -> String {
    let id = rows.lazy.compactMap(\.header).first?.key.id
    guard !json else {
      return JSON.object([
        ("path", .string(path)), ("keyringId", .string(id?.hex ?? "")),
        ("isExample", .bool(id == Keyring.exampleID)),
        ("versions", .array(rows.map(\.json))), ("unknownFiles", .array(unknownNames.map { .string($0) })),
      ]).text
    }
    let head = "keyring \(id?.hex ?? "unknown")  \(printable(path))"
    let unknown = unknownNames.map { "unknown file, left alone: \(printable($0))" }
    return ([head] + rows.map(\.line) + unknown).joined(separator: "\n")
  }
}
