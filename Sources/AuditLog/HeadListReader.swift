package import ChatelaineAuditTrail

/// Reads the file `heads` from its beginning, as far as it went when reading began.
package struct HeadListReader: Sendable {
  private static let stepByteCount: UInt64 = 1 << 18

  private let file: any LogFile
  private let end: UInt64
  private var read: UInt64 = 0
  private var buffer: [UInt8] = []
  private var at = 0

  /// nil where there is none.
  package init?(_ storage: any LogStorage, epoch: UInt32 = 1) throws(StorageFailure) {
    let name = LogNames.heads(epoch)
    guard try storage.list().contains(name) else { return nil }
    file = try storage.open(name, forWriting: false)
    end = try file.size()
  }

  /// The next head; nil at the end, and where what follows is none.
  package mutating func next() throws(StorageFailure) -> SignedHead? {
    while true {
      if let found = HeadList.whole(in: buffer, from: at) {
        at = found.end
        return found.head
      }
      guard read < end, buffer.count - at <= SignedNote.byteCountMax else { return nil }
      let more = try file.read(at: read, count: Int(min(Self.stepByteCount, end - read)))
      guard !more.isEmpty else { return nil }
      read += UInt64(more.count)
      buffer = Array(buffer[at...]) + more
      at = 0
    }
  }

  /// Whether everything was a head, but for what a crash may have left of the last one.
  package var isAtEnd: Bool { read == end && !buffer[at...].contains(0) && buffer.count - at < 1024 }
}
