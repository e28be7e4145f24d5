package import ChatelaineAuditLog
internal import ChatelaineAuditTrail
package import ChatelaineCustody
internal import ChatelaineKeyStore
package import ChatelaineVocabulary

/// What a check of everything found, without a start.
package struct CheckReport: Sendable {
  /// Records of the store that were loaded and hold.
  package let records: Int
  package let storeGeneration: UInt64
  package let logName: String
  package let logID: Identifier
  /// Entries of the log that were recomputed and hold.
  package let entries: UInt64
  package let logEnd: LogReader.End
  /// Changes that the next start will resolve: their outcome is missing.
  package let openIntents: Int
  package let masters: MasterReport
}

extension KeyService {
  /// Does what a start does and more, and writes nothing: every record of the store, every entry of the
  /// log, each against the other.
  package static func check(
    storePath: String, log storage: any LogStorage, masterKeys: MasterKeySet,
    refusedFiles: [UInt32: KeyringError] = [:], keyringPath: String? = nil,
    progress: (_ part: String, _ done: UInt64, _ total: UInt64) -> Void = { _, _, _ in }
  ) throws(StartError) -> CheckReport {
    try selfTest()
    let given = GivenMasters(masterKeys, refused: refusedFiles, directory: keyringPath)
    let (store, masters) = try openForChecking(storePath, given)
    defer { try? store.close() }
    let records: Int
    do throws(KeyStoreError) {
      records = try store.verifyAll { done, total in progress("store", UInt64(done), UInt64(total)) }
    } catch { throw .store(error) }
    var history = StoreHistory(named: store.head.logSequence)
    let reader: LogReader
    let end: LogReader.End
    do throws(LogError) {
      (reader, end) = try read(storage, into: &history) { progress("log", $0, $1) }
    } catch { throw .log(error) }
    _ = try match(store.storeRow, with: history, logID: reader.epoch.logID)
    return CheckReport(
      records: records, storeGeneration: store.head.generation, logName: reader.epoch.name,
      logID: reader.epoch.logID, entries: reader.verifier.nextSequence, logEnd: end, openIntents: history.open.count,
      masters: masters)
  }

  private static func openForChecking(
    _ path: String, _ given: GivenMasters
  ) throws(StartError) -> (KeyStore, MasterReport) {
    let examined: KeyStore.Examined
    do throws(KeyStoreError) { examined = try examineStore(path, given.keys, for: .checking) } catch { throw given.told(error) }
    let masters = try matchMasters(examined.masters, given)
    do throws(KeyStoreError) { return (try examined.open(), masters) } catch { throw .store(error) }
  }

  private static func read(
    _ storage: any LogStorage, into history: inout StoreHistory, progress: (UInt64, UInt64) -> Void
  ) throws(LogError) -> (LogReader, LogReader.End) {
    var reader = try LogReader(storage)
    let total = try reader.totalBytes()
    var done: UInt64 = 0
    let end = try reader.readAvailable(visit: { history.take($0) }) { passed in
      done += passed
      progress(done, total)
    }
    return (reader, end)
  }
}
