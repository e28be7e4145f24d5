package import ChatelaineAuditLog
internal import ChatelaineAuditTrail
package import ChatelaineCustody

/// What a service is told of its log's heads.
package struct HeadSettings: Sendable {
  package let key: SigningKey
  package let anchor: String?
  package let cadence: HeadCadence
  /// Told why heads are not signed, and nil when they are again.
  package let tell: @Sendable (String?) -> Void

  package init(
    key: SigningKey, anchor: String? = nil, cadence: HeadCadence = HeadCadence(),
    tell: @escaping @Sendable (String?) -> Void = { _ in }
  ) {
    self.key = key
    self.anchor = anchor
    self.cadence = cadence
    self.tell = tell
  }
}

/// The heads that were signed over a log, read at a start before anything is written: the newest of the log's own and
/// the anchor's.
struct SignedHeads {
  private let settings: HeadSettings
  private let storage: any LogStorage
  private let signer: NoteSigner
  private let kept: KeptHeads
  private let found: [FoundHead]

  init(_ settings: HeadSettings, of storage: any LogStorage) throws(StartError) {
    let epoch: EpochDescriptor
    do throws(LogError) { epoch = try LogDirectory(storage).epoch } catch { throw .log(error) }
    let key = settings.key
    signer = NoteSigner(key: NoteKey(name: epoch.origin, publicKey: key.publicKey)) { key.sign($0) }
    do throws(KeptHeads.Unusable) { kept = try KeptHeads(storage, key: signer.key) } catch {
      throw .heads(.unusable(error))
    }
    var found = [kept.newest.map { FoundHead($0, in: LogNames.head) }, kept.published.map { FoundHead($0, in: LogNames.heads) }]
    found.append(Self.anchored(settings.anchor, signer.key))
    self.found = found.compactMap { $0 }
    (self.settings, self.storage) = (settings, storage)
  }

  /// An anchor counts where the key signed it: anybody who can write there could else stop the service.
  private static func anchored(_ path: String?, _ key: NoteKey) -> FoundHead? {
    guard let path, let bytes = try? AnchorFile.read(path), let head = try? SignedHead(parsing: bytes.span),
      head.verdict(of: key) == .valid
    else { return nil }
    return FoundHead(head, in: path)
  }

  var sizes: [UInt64] { found.map(\.head.checkpoint.size) }

  /// Never a head that is inconsistent with an earlier one: the log must have what was signed.
  func check(_ log: LogWriter.Examined) throws(StartError) {
    do throws(HeadFault) { try log.check(found, in: storage) } catch { throw .heads(error) }
  }

  func keeper(of log: AuditLog, after examined: LogWriter.Examined, _ clock: LogClock) -> HeadKeeper {
    HeadKeeper(
      log, examined.headStart(kept), signer: signer, anchor: settings.anchor, cadence: settings.cadence, clock: clock,
      tell: settings.tell)
  }
}
