internal import ArgumentParser
internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineExits
internal import Foundation

/// `chatelaine audit`: the key-access log, read offline from its files, without keys.
struct AuditCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "audit", abstract: "Verifies and shows the key-access log, and proves what is in it. Needs no service.",
    subcommands: [
      AuditVerify.self, AuditShow.self, AuditReport.self, AuditHead.self, AuditProve.self, AuditCheckProof.self,
      AuditExport.self, AuditVerifyExport.self, AuditWitness.self, AuditShip.self,
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

extension ReadAhead {
  /// On every core that this process may use.
  static var allCores: ReadAhead { ReadAhead(threads: ProcessInfo.processInfo.activeProcessorCount) }
}

/// Which epoch of the log.
struct EpochOption: ParsableArguments {
  @Option(name: .customLong("epoch"), help: "This epoch of the log; without it, the newest.")
  var number: UInt32?

  func descriptor(in storage: FileStorage) throws -> EpochDescriptor { try Self.descriptor(number, in: storage) }

  static func descriptor(_ number: UInt32?, in storage: FileStorage) throws -> EpochDescriptor {
    let epochs = try LogEpochs(storage)
    guard let number else { return epochs.newest }
    guard let epoch = epochs.all.first(where: { $0.epoch == number }) else {
      let known = epochs.all.map { "\($0.epoch)" }.joined(separator: ", ")
      throw Failure(.noInput, "the log has no epoch \(number): it has \(known)")
    }
    return epoch
  }
}
