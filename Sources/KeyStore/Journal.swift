internal import Foundation

/// The journal that SQLite keeps beside the database until its frames are in it (SQLite file format, 4).
///
/// why: SQLite takes a journal up to the first frame that does not hold, without a word, and takes the rest away with it.
struct StoreJournal {
  private static let headerCount = 32
  private static let frameHeaderCount = 24

  private let bytes: [UInt8]
  private let isBigEndian: Bool
  private let pageSize: Int

  /// Refuses a journal that no power cut leaves behind: one without a header that holds, or with more than one change
  /// after a frame that does not hold. A header, and each change, is on the disk before what follows it is written.
  static func check(_ path: String) throws(KeyStoreError) {
    let path = path + "-wal"
    guard FileManager.default.fileExists(atPath: path) else { return }
    guard let data = FileManager.default.contents(atPath: path) else {
      throw .database(code: 10, doing: "reading the store's journal")
    }
    let bytes = [UInt8](data)
    guard bytes.count > headerCount else { return }
    guard let journal = StoreJournal(bytes), journal.changesLost <= 1 else { throw .damagedJournal(path: path) }
  }

  /// nil where the header does not hold.
  private init?(_ bytes: [UInt8]) {
    let magic = Self.number(bytes, at: 0)
    pageSize = Int(Self.number(bytes, at: 8))
    guard magic & ~1 == 0x377f_0682, Self.number(bytes, at: 4) == 3_007_000, (512...65_536).contains(pageSize),
      pageSize & (pageSize - 1) == 0
    else { return nil }
    self.bytes = bytes
    isBigEndian = magic & 1 == 1
    var sum = Sum()
    take(0..<24, into: &sum)
    guard holds(sum, at: 24) else { return nil }
  }

  /// Changes of this journal that SQLite would leave out.
  private var changesLost: Int {
    var sum = Sum(first: Self.number(bytes, at: 24), second: Self.number(bytes, at: 28))
    var (isWhole, lost) = (true, 0)
    var start = Self.headerCount
    while start + Self.frameHeaderCount + pageSize <= bytes.count {
      // why: frames with another salt are left over from before the journal was begun anew.
      let isOurs = bytes[start + 8..<start + 16] == bytes[16..<24]
      if isWhole {
        take(start..<start + 8, into: &sum)
        take(start + Self.frameHeaderCount..<start + Self.frameHeaderCount + pageSize, into: &sum)
        isWhole = isOurs && holds(sum, at: start + 16) && Self.number(bytes, at: start) != 0
      }
      if !isWhole, isOurs, Self.number(bytes, at: start + 4) != 0 { lost += 1 }
      start += Self.frameHeaderCount + pageSize
    }
    return lost
  }

  // MARK: Checksums

  private struct Sum {
    var first: UInt32 = 0
    var second: UInt32 = 0
  }

  private func take(_ range: Range<Int>, into sum: inout Sum) {
    for offset in stride(from: range.lowerBound, to: range.upperBound, by: 8) {
      sum.first &+= word(at: offset) &+ sum.second
      sum.second &+= word(at: offset + 4) &+ sum.first
    }
  }

  private func word(at offset: Int) -> UInt32 {
    let number = Self.number(bytes, at: offset)
    return isBigEndian ? number : number.byteSwapped
  }

  private func holds(_ sum: Sum, at offset: Int) -> Bool {
    sum.first == Self.number(bytes, at: offset) && sum.second == Self.number(bytes, at: offset + 4)
  }

  private static func number(_ bytes: [UInt8], at offset: Int) -> UInt32 {
    UInt32(bytes[offset]) << 24 | UInt32(bytes[offset + 1]) << 16 | UInt32(bytes[offset + 2]) << 8
      | UInt32(bytes[offset + 3])
  }
}
