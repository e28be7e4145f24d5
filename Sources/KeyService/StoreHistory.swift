internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineVocabulary

/// What a log says of the store: its last state, and intents that have no outcome.
struct StoreHistory {
  struct State: Equatable {
    let generation: UInt64
    let root: Digest
  }

  struct Intent {
    let sequence: UInt64
    let leafHash: Digest
    let operation: Operation
    let tenant: TenantID?
    let keyName: KeyName?
    let requestID: Identifier
  }

  /// From the newest entry that carries a store root: an outcome, a start, a stop.
  private(set) var lastState: State?
  /// Oldest first.
  private(set) var open: [Intent] = []
  /// The entry that the store's last change names, and its leaf hash where it was met.
  private let named: UInt64
  private(set) var namedLeafHash: Digest?

  /// `named` is the sequence that the store's head names.
  init(named: UInt64) { self.named = named }

  /// Reads the whole log: for a newest segment that says nothing of the store.
  init(readingAll storage: any LogStorage, named: UInt64) throws(StartError) {
    do throws(LogError) {
      var reader = try LogReader(storage)
      var history = StoreHistory(named: named)
      _ = try reader.readAvailable { history.take($0) }
      self = history
    } catch { throw .log(error) }
  }

  /// Looks for the named entry, and at nothing else on the way. Where it is not found like this, every entry is read:
  /// then the log says what is wrong with it, or ends before the named entry.
  init(finding named: UInt64, in storage: any LogStorage) throws(StartError) {
    self.init(named: named)
    do throws(LogError) { namedLeafHash = try LogDirectory(storage).leafHash(of: named) } catch { throw .log(error) }
    if namedLeafHash == nil { namedLeafHash = try StoreHistory(readingAll: storage, named: named).namedLeafHash }
  }

  mutating func take(_ bytes: Span<UInt8>) {
    if bytes.bigEndian(at: 8, as: UInt64.self) == named { namedLeafHash = AuditEntry.leafHash(bytes) }
    // why: the class decides at one byte; almost every entry is a key use, which says nothing here.
    guard bytes[1] != EntryClass.keyUse.rawValue, bytes[1] != EntryClass.refusal.rawValue,
      let entry = try? AuditEntry(parsing: bytes)
    else { return }
    if entry.entryClass == .intent {
      open.append(
        Intent(
          sequence: entry.sequence, leafHash: AuditEntry.leafHash(bytes), operation: entry.operation,
          tenant: entry.tenant, keyName: entry.keyName, requestID: entry.requestID))
    }
    if let sequence = entry.detail(.intentSequence) {
      var cursor = ByteCursor()
      if let sequence = try? cursor.u64(sequence.span) { open.removeAll { $0.sequence == sequence } }
    }
    if let root = entry.detail(.storeRoot) {
      lastState = State(generation: entry.storeGeneration, root: Digest(root.span))
    }
  }
}
