internal import ArgumentParser
internal import ChatelaineAuditLog

/// `chatelaine audit`: the key-access log, read offline from its files, without keys.
struct AuditCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "audit", abstract: "Verifies and shows the key-access log, and proves what is in it. Needs no service.",
    subcommands: [
      AuditVerify.self, AuditShow.self, AuditReport.self, AuditHead.self, AuditProve.self, AuditCheckProof.self,
      AuditExport.self, AuditVerifyExport.self,
    ])
}

/// Where the log is.
struct LogOption: ParsableArguments {
  @Option(name: .customLong("log"), help: "The log's directory.")
  var directory: String

  func open() throws -> FileStorage {
    do throws(StorageFailure) { return try FileStorage(path: directory, exclusively: false) } catch {
      throw LogError.storage(error)
    }
  }
}
