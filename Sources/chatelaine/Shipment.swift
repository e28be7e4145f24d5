internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineExits
internal import ChatelainePrimitives
internal import ChatelaineVocabulary

/// A file of a log that will not change any more, on its way to a place where nobody can change it.
struct Shipment {
  enum Content {
    case file(any LogFile)
    case bytes([UInt8])
  }

  static let pieceByteCount = 1 << 20

  let name: String
  let byteCount: UInt64
  let content: Content

  init(_ name: String, bytes: [UInt8]) {
    self.name = name
    byteCount = UInt64(bytes.count)
    content = .bytes(bytes)
  }

  /// The first `byteCount` bytes of a file.
  init(_ name: String, _ file: any LogFile, byteCount: UInt64) {
    self.name = name
    self.byteCount = byteCount
    content = .file(file)
  }

  /// The piece that begins there; empty at the end.
  func piece(at offset: UInt64) throws(LogError) -> [UInt8] {
    let count = Int(min(UInt64(Self.pieceByteCount), byteCount - min(offset, byteCount)))
    guard count > 0 else { return [] }
    switch content {
    case .bytes(let bytes): return Array(bytes[Int(offset)..<(Int(offset) + count)])
    case .file(let file):
      do throws(StorageFailure) { return try file.read(at: offset, count: count) } catch { throw .storage(error) }
    }
  }

  func digest() throws(LogError) -> Digest {
    var hash = SHA256()
    var offset: UInt64 = 0
    while true {
      let piece = try piece(at: offset)
      if piece.isEmpty { return hash.finish() }
      hash.update(piece)
      offset += UInt64(piece.count)
    }
  }
}

/// Where shipments go.
protocol ShippingPlace {
  /// Puts one there, and looks that it is; says whether it was not there before. Throws where another of its name is.
  func ship(_ shipment: Shipment) throws -> Bool
}

/// What of a log does not change any more.
struct ShippableLog {
  let storage: FileStorage
  let epochs: LogEpochs

  /// Descriptors and segments first, then heads. `kept` are heads of other places, such as what witnesses cosigned.
  func shipments(kept: [SignedHead]) throws -> [Shipment] {
    var shipments: [Shipment] = []
    var heads: [(epoch: UInt32, head: SignedHead)] = []
    for epoch in epochs.all {
      let name = LogNames.epoch(epoch.epoch)
      let file = try open(name)
      shipments.append(Shipment(name, file, byteCount: try size(file)))
      let sealed = try segments(of: epoch)
      shipments += sealed.shipments
      heads += try self.heads(of: epoch, covering: sealed.entries).map { (epoch.epoch, $0) }
    }
    heads += kept.map { (epochs.newest.epochNumber(ofOrigin: $0.checkpoint.origin) ?? 0, $0) }
    return shipments + heads.map { Self.shipment(of: $0.head, epoch: $0.epoch) }
  }

  /// Heads keep apart what has other signatures: nothing is ever written over.
  private static func shipment(of head: SignedHead, epoch: UInt32) -> Shipment {
    let bytes = head.note.encoded
    return Shipment("kept-\(epoch)-\(head.checkpoint.size)-\(SHA256.hash(bytes).hex.prefix(8)).head", bytes: bytes)
  }

  /// Of the newest epoch those that have a successor; of an older one all. `entries` is how many they have.
  private func segments(of epoch: EpochDescriptor) throws -> (shipments: [Shipment], entries: UInt64) {
    let directory = try LogDirectory(storage, epoch: epoch.epoch)
    let isNewest = epoch == epochs.newest
    let count = isNewest ? max(0, directory.segmentCount - 1) : directory.segmentCount
    var shipments: [Shipment] = []
    for number in 0..<count {
      let name = LogNames.segment(epoch: epoch.epoch, UInt64(number))
      let file = try open(name)
      let hasSuccessor = number + 1 < directory.segmentCount
      let header = try header(of: file)
      let end = hasSuccessor ? try sealedEnd(file, alignment: UInt64(header.alignment)) : try size(file)
      shipments.append(Shipment(name, file, byteCount: end))
    }
    guard isNewest, count > 0 else { return (shipments, isNewest ? 0 : .max) }
    let next = try header(of: open(LogNames.segment(epoch: epoch.epoch, UInt64(count))))
    return (shipments, next.firstSequence)
  }

  /// A sealed segment ends where its seal's frame does. Behind that there may be zeros for a moment, or for good where the
  /// service was killed before it cut them off.
  private func sealedEnd(_ file: any LogFile, alignment: UInt64) throws -> UInt64 {
    var end = try size(file)
    while end > 0 {
      let start = end - min(end, UInt64(Shipment.pieceByteCount))
      let piece = try read(file, at: start, count: Int(end - start))
      if let last = piece.lastIndex(where: { $0 != 0 }) {
        let used = start + UInt64(last) + 1
        return min((used + alignment - 1) / alignment * alignment, try size(file))
      }
      end = start
    }
    return 0
  }

  /// The newest head of an epoch, and the newest that is over nothing but what is shipped.
  private func heads(of epoch: EpochDescriptor, covering entries: UInt64) throws -> [SignedHead] {
    do throws(StorageFailure) {
      let newest = try KeptHeads.newestUnverified(storage, epoch: epoch.epoch)
      var covered: SignedHead?
      var list = try HeadListReader(storage, epoch: epoch.epoch)
      while let head = try list?.next(), head.checkpoint.size <= entries { covered = head }
      return [covered, newest == covered ? nil : newest].compactMap(\.self)
    } catch { throw LogError.storage(error) }
  }

  // MARK: Files

  private func open(_ name: String) throws(LogError) -> any LogFile {
    do throws(StorageFailure) { return try storage.open(name, forWriting: false) } catch { throw .storage(error) }
  }

  private func size(_ file: any LogFile) throws(LogError) -> UInt64 {
    do throws(StorageFailure) { return try file.size() } catch { throw .storage(error) }
  }

  private func read(_ file: any LogFile, at offset: UInt64, count: Int) throws(LogError) -> [UInt8] {
    do throws(StorageFailure) { return try file.read(at: offset, count: count) } catch { throw .storage(error) }
  }

  private func header(of file: any LogFile) throws -> SegmentHeader {
    let page = try read(file, at: 0, count: SegmentHeader.byteCount)
    guard let header = try? SegmentHeader(parsing: page.span) else {
      throw Failure(.data, "\(storage.path): a segment's header changed while it was read: see 'chatelaine audit verify'")
    }
    return header
  }
}
