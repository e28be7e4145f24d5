internal import ChatelaineKeyService
internal import ChatelaineSocketBuffers
internal import ChatelaineTransit
internal import ChatelaineVocabulary
internal import NIOCore
internal import NIOHTTP1

/// What the door needs of a request's head.
struct HTTPHead {
  /// Why a head is refused; the connection ends with it, for what follows cannot be told apart.
  enum Fault: Error, Equatable {
    case malformed
    case framing
    case tooLong
    case expectation

    var status: Int {
      switch self {
      case .malformed, .framing: 400
      case .tooLong: 413
      case .expectation: 417
      }
    }

    var code: ErrorCode { self == .tooLong ? .limitExceeded : .invalidRequest }

    var sentence: String {
      switch self {
      case .malformed: "This is no request of HTTP/1.1, or a header stands twice that stands once."
      case .framing: "A body is sent with Content-Length, or in chunks and nothing else."
      case .tooLong: "A body has at most \(HTTPConnection.bodyBytesMax) bytes."
      case .expectation: "100-continue is all that can be expected."
      }
    }
  }

  enum Body: Equatable { case bytes(Int), chunks }

  let method: TransitMethod
  let target: String
  private(set) var body = Body.bytes(0)
  private(set) var expectsContinue = false
  /// Another request may follow.
  let isKept: Bool
  private(set) var namespace: String?
  private(set) var requestID: String?
  private(set) var actor: String?
  private(set) var purpose: String?
  private(set) var credential = Credential.none
  /// Vault's clients ask for a wrapped reply by it.
  private(set) var asksForWrapping = false

  init(_ head: HTTPRequestHead, isList: Bool) throws(Fault) {
    method = isList ? .list : TransitMethod(head.method)
    target = head.uri
    var (length, isChunked, isUpgrade) = (Int?.none, false, false)
    for (name, value) in head.headers {
      switch name.utf8.count {
      case 6 where isSame(name, "expect"):
        guard isSame(value, "100-continue") else { throw .expectation }
        expectsContinue = head.version == .http1_1
      case 7 where isSame(name, "upgrade"): isUpgrade = true
      case 13 where isSame(name, "authorization"): Self.take(&credential, .authorization(Array(value.utf8)))
      case 13 where isSame(name, "x-vault-token"): if !value.isEmpty { Self.take(&credential, .token(Array(value.utf8))) }
      case 14 where isSame(name, "content-length"): length = Int(value) ?? .max
      case 16 where isSame(name, "x-vault-wrap-ttl"): asksForWrapping = true
      case 17 where isSame(name, "transfer-encoding"):
        guard isSame(value, "chunked"), !isChunked, head.version == .http1_1 else { throw .framing }
        isChunked = true
      case 17 where isSame(name, "x-vault-namespace"): try Self.set(&namespace, value)
      case 18 where isSame(name, "x-chatelaine-actor"): try Self.set(&actor, value)
      case 20 where isSame(name, "x-chatelaine-purpose"): try Self.set(&purpose, value)
      case 23 where isSame(name, "x-chatelaine-request-id"): try Self.set(&requestID, value)
      default: continue
      }
    }
    // why: behind a request to speak another protocol the parser takes nothing more.
    isKept = head.isKeepAlive && !isUpgrade && head.method != .CONNECT
    guard !isChunked || length == nil else { throw .framing }
    guard length ?? 0 <= HTTPConnection.bodyBytesMax else { throw .tooLong }
    body = isChunked ? .chunks : .bytes(length ?? 0)
  }

  private static func take(_ credential: inout Credential, _ given: Credential) {
    if case .none = credential { credential = given } else { credential = .several }
  }

  private static func set(_ field: inout String?, _ value: String) throws(Fault) {
    guard field == nil else { throw .malformed }
    field = value
  }

  /// What the caller says of itself, for the log.
  func tags(drawing id: () -> Identifier) throws(TransitFault) -> RequestTags {
    let (actor, purpose) = (Array((actor ?? "").utf8), Array((purpose ?? "").utf8))
    guard actor.count <= Limits.callerTextBytesMax, purpose.count <= Limits.callerTextBytesMax else {
      throw .callerTextTooLong
    }
    guard let requestID else { return RequestTags(requestID: id(), actor: actor, purpose: purpose) }
    let digits = requestID.utf8.filter { $0 != UInt8(ascii: "-") }
    guard let given = Identifier(hex: String(decoding: digits, as: UTF8.self)), given != .zero else {
      throw .requestID
    }
    return RequestTags(requestID: given, actor: actor, purpose: purpose)
  }
}

extension TransitMethod {
  fileprivate init(_ method: HTTPMethod) {
    switch method {
    case .GET: self = .get
    case .HEAD: self = .head
    case .POST, .PUT: self = .post
    case .DELETE: self = .delete
    default: self = .other
    }
  }
}

/// Whether two texts are the same but for the case of ASCII's letters; the second has none in upper case.
private func isSame(_ text: String, _ lower: String) -> Bool {
  text.utf8.count == lower.utf8.count
    && zip(text.utf8, lower.utf8).allSatisfy { byte, wanted in
      byte == wanted || ((UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) && byte | 0x20 == wanted)
    }
}

/// Has llhttp, inside of NIOHTTP1, parse heads and nothing else: no byte of a body goes through it.
///
/// Stands in a pipeline behind its connection: bytes that the connection fires come back as a head at once.
final class HTTPHeads: ChannelInboundHandler {
  typealias InboundIn = HTTPServerRequestPart

  /// Of which every body is made that the parser is shown: it counts the bytes and does not look at them.
  private static let nothing = ByteBuffer(repeating: 0, count: 64 << 10)
  private static let endOfChunks = ByteBuffer(string: "0\r\n\r\n")
  /// Methods are a closed list to llhttp, without Vault's LIST: it is shown another of four letters.
  private static let list = Array("LIST ".utf8)
  private static let shownForList = Array("LINK".utf8)

  private var head: HTTPRequestHead?
  private var hasFailed = false

  static func join(_ pipeline: ChannelPipeline.SynchronousOperations) throws -> HTTPHeads {
    let heads = HTTPHeads()
    try pipeline.addHandler(ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes)))
    try pipeline.addHandler(heads)
    return heads
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    if case .head(let head) = unwrapInboundIn(data) { self.head = head }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { hasFailed = true }

  /// Parses a head, which is all of `bytes`.
  func parse(_ bytes: Span<UInt8>, from context: ChannelHandlerContext) throws(HTTPHead.Fault) -> HTTPHead {
    let isList = bytes.count > Self.list.count && bytes.extracting(0..<Self.list.count).equals(Self.list)
    var buffer = context.channel.allocator.buffer(capacity: bytes.count)
    buffer.append(roomFor: bytes.count) { output in output.append(copying: bytes) }
    if isList { buffer.setBytes(Self.shownForList, at: buffer.readerIndex) }
    head = nil
    context.fireChannelRead(NIOAny(buffer))
    // why: tokens are secrets.
    buffer.eraseInPlace()
    guard !hasFailed, let head = head.take() else { throw .malformed }
    return try HTTPHead(head, isList: isList)
  }

  /// Tells the parser that the body of the last head is over.
  func pass(_ body: HTTPHead.Body, from context: ChannelHandlerContext) {
    switch body {
    case .chunks: context.fireChannelRead(NIOAny(Self.endOfChunks))
    case .bytes(let count):
      var left = count
      while left > 0 {
        let some = min(left, Self.nothing.readableBytes)
        context.fireChannelRead(NIOAny(Self.nothing.getSlice(at: 0, length: some) ?? Self.nothing))
        left -= some
      }
    }
  }
}
