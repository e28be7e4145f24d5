internal import ArgumentParser
internal import ChatelaineCustody
internal import ChatelaineExits

/// `chatelaine keyring check`: opens every version, and prints the key check values for comparing
/// with a second copy.
struct KeyringCheck: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "Opens every version of a keyring.")

  @OptionGroup var keyring: KeyringOptions
  @OptionGroup var passphrase: PassphraseOptions

  func run() throws {
    let ring = try Keyring(at: keyring.directory, keyring.rules())
    let (rows, failure) = try checkAll(ring)
    print(
      KeyringReport(path: ring.path, rows: rows, unknownNames: ring.unknownNames).rendered(json: keyring.json)
    )
    if let failure { throw failure }
    _ = try ring.headers()
  }

  /// All versions, though one fails: the first failure ends the process.
  private func checkAll(_ ring: borrowing Keyring) throws -> ([VersionRow], CheckFailed?) {
    var rows: [VersionRow] = []
    var failures: [KeyringError] = []
    for version in ring.versions {
      var row = VersionRow(file: Keyring.fileName(version), isOpened: false)
      do throws(KeyringError) { row.header = try ring.header(version) } catch {
        row.problem = error.sentence
        failures.append(error)
      }
      rows.append(row)
    }
    let secret = try passphrase.read(for: rows.compactMap(\.header))
    for (index, version) in ring.versions.enumerated() where rows[index].header != nil {
      do throws(KeyringError) {
        _ = try ring.open(version, passphrase: secret)
        rows[index].isOpened = true
      } catch {
        rows[index].problem = error.sentence
        failures.append(error)
      }
    }
    return (rows, CheckFailed(failures))
  }
}

/// Some versions of a keyring did not open.
struct CheckFailed: Error {
  let status: ExitStatus
  let sentence: String

  init?(_ failures: [KeyringError]) {
    guard let first = failures.first else { return nil }
    status = first.exitStatus
    sentence = failures.map(\.sentence).joined(separator: "\nchatelaine: ")
  }
}
