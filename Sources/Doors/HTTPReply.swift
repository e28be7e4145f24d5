internal import ChatelaineAuditLog
internal import ChatelaineAuditTrail
internal import ChatelaineKeyService
internal import ChatelaineSocketBuffers
internal import ChatelaineTransit
internal import ChatelaineVocabulary
internal import ChatelaineWire
internal import NIOCore

/// A reply of the HTTP door, complete but for its receipt.
struct HTTPReply: Erasable {
  private(set) var buffer: ByteBuffer
  /// Holds plaintext or keys.
  let isSecret: Bool
  private let bodyAt: Int
  private let receiptAt: Int?

  /// Has `fill` write the body, of `count` bytes at most, and say what its head is.
  init(roomFor count: Int, secret: Bool = false, _ fill: (inout OutputRawSpan) -> ReplyHead) {
    let room = ReplyHead.byteCountMax
    var buffer = ByteBufferAllocator().buffer(capacity: room + count)
    buffer.moveWriterIndex(to: room)
    buffer.moveReaderIndex(to: room)
    var head = ReplyHead(status: 200)
    buffer.append(roomFor: max(1, count)) { head = fill(&$0) }
    let bodyByteCount = buffer.readableBytes
    var receiptAt: Int?
    var front = ByteBufferAllocator().buffer(capacity: room)
    front.append(roomFor: room) { receiptAt = head.append(bodyByteCount: bodyByteCount, to: &$0) }
    buffer.moveReaderIndex(to: room - front.readableBytes)
    buffer.setBuffer(front, at: buffer.readerIndex)
    self.receiptAt = receiptAt.map { $0 + buffer.readerIndex }
    self.buffer = buffer
    isSecret = secret
    bodyAt = room
  }

  /// A refusal in Vault's shape. `isNoted`: it has an entry of its own.
  init(
    _ code: ErrorCode, _ sentence: String, _ requestID: Identifier, status: Int? = nil, isLast: Bool,
    isNoted: Bool = false, retryMilliseconds: UInt32 = 1000, allowed: String? = nil
  ) {
    self.init(roomFor: TransitReply.refusalRoom(sentence)) { output in
      TransitReply.appendRefusal(code, sentence, requestID, to: &output)
      var head = ReplyHead(status: status ?? code.httpStatus)
      head.isLast = isLast
      head.hasReceipt = isNoted
      head.allowed = allowed
      if code.isRetriedLater { head.retryAfterSeconds = (retryMilliseconds + 999) / 1000 }
      return head
    }
  }

  /// Says where the log has the call.
  mutating func put(_ receipt: WireReceipt) {
    guard let receiptAt else { return }
    let text = receiptText(
      logID: receipt.logID, epoch: receipt.epoch, sequence: receipt.sequence, leafHash: receipt.leafHash)
    buffer.setString(text, at: receiptAt)
  }

  /// To a HEAD, whose reply is the head of what a GET would get.
  mutating func leaveBodyAway() {
    if isSecret { buffer.eraseInPlace() }
    buffer.moveWriterIndex(to: bodyAt)
  }

  /// Erases what nobody will get.
  func erase() { if isSecret { buffer.eraseInPlace() } }
}

/// A reply of one connection, withheld until the log has its entries.
final class HTTPTurn: LoopTurn {
  private let connection: HTTPConnection
  private let requestID: Identifier
  let entryCount: Int
  private var withheld: Withheld<HTTPReply>?

  init(
    _ connection: HTTPConnection, _ requestID: Identifier, entryCount: Int, _ withheld: consuming Withheld<HTTPReply>
  ) {
    self.connection = connection
    self.requestID = requestID
    self.entryCount = entryCount
    self.withheld = consume withheld
  }

  var sender: any DoorConnection { connection }

  /// With the receipt of its last entry.
  func release(_ receipt: borrowing AuditReceipt, from first: Int) {
    guard let withheld = withheld.take() else { preconditionFailure("a turn is answered once") }
    var reply = withheld.release(receipt)
    let last = first + entryCount - 1
    reply.put(
      WireReceipt(
        logID: receipt.logID, epoch: receipt.epoch, sequence: receipt.firstSequence + UInt64(last),
        leafHash: receipt.leafHashes[last]))
    connection.answer(reply)
  }

  func refuse(_ error: ServiceError) {
    guard let withheld = withheld.take() else { preconditionFailure("a turn is answered once") }
    withheld.erase()
    connection.answer(HTTPReply(error.code, error.publicSentence, requestID, isLast: connection.isLast))
  }
}

extension ErrorCode {
  /// From codes to HTTP's status: the only place that does it.
  var httpStatus: Int {
    switch self {
    case .invalidRequest, .decryptionFailed: 400
    case .unauthenticated: 401
    case .notFound: 404
    case .keyDisabled, .tenantFrozen, .conflict, .notSigned: 409
    // why: with 429, which Vault's clients try again by themselves, what is too much would come again and again.
    case .limitExceeded: 413
    case .busy: 429
    case .internal, .corrupt: 500
    case .auditUnavailable, .sealed: 503
    case .deadlineExceeded: 504
    }
  }

  var isRetriedLater: Bool { self == .busy || self == .auditUnavailable || self == .sealed }
}
