package import ChatelaineAuditTrail
internal import ChatelaineVocabulary

/// The heads that lie beside a log: `head` has the newest in one of two places that are written in turn, so that an
/// interrupted write spoils the older one; `heads` has every head that was published, one after the other, an empty line
/// behind each.
package struct KeptHeads: Sendable {
  /// A place of `head`, in bytes: zeros behind the note.
  static let placeByteCount = 4096
  private static let tailByteCount: UInt64 = 16_384

  /// Of both files, the one with the most entries that the key signed.
  package private(set) var newest: SignedHead?
  /// The last of `heads`, where the key signed it.
  package private(set) var published: SignedHead?
  /// The place of `head` that the next one goes to.
  private(set) var nextPlace = 0
  /// Where the next one goes in `heads`.
  private(set) var publishedEnd: UInt64 = 0
  private let epoch: UInt32
  /// Kept open once they are written to, so that a process without descriptors goes on.
  private var headFile: (any LogFile)?
  private var headsFile: (any LogFile)?

  /// Heads that are there, none of which holds under the key: refused, for a start would sign as if there were none.
  package enum Unusable: Error, Equatable, Sendable {
    case storage(StorageFailure)
    /// Signed for this log by another key.
    case otherKey(file: String)
    case damaged(file: String)
  }

  package init(_ storage: any LogStorage, key: NoteKey, epoch: UInt32 = 1) throws(Unusable) {
    self.epoch = epoch
    let names: [String]
    do throws(StorageFailure) { names = try storage.list() } catch { throw .storage(error) }
    if names.contains(headName) { try readHead(storage, key) }
    if names.contains(headsName) { try readHeads(storage, key) }
    if let published, newest.map({ $0.checkpoint.size < published.checkpoint.size }) ?? true { newest = published }
  }

  private var headName: String { LogNames.head(epoch) }
  private var headsName: String { LogNames.heads(epoch) }

  /// The newest head of a log's epoch, whoever signed it: for showing.
  package static func newestUnverified(
    _ storage: any LogStorage, epoch: UInt32 = 1
  ) throws(StorageFailure) -> SignedHead? {
    let name = LogNames.head(epoch)
    guard try storage.list().contains(name) else { return nil }
    let file = try storage.open(name, forWriting: false)
    var newest: SignedHead?
    for place in 0..<2 {
      let bytes = try file.read(at: UInt64(place * placeByteCount), count: placeByteCount)
      guard let head = note(in: bytes), newest.map({ $0.checkpoint.size < head.checkpoint.size }) ?? true else { continue }
      newest = head
    }
    return newest
  }

  private static func note(in place: [UInt8]) -> SignedHead? {
    let note = Array(place.prefix { $0 != 0 })
    return try? SignedHead(parsing: note.span)
  }

  private mutating func readHead(_ storage: any LogStorage, _ key: NoteKey) throws(Unusable) {
    let bytes: [UInt8]
    do throws(StorageFailure) {
      bytes = try storage.open(headName, forWriting: false).read(at: 0, count: 2 * Self.placeByteCount)
    } catch { throw .storage(error) }
    let places = [Array(bytes.prefix(Self.placeByteCount)), Array(bytes.dropFirst(Self.placeByteCount))]
    var isOther = false
    for (place, bytes) in places.enumerated() {
      guard let head = Self.note(in: bytes) else { continue }
      guard head.verdict(of: key) == .valid else {
        isOther = isOther || head.verdict(of: key) == .otherKey
        continue
      }
      guard newest.map({ $0.checkpoint.size < head.checkpoint.size }) ?? true else { continue }
      newest = head
      nextPlace = 1 - place
    }
    if newest == nil, bytes.contains(where: { $0 != 0 }) {
      throw isOther ? .otherKey(file: headName) : .damaged(file: headName)
    }
  }

  private mutating func readHeads(_ storage: any LogStorage, _ key: NoteKey) throws(Unusable) {
    let (bytes, start): ([UInt8], UInt64)
    do throws(StorageFailure) {
      let file = try storage.open(headsName, forWriting: false)
      let size = try file.size()
      start = size - min(size, Self.tailByteCount)
      bytes = try file.read(at: start, count: Int(size - start))
    } catch { throw .storage(error) }
    guard let last = HeadList.last(in: bytes, origin: key.name) else {
      // why: the first one of all may have been cut off by a crash.
      guard start == 0, !HeadList.hasWhole(bytes) else { throw .damaged(file: headsName) }
      return
    }
    publishedEnd = start + UInt64(last.end)
    switch last.head.verdict(of: key) {
    case .valid: published = last.head
    case .otherKey: throw .otherKey(file: headsName)
    case .invalid: throw .damaged(file: headsName)
    }
  }

  // MARK: Writing

  /// The file for writing, with a name that lasts.
  private static func open(_ name: String, in storage: any LogStorage) throws(StorageFailure) -> any LogFile {
    if try storage.list().contains(name) { return try storage.open(name, forWriting: true) }
    let file = try storage.create(name)
    try storage.syncDirectory()
    return file
  }

  /// Makes a head durable, before anybody else gets it.
  mutating func keep(_ head: SignedHead, in storage: any LogStorage) throws(StorageFailure) {
    var bytes = head.note.encoded
    bytes += [UInt8](repeating: 0, count: Self.placeByteCount - bytes.count)
    let file = if let headFile { headFile } else { try Self.open(headName, in: storage) }
    headFile = file
    try file.write(bytes.span, at: UInt64(nextPlace * Self.placeByteCount))
    try file.sync()
    newest = head
    nextPlace = 1 - nextPlace
  }

  /// Adds a head to those that were published, before it is.
  mutating func publish(_ head: SignedHead, in storage: any LogStorage) throws(StorageFailure) {
    let bytes = head.note.encoded + Array("\n".utf8)
    let file = if let headsFile { headsFile } else { try Self.open(headsName, in: storage) }
    headsFile = file
    if try file.size() > publishedEnd { try file.truncate(to: publishedEnd) }
    try file.write(bytes.span, at: publishedEnd)
    try file.sync()
    publishedEnd += UInt64(bytes.count)
    published = head
  }
}

/// The file `heads`, read.
package enum HeadList {
  /// The last whole head in the end of a list, and where it ends, its empty line included.
  static func last(in bytes: [UInt8], origin: String) -> (head: SignedHead, end: Int)? {
    let start = Array((origin + "\n").utf8)
    var at = bytes.count - start.count
    while at >= 0 {
      if bytes[at...].starts(with: start), at == 0 || bytes[at - 1] == UInt8(ascii: "\n"),
        let found = whole(in: bytes, from: at)
      {
        return found
      }
      at -= 1
    }
    return nil
  }

  /// Whether a list that is none of this log's begins with a head.
  static func hasWhole(_ bytes: [UInt8]) -> Bool { whole(in: bytes, from: 0) != nil }

  /// The head that begins there, up to its second empty line.
  package static func whole(in bytes: [UInt8], from start: Int) -> (head: SignedHead, end: Int)? {
    var emptyLines = 0
    var at = start
    while let newline = bytes[at...].firstIndex(of: UInt8(ascii: "\n")) {
      if newline == at { emptyLines += 1 }
      at = newline + 1
      guard emptyLines == 2 else { continue }
      let note = Array(bytes[start..<newline])
      return (try? SignedHead(parsing: note.span)).map { ($0, at) }
    }
    return nil
  }
}
