internal import Glibc

/// The journal that SQLite keeps beside the database until its frames are in it (SQLite file format, 4).
///
/// why: SQLite takes a journal up to the first frame that does not hold, without a word, and takes the rest away with it.
struct StoreJournal {
  private static let headerCount = 32
  private static let frameHeaderCount = 24

  /// The header, then one frame after the other: a journal may be larger than what memory there is.
  private var bytes: [UInt8]
  private let isBigEndian: Bool
  private let pageSize: Int

  /// Refuses a journal that no power cut leaves behind: one without a header that holds, or with more than one change
  /// after a frame that does not hold. A header, and each change, is on the disk before what follows it is written.
  static func check(_ path: String) throws(KeyStoreError) {
    let path = path + "-wal"
    let file = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
    guard file >= 0 else {
      guard errno == ENOENT else { throw unreadable }
      return
    }
    defer { _ = close(file) }
    var header = [UInt8](repeating: 0, count: headerCount)
    // why: SQLite writes a header before anything that counts.
    guard try read(file, into: &header, at: 0) else { return }
    var first: UInt8 = 0
    guard unsafe pread(file, &first, 1, off_t(headerCount)) > 0 else { return }
    guard let journal = StoreJournal(header), try journal.changesLost(file) <= 1 else {
      throw .damagedJournal(path: path)
    }
  }

  private static let unreadable = KeyStoreError.database(code: 10, doing: "reading the store's journal")

  /// False where the file ends before the buffer is full.
  private static func read(_ file: Int32, into buffer: inout [UInt8], at offset: Int) throws(KeyStoreError) -> Bool {
    var count = 0
    while count < buffer.count {
      let got = unsafe buffer.withUnsafeMutableBytes { bytes in
        unsafe pread(file, bytes.baseAddress! + count, bytes.count - count, off_t(offset + count))
      }
      if got < 0, errno == EINTR { continue }
      guard got >= 0 else { throw unreadable }
      guard got > 0 else { return false }
      count += got
    }
    return true
  }

  /// nil where the header does not hold.
  private init?(_ header: [UInt8]) {
    let magic = Self.number(header, at: 0)
    pageSize = Int(Self.number(header, at: 8))
    guard magic & ~1 == 0x377f_0682, Self.number(header, at: 4) == 3_007_000, (512...65_536).contains(pageSize),
      pageSize & (pageSize - 1) == 0
    else { return nil }
    bytes = header
    isBigEndian = magic & 1 == 1
    var sum = Sum()
    take(0..<24, into: &sum)
    guard holds(sum, at: 24) else { return nil }
  }

  /// Changes of this journal that SQLite would leave out.
  private func changesLost(_ file: Int32) throws(KeyStoreError) -> Int {
    var frame = self
    var sum = Sum(first: Self.number(bytes, at: 24), second: Self.number(bytes, at: 28))
    var (isWhole, lost) = (true, 0)
    var offset = Self.headerCount
    frame.bytes = [UInt8](repeating: 0, count: Self.frameHeaderCount + pageSize)
    while try Self.read(file, into: &frame.bytes, at: offset) {
      // why: frames with another salt are left over from before the journal was begun anew.
      let isOurs = frame.bytes[8..<16] == bytes[16..<24]
      if isWhole {
        frame.take(0..<8, into: &sum)
        frame.take(Self.frameHeaderCount..<frame.bytes.count, into: &sum)
        isWhole = isOurs && frame.holds(sum, at: 16) && Self.number(frame.bytes, at: 0) != 0
      }
      if !isWhole, isOurs, Self.number(frame.bytes, at: 4) != 0 { lost += 1 }
      offset += frame.bytes.count
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
