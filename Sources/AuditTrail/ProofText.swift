package import ChatelaineVocabulary

/// Why a file is no proof, before any hash is compared.
package enum ProofMalformed: Error, Equatable {
  case empty
  case tooLong
  /// It begins like a proof, of a version that is not this one's.
  case version
  /// It ends before it is whole.
  case truncated
  /// A line is not what stands in its place, counted from 1.
  case line(Int)
  case head(SignedHead.Malformed)
}

/// That an entry is in the log (C2SP tlog-proof): the entry, its place, the way to the root, and the signed head.
package struct EntryProof: Equatable, Sendable {
  static let title = "c2sp.org/tlog-proof@v1"
  package static let byteCountMax = 262_144

  /// The entry itself, from which the leaf's hash is computed; nil where whoever checks has it.
  package let entry: [UInt8]?
  package let index: UInt64
  /// From the leaf up.
  package let hashes: [Digest]
  package let head: SignedHead

  package init(entry: [UInt8]?, index: UInt64, hashes: [Digest], head: SignedHead) {
    self.entry = entry
    self.index = index
    self.hashes = hashes
    self.head = head
  }

  package init(parsing file: [UInt8]) throws(ProofMalformed) {
    var lines = try ProofLines(file, title: Self.title, byteCountMax: Self.byteCountMax)
    if let extra = lines.next(after: "extra ") {
      guard let entry = Base64.decode(extra.span) else { throw .line(lines.number) }
      self.entry = entry
    } else {
      entry = nil
    }
    guard let digits = lines.next(after: "index ") else { throw lines.missing }
    guard let index = Checkpoint.number(digits) else { throw .line(lines.number) }
    self.index = index
    hashes = try lines.hashes()
    head = try lines.head(upToEmptyLine: nil)
  }

  package var encoded: [UInt8] {
    var lines = [Self.title]
    if let entry { lines.append("extra " + Base64.encode(entry)) }
    lines.append("index \(index)")
    lines += hashes.map { Base64.encode($0.bytes) }
    return Array((lines + ["", ""]).joined(separator: "\n").utf8) + head.note.encoded
  }
}

/// That one head's tree is the beginning of another's: the hashes, and both signed heads.
package struct ConsistencyProof: Equatable, Sendable {
  static let title = "chatelaine/consistency-proof@v1"
  package static let byteCountMax = 262_144

  package let hashes: [Digest]
  package let old: SignedHead
  package let new: SignedHead

  package init(hashes: [Digest], old: SignedHead, new: SignedHead) {
    self.hashes = hashes
    self.old = old
    self.new = new
  }

  package init(parsing file: [UInt8]) throws(ProofMalformed) {
    var lines = try ProofLines(file, title: Self.title, byteCountMax: Self.byteCountMax)
    hashes = try lines.hashes()
    old = try lines.head(upToEmptyLine: 2)
    new = try lines.head(upToEmptyLine: nil)
  }

  package var encoded: [UInt8] {
    let lines = [Self.title] + hashes.map { Base64.encode($0.bytes) } + ["", ""]
    return Array(lines.joined(separator: "\n").utf8) + old.note.encoded + Array("\n".utf8) + new.note.encoded
  }
}

/// The lines of a proof, one after the other.
struct ProofLines {
  private let file: [UInt8]
  private var offset = 0
  /// Of the line that was read last, from 1.
  private(set) var number = 0

  init(_ file: [UInt8], title: String, byteCountMax: Int) throws(ProofMalformed) {
    guard !file.isEmpty else { throw .empty }
    guard file.count <= byteCountMax else { throw .tooLong }
    self.file = file
    let line = peek()
    guard let line else { throw title.utf8.starts(with: file) ? .truncated : .line(1) }
    guard line.elementsEqual(title.utf8) else {
      throw line.starts(with: title.utf8.dropLast(1)) ? .version : .line(1)
    }
    skip(line)
  }

  /// The next line without its newline; nil where there is none that ends.
  private func peek() -> ArraySlice<UInt8>? {
    guard let end = file[offset...].firstIndex(of: UInt8(ascii: "\n")) else { return nil }
    return file[offset..<end]
  }

  private mutating func skip(_ line: ArraySlice<UInt8>) {
    offset = line.endIndex + 1
    number += 1
  }

  /// Why the line that is wanted is not there.
  var missing: ProofMalformed { peek() == nil ? .truncated : .line(number + 1) }

  mutating func next(after prefix: String) -> [UInt8]? {
    guard let line = peek(), line.starts(with: prefix.utf8) else { return nil }
    skip(line)
    return Array(line.dropFirst(prefix.utf8.count))
  }

  /// What has not been read.
  var rest: [UInt8] { Array(file[offset...]) }

  /// Up to an empty line.
  mutating func hashes() throws(ProofMalformed) -> [Digest] {
    var hashes: [Digest] = []
    while let line = peek() {
      skip(line)
      if line.isEmpty { return hashes }
      guard hashes.count < TreeProof.hashesMax, let hash = Base64.digest(Array(line)) else { throw .line(number) }
      hashes.append(hash)
    }
    throw .truncated
  }

  /// A head up to its `count`th empty line, or to the end.
  mutating func head(upToEmptyLine count: Int?) throws(ProofMalformed) -> SignedHead {
    let start = offset
    var end = file.count
    if var left = count {
      while left > 0 {
        guard let line = peek() else { throw .truncated }
        end = offset
        skip(line)
        if line.isEmpty { left -= 1 }
      }
    }
    let note = Array(file[start..<end])
    do throws(SignedHead.Malformed) { return try SignedHead(parsing: note.span) } catch {
      let isCut = error == .note(.empty) || error == .note(.noSignatures) || file.last != UInt8(ascii: "\n")
      throw isCut ? .truncated : .head(error)
    }
  }
}
