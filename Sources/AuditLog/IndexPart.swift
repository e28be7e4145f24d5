internal import ChatelaineAuditTrail
internal import ChatelaineVocabulary

/// The part of an index over 2^20 entries, or fewer: for every term of theirs its hash and the blocks of 256 entries that have it,
/// in order of the hashes.
///
///     a page of 4,096 bytes: "CHINDX" 00 01   16 secret   8 part   8 end   8 values
///     then pages of values, each a hash's 52 bits and the block's 12
struct IndexPart: Sendable {
  /// It is not what was written, or not all of it.
  struct Damaged: Error, Equatable {}

  static let entriesRange = StoredNode.leavesMin...1 << (IndexHash.blockBits + UInt64(StoredNode.levelMin))
  private static let magic = Array("CHINDX".utf8) + [0, 1]
  private static let pagesPerWrite = 256

  let number: UInt64
  /// The entry behind the last that counts.
  let end: UInt64
  private let count: Int
  private let file: any LogFile

  static func name(epoch: UInt32, _ number: UInt64, end: UInt64) -> String { "part-\(epoch)-\(number)-\(end)" }

  /// The part's number and end, by the name of its file.
  static func parse(_ name: String, epoch: UInt32) -> (number: UInt64, end: UInt64)? {
    let words = name.split(separator: "-", omittingEmptySubsequences: false)
    guard words.count == 4, words[0] == "part", words[1] == "\(epoch)", let number = UInt64(words[2]),
      let end = UInt64(words[3]), self.name(epoch: epoch, number, end: end) == name
    else { return nil }
    return (number, end)
  }

  init(_ storage: any LogStorage, epoch: UInt32, _ number: UInt64, end: UInt64, secret: Identifier) throws(Damaged) {
    (self.number, self.end) = (number, end)
    guard let file = try? storage.open(Self.name(epoch: epoch, number, end: end), forWriting: false),
      let bytes = try? file.read(at: 0, count: IndexPage.byteCount),
      let page = IndexPage.parse(bytes.span, part: number, number: 0),
      page[0...4] == Self.heading(secret, number, end)[...], let size = try? file.size(),
      // why: room for the values is made before they are read.
      page[5] <= size / UInt64(IndexPage.byteCount) * UInt64(IndexPage.valuesMax)
    else { throw Damaged() }
    self.file = file
    count = Int(page[5])
  }

  private static func heading(_ secret: Identifier, _ number: UInt64, _ end: UInt64) -> [UInt64] {
    [magic.reduce(0) { $0 << 8 | UInt64($1) }, secret.high, secret.low, number, end]
  }

  /// Writes a part from its values in ascending order; it counts once its file has its name.
  static func write(
    _ values: [UInt64], to storage: any LogStorage, epoch: UInt32, _ number: UInt64, end: UInt64, secret: Identifier
  ) throws(StorageFailure) {
    let name = name(epoch: epoch, number, end: end)
    try? storage.remove(name + ".new")
    let file = try storage.create(name + ".new")
    var bytes = IndexPage.encode(heading(secret, number, end) + [UInt64(values.count)], part: number, number: 0)
    var (offset, page, start) = (UInt64(0), UInt64(1), 0)
    while start < values.count {
      let next = min(start + IndexPage.valuesMax, values.count)
      bytes += IndexPage.encode(values[start..<next], part: number, number: page)
      (start, page) = (next, page + 1)
      guard bytes.count >= pagesPerWrite * IndexPage.byteCount else { continue }
      try file.write(bytes.span, at: offset)
      (offset, bytes) = (offset + UInt64(bytes.count), [])
    }
    try file.write(bytes.span, at: offset)
    try? storage.remove(name)
    try storage.rename(name + ".new", to: name)
  }

  // MARK: Read

  private var pageCount: Int { (count + IndexPage.valuesMax - 1) / IndexPage.valuesMax }

  /// The values of a page, from 0 on.
  private func page(_ index: Int) throws(Damaged) -> ArraySlice<UInt64> {
    guard let bytes = try? file.read(at: UInt64(index + 1) * UInt64(IndexPage.byteCount), count: IndexPage.byteCount),
      let values = IndexPage.parse(bytes.span, part: number, number: UInt64(index) + 1)
    else { throw Damaged() }
    return values.prefix(count - index * IndexPage.valuesMax)
  }

  /// The blocks of the part that have a term, ascending.
  func blocks(of hash: UInt64) throws(Damaged) -> [UInt64] {
    // The first page whose last value is not below the hash, by halving.
    var (low, high) = (0, pageCount)
    while low < high {
      let middle = (low + high) / 2
      guard let last = try page(middle).last else { throw Damaged() }
      if last < hash { low = middle + 1 } else { high = middle }
    }
    var blocks: [UInt64] = []
    for index in low..<max(low, pageCount) {
      for value in try page(index) where value >= hash {
        guard value >> IndexHash.blockBits == hash >> IndexHash.blockBits else { return blocks }
        blocks.append(value & (1 << IndexHash.blockBits - 1))
      }
    }
    return blocks
  }

  func values() throws(Damaged) -> [UInt64] {
    var values: [UInt64] = []
    values.reserveCapacity(count)
    for index in 0..<pageCount { values += try page(index) }
    return values
  }
}

/// Values of a part that are being gathered.
struct IndexValues: Sendable {
  private static let digitBits: UInt64 = 13

  private(set) var values: [UInt64] = []

  mutating func add(_ hash: UInt64, block: UInt64) { values.append(hash | block) }

  /// In ascending order, each once, with those of `others`, which are ascending already.
  func merged(with others: [UInt64]) -> [UInt64] {
    let own = sorted()
    var merged: [UInt64] = []
    merged.reserveCapacity(own.count + others.count)
    var (a, b) = (0, 0)
    while a < own.count || b < others.count {
      let value: UInt64
      if b == others.count || a < own.count && own[a] <= others[b] {
        value = own[a]
        a += 1
      } else {
        value = others[b]
        b += 1
      }
      if merged.last != value { merged.append(value) }
    }
    return merged
  }

  /// By their hashes' digits, from the lowest: they come in order of their blocks.
  private func sorted() -> [UInt64] {
    var (from, to) = (values, [UInt64](repeating: 0, count: values.count))
    for shift in stride(from: IndexHash.blockBits, to: 64, by: Int(Self.digitBits)) {
      var places = [Int](repeating: 0, count: 1 << Int(Self.digitBits) + 1)
      let mask = UInt64(1) << Self.digitBits - 1
      for value in from { places[Int(value >> shift & mask) + 1] += 1 }
      for digit in 1..<places.count { places[digit] += places[digit - 1] }
      for value in from {
        let digit = Int(value >> shift & mask)
        to[places[digit]] = value
        places[digit] += 1
      }
      swap(&from, &to)
    }
    return from
  }
}
