package import ChatelaineAuditLog
package import ChatelaineAuditTrail
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
  /// Signed heads that the log was held against; nil where no key is named.
  package let heads: Int?
  /// Losses that were acknowledged, oldest first.
  package let acknowledged: [LostRange]
  package let masters: MasterReport
}

extension KeyService {
  /// Does what a start does and more, and writes nothing: every record of the store, every entry of the
  /// log, each against the other.
  package static func check(
    storePath: String, log storage: any LogStorage, masterKeys: MasterKeySet,
    refusedFiles: [UInt32: KeyringError] = [:], keyringPath: String? = nil, heads: HeadSettings? = nil,
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
    guard try !isAcknowledgementUnfinished(store.storeRow, in: storage) else { throw .unfinishedAcknowledgement }
    let signed = try heads.map { heads throws(StartError) in try SignedHeads(heads, of: storage) }
    let log = try WholeLog(storage, for: store.storeRow, signed) { progress("log", $0, $1) }
    try matchEpoch(store.storeRow, with: log.newest)
    _ = try match(store.storeRow, with: log.history, logID: log.newest.logID)
    try signed?.check(entries: log.entries, roots: log.roots)
    return CheckReport(
      records: records, storeGeneration: store.head.generation, logName: log.newest.name, logID: log.newest.logID,
      entries: log.readings.reduce(0) { $0 + $1.entries }, logEnd: log.end, openIntents: log.history.open.count,
      heads: signed?.count, acknowledged: log.readings.compactMap { $0.link?.lost }, masters: masters)
  }

  private static func openForChecking(
    _ path: String, _ given: GivenMasters
  ) throws(StartError) -> (KeyStore, MasterReport) {
    let examined: KeyStore.Examined
    do throws(KeyStoreError) { examined = try examineStore(path, given.keys, for: .checking) } catch { throw given.told(error) }
    let masters = try matchMasters(examined.masters, given)
    do throws(KeyStoreError) { return (try examined.open(), masters) } catch { throw .store(error) }
  }
}
