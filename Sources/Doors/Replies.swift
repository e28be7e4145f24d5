internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineKeyService
internal import ChatelaineSocketBuffers
internal import ChatelaineVocabulary
internal import ChatelaineWire
internal import NIOCore

/// Replies to what came in together on one connection, complete but for their receipts.
struct Replies: Erasable {
  struct Part {
    var buffer: ByteBuffer
    /// Holds plaintext or keys.
    var isSecret: Bool
    /// Where each reply ends; the receipt's field is the last of it.
    var ends: [Int] = []
  }

  private static let partBytes = 16 << 10
  /// Of the first part: most turns are one call.
  private static let firstPartBytes = 1 << 10
  private(set) var parts: [Part] = []
  /// Of the parts' storage.
  private(set) var heldBytes = 0

  /// Appends one reply of at most `count` bytes, which ends in an empty receipt. `fill` writes all of it and gives
  /// true, or false: then nothing is appended.
  mutating func append(roomFor count: Int, secret: Bool, _ fill: (inout OutputRawSpan) -> Bool) -> Bool {
    let fits = parts.last.map { $0.isSecret == secret && $0.buffer.writableBytes >= count } ?? false
    if !fits { parts.append(Part(buffer: .init(), isSecret: secret)) }
    let last = parts.count - 1
    if !fits {
      let room = last == 0 ? Self.firstPartBytes : Self.partBytes
      parts[last].buffer = ByteBufferAllocator().buffer(capacity: max(count, room))
      heldBytes += parts[last].buffer.capacity
    }
    var isFilled = false
    let before = parts[last].buffer.writerIndex
    parts[last].buffer.append(roomFor: count) { output in
      isFilled = fill(&output)
      if !isFilled { output.removeAll() }
    }
    if isFilled { parts[last].ends.append(parts[last].buffer.writerIndex) }
    precondition(isFilled || parts[last].buffer.writerIndex == before, "a reply is whole or not there")
    return isFilled
  }

  /// Puts a payload of a size that shows only at the end behind a head that is written last.
  mutating func append(
    stream: UInt32, payloadRoom count: Int, secret: Bool, _ fill: (inout OutputRawSpan) -> Bool
  ) -> Bool {
    let headBytes = 32
    var buffer = ByteBufferAllocator().buffer(capacity: headBytes + count)
    buffer.moveWriterIndex(to: headBytes)
    buffer.moveReaderIndex(to: headBytes)
    var isFilled = false
    buffer.append(roomFor: count) { output in
      isFilled = fill(&output)
      if !isFilled { output.removeAll() }
    }
    guard isFilled else { return false }
    var head = ByteBuffer()
    head.append(roomFor: headBytes) { output in
      TtrpcResponse.appendOK(stream: stream, payloadByteCount: buffer.readableBytes, to: &output)
    }
    buffer.moveReaderIndex(to: headBytes - head.readableBytes)
    buffer.setBuffer(head, at: headBytes - head.readableBytes)
    parts.append(Part(buffer: buffer, isSecret: secret, ends: [buffer.writerIndex]))
    heldBytes += buffer.capacity
    return true
  }

  /// Fills the receipts in, in order; the first is of the receipt's entry at `first`.
  mutating func fill(_ receipt: borrowing AuditReceipt, from first: Int) {
    var index = first
    for part in parts.indices {
      for end in parts[part].ends {
        let wire = WireReceipt(
          logID: receipt.logID, epoch: receipt.epoch, sequence: receipt.firstSequence + UInt64(index),
          leafHash: receipt.leafHashes[index])
        index += 1
        parts[part].buffer.put(wire, endingAt: end)
      }
    }
  }

  /// Erases what nobody will get.
  func erase() {
    for part in parts where part.isSecret { part.buffer.eraseInPlace() }
  }

}

extension WireReceipt {
  /// Keeps a receipt's place in a reply that waits for it.
  static let empty = WireReceipt(logID: .zero, epoch: 0, sequence: 0, leafHash: .zero)
}

extension ByteBuffer {
  fileprivate mutating func put(_ receipt: WireReceipt, endingAt end: Int) {
    let after = writerIndex
    moveWriterIndex(to: end - WireReceipt.fieldByteCount)
    append(roomFor: WireReceipt.fieldByteCount) { receipt.append(to: &$0) }
    moveWriterIndex(to: after)
  }
}

/// Replies of one turn of a connection, withheld until the log has their entries.
final class DoorTurn: LoopTurn {
  struct Waiting {
    let stream: UInt32
    let requestID: Identifier
  }

  let connection: Connection
  let waiting: [Waiting]
  private let heldBytes: Int
  private var withheld: Withheld<Replies>?

  init(
    _ connection: Connection, _ waiting: [Waiting], heldBytes: Int, _ withheld: consuming Withheld<Replies>
  ) {
    self.connection = connection
    self.waiting = waiting
    self.heldBytes = heldBytes
    self.withheld = consume withheld
  }

  var sender: any DoorConnection { connection }
  var entryCount: Int { waiting.count }

  func release(_ receipt: borrowing AuditReceipt, from first: Int) {
    guard let withheld = withheld.take() else { preconditionFailure("a turn is answered once") }
    var replies = withheld.release(receipt)
    replies.fill(receipt, from: first)
    for part in replies.parts { connection.write(part.buffer, erasing: part.isSecret) }
    connection.answered(waiting.count, heldBytes: heldBytes)
  }

  func refuse(_ error: ServiceError) {
    guard let withheld = withheld.take() else { preconditionFailure("a turn is answered once") }
    withheld.erase()
    for call in waiting { connection.refuse(WireStatus(error, requestID: call.requestID), stream: call.stream) }
    connection.answered(waiting.count, heldBytes: heldBytes)
  }
}
