package import ChatelaineVocabulary

/// The header before every ttrpc message: length, stream, type, flags; ten bytes, big-endian.
///
/// Protocol of https://github.com/containerd/ttrpc/blob/main/PROTOCOL.md, unary calls only.
package struct TtrpcFrame: Equatable, Sendable {
  package enum Kind: UInt8, Sendable {
    case request = 1
    case response = 2
    case data = 3
  }

  package static let headerByteCount = 10
  /// A message without its header.
  package static let messageBytesMax = 4 << 20

  package let byteCount: Int
  package let stream: UInt32
  /// As it stands on the wire: a frame of a kind that we do not know is skipped by its length.
  package let kind: UInt8
  package let flags: UInt8

  package init(_ kind: Kind, stream: UInt32, byteCount: Int) {
    self.byteCount = byteCount
    self.stream = stream
    self.kind = kind.rawValue
    flags = 0
  }

  /// Parses ten bytes; every value is one.
  package init(_ bytes: Span<UInt8>) throws(MalformedBytes) {
    var cursor = ByteCursor()
    byteCount = Int(try cursor.u32(bytes))
    stream = try cursor.u32(bytes)
    kind = try cursor.u8(bytes)
    flags = try cursor.u8(bytes)
  }

  package func append(to output: inout OutputRawSpan) {
    output.append(bigEndian: UInt32(byteCount))
    output.append(bigEndian: stream)
    output.append(kind)
    output.append(flags)
  }
}

/// ttrpc's `Request`: which method, with what, for how long.
package struct TtrpcRequest: Equatable, Sendable {
  package let service: Range<Int>
  package let method: Range<Int>
  package let payload: Range<Int>
  /// From the caller's clock; nil where it waits for ever.
  package let timeoutNanoseconds: UInt64?
  /// The value of the metadata `authorization`, such as `Bearer …`: a secret, which is read where it lies.
  package let authorization: Range<Int>?

  /// Parses `service = 1, method = 2, payload = 3, timeout_nano = 4, metadata = 5`. Metadata, a `key = 1` with a `value = 2`, may come
  /// more than once; all but one `authorization` is passed over. Like the messages inside, it has no other field and none
  /// twice.
  package init(_ bytes: Span<UInt8>, in range: Range<Int>) throws(CallFault) {
    let none = range.upperBound..<range.upperBound
    var (service, method, payload) = (none, none, none)
    var timeout: UInt64?
    var authorization: Range<Int>?
    var seen = 0
    var reader = ProtobufReader(range)
    var fault: CallFault?
    do throws(MalformedBytes) {
      while fault == nil, let field = try reader.next(bytes) {
        switch field.number {
        case 1: service = try field.bytes()
        case 2: method = try field.bytes()
        case 3: payload = try field.bytes()
        case 4: timeout = try field.varint()
        case 5:
          if let value = try Self.authorization(bytes, in: field.bytes()) {
            if authorization != nil { fault = .duplicateField(5) }
            authorization = value
          }
          continue
        default: fault = .unknownField(field.number)
        }
        if fault == nil, seen & 1 << field.number != 0 { fault = .duplicateField(field.number) }
        seen |= 1 << field.number
      }
    } catch { throw .malformed }
    if let fault { throw fault }
    self.service = service
    self.method = method
    self.payload = payload
    self.authorization = authorization
    // why: int64 on the wire; zero or less is no deadline, as in ttrpc's own server.
    timeoutNanoseconds = timeout.flatMap { Int64(bitPattern: $0) > 0 ? $0 : nil }
  }

  private static let authorizationKey = Array("authorization".utf8)
  private static let bearer = Array("Bearer ".utf8)

  /// The value of one piece of metadata, where its key is `authorization`, in letters of any case; nil for any other.
  private static func authorization(_ bytes: Span<UInt8>, in range: Range<Int>) throws(MalformedBytes) -> Range<Int>? {
    var reader = ProtobufReader(range)
    var isMeant = false
    var value = range.upperBound..<range.upperBound
    while let field = try reader.next(bytes) {
      switch field.number {
      case 1: isMeant = isAuthorization(bytes, try field.bytes())
      case 2: value = try field.bytes()
      default: break
      }
    }
    return isMeant ? value : nil
  }

  private static func isAuthorization(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
    guard range.count == authorizationKey.count else { return false }
    for (index, letter) in authorizationKey.enumerated() where bytes[range.lowerBound + index] | 0x20 != letter { return false }
    return true
  }

  private static func metadataByteCount(tokenByteCount: Int) -> Int {
    Protobuf.fieldByteCount(1, authorizationKey.count) + Protobuf.fieldByteCount(2, bearer.count + tokenByteCount)
  }

  /// Bytes of a request with this payload, and perhaps a token.
  package static func byteCount(
    service: Span<UInt8>, method: Span<UInt8>, payloadByteCount: Int, timeoutNanoseconds: UInt64?,
    tokenByteCount: Int? = nil
  ) -> Int {
    let timeout = timeoutNanoseconds.map { 1 + Protobuf.varintByteCount($0) } ?? 0
    let metadata = tokenByteCount.map { Protobuf.fieldByteCount(5, metadataByteCount(tokenByteCount: $0)) } ?? 0
    return Protobuf.fieldByteCount(1, service.count) + Protobuf.fieldByteCount(2, method.count)
      + Protobuf.fieldByteCount(3, payloadByteCount) + timeout + metadata
  }

  /// The metadata that carries a token, before the head.
  package static func append(token: Span<UInt8>, to output: inout OutputRawSpan) {
    Protobuf.append(field: 5, byteCount: metadataByteCount(tokenByteCount: token.count), to: &output)
    Protobuf.append(field: 1, authorizationKey.span, to: &output)
    Protobuf.append(field: 2, byteCount: bearer.count + token.count, to: &output)
    Protobuf.append(bearer.span, to: &output)
    Protobuf.append(token, to: &output)
  }

  /// Everything up to the payload's bytes, which must follow.
  package static func appendHead(
    service: Span<UInt8>, method: Span<UInt8>, payloadByteCount: Int, timeoutNanoseconds: UInt64?,
    to output: inout OutputRawSpan
  ) {
    Protobuf.append(field: 1, service, to: &output)
    Protobuf.append(field: 2, method, to: &output)
    if let timeoutNanoseconds { Protobuf.append(field: 4, varint: timeoutNanoseconds, to: &output) }
    Protobuf.append(field: 3, byteCount: payloadByteCount, to: &output)
  }
}

/// ttrpc's `Response`: `google.rpc.Status status = 1; bytes payload = 2`.
///
/// The status is always written: older clients take a reply without one for an error.
package struct TtrpcResponse: Equatable, Sendable {
  /// Empty when all is well.
  package let status: Range<Int>
  package let payload: Range<Int>

  package init(_ bytes: Span<UInt8>, in range: Range<Int>) throws(MalformedBytes) {
    let none = range.upperBound..<range.upperBound
    var (status, payload) = (none, none)
    var reader = ProtobufReader(range)
    while let field = try reader.next(bytes) {
      switch field.number {
      case 1: status = try field.bytes()
      case 2: payload = try field.bytes()
      default: break
      }
    }
    self.status = status
    self.payload = payload
  }

  package static func byteCount(statusByteCount: Int, payloadByteCount: Int) -> Int {
    Protobuf.fieldByteCount(1, statusByteCount)
      + (payloadByteCount == 0 ? 0 : Protobuf.fieldByteCount(2, payloadByteCount))
  }

  /// Header and head of a good reply; its payload must follow.
  package static func appendOK(stream: UInt32, payloadByteCount: Int, to output: inout OutputRawSpan) {
    let count = byteCount(statusByteCount: 0, payloadByteCount: payloadByteCount)
    TtrpcFrame(.response, stream: stream, byteCount: count).append(to: &output)
    Protobuf.append(field: 1, byteCount: 0, to: &output)
    if payloadByteCount > 0 { Protobuf.append(field: 2, byteCount: payloadByteCount, to: &output) }
  }

  /// Header and whole of a refusal.
  package static func appendRefusal(stream: UInt32, status: Span<UInt8>, to output: inout OutputRawSpan) {
    let count = byteCount(statusByteCount: status.count, payloadByteCount: 0)
    TtrpcFrame(.response, stream: stream, byteCount: count).append(to: &output)
    Protobuf.append(field: 1, status, to: &output)
  }
}
