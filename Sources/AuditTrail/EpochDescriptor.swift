internal import ChatelainePrimitives
package import ChatelaineVocabulary

/// What an epoch of the log is; its hash is the link of the epoch's first entry.
///
///      0  8 "CHEPO" 00 00 01    8 16 log id    24 4 epoch    28 8 created wall ns
///     36 32 SHA-256 of the descriptor before, zeros in epoch 1    68 u16 name
package struct EpochDescriptor: Equatable, Sendable {
  package let logID: Identifier
  package let epoch: UInt32
  package let created: WallTime
  package let previous: Digest
  /// First part of the origin that heads are signed under: 1 to 128 of `A-Z a-z 0-9 . _ -`.
  package let name: String

  package static let byteCountMax = 70 + nameLengthMax
  package static let nameLengthMax = 128
  private static let magic: [UInt8] = Array("CHEPO".utf8) + [0, 0, 1]

  package struct Malformed: Error, Equatable {}

  package init(
    logID: Identifier, epoch: UInt32 = 1, created: WallTime, previous: Digest = .zero, name: String
  ) throws(Malformed) {
    guard epoch >= 1, (epoch == 1) == (previous == .zero), Self.isName(name) else { throw Malformed() }
    self.logID = logID
    self.epoch = epoch
    self.created = created
    self.previous = previous
    self.name = name
  }

  package init(parsing bytes: Span<UInt8>) throws(Malformed) {
    guard bytes.count >= 70, bytes.extracting(0..<8).equals(Self.magic) else { throw Malformed() }
    do {
      var cursor = ByteCursor(at: 8)
      let logID = try cursor.identifier(bytes)
      let epoch = try cursor.u32(bytes)
      let created = WallTime(nanoseconds: try cursor.u64(bytes))
      let previous = try cursor.digest(bytes)
      let name = bytes.extracting(try cursor.u16Prefixed(bytes))
      try cursor.finish(bytes)
      guard name.count <= Self.nameLengthMax else { throw Malformed() }
      try self.init(
        logID: logID, epoch: epoch, created: created, previous: previous, name: String(copying: name))
    } catch { throw Malformed() }
  }

  package func encoded() -> [UInt8] {
    var writer = ByteWriter(capacity: 128)
    writer.raw(Self.magic)
    writer.identifier(logID)
    writer.u32(epoch)
    writer.u64(created.nanoseconds)
    writer.digest(previous)
    writer.u16Prefixed(Array(name.utf8))
    return writer.bytes
  }

  /// Whether it is a later epoch of the same log, made when that one was the newest.
  package func goesOn(from before: EpochDescriptor) -> Bool {
    epoch > before.epoch && logID == before.logID && name == before.name && previous == before.hash
  }

  /// The link of entry 0.
  package var hash: Digest { SHA256.hash(encoded()) }

  private static func isName(_ name: String) -> Bool {
    (1...nameLengthMax).contains(name.utf8.count)
      && name.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
          true
        default: false
        }
      }
  }
}
