package import ChatelaineVocabulary

/// `google.rpc.Status` with our `ErrorDetail`: what every refusal carries.
package struct WireStatus: Equatable, Sendable {
  package enum Retry: UInt64, Sendable {
    case never = 0
    case later = 1
    case sameRequestID = 2
  }

  /// A code of https://grpc.github.io/grpc/core/md_doc_statuscodes.html.
  package var status: UInt32
  package var message: String
  /// The stable code; open, because a later service may send another.
  package var code: String
  package var requestID: Identifier?
  package var retry: Retry
  package var retryAfterMilliseconds: UInt32
  package var receipt: WireReceipt?

  package init(
    status: UInt32, message: String, code: String, requestID: Identifier? = nil, retry: Retry = .never,
    retryAfterMilliseconds: UInt32 = 0, receipt: WireReceipt? = nil
  ) {
    self.status = status
    self.message = message
    self.code = code
    self.requestID = requestID
    self.retry = retry
    self.retryAfterMilliseconds = retryAfterMilliseconds
    self.receipt = receipt
  }

  package static let typeURL = Array("type.googleapis.com/chatelaine.v1.ErrorDetail".utf8)

  /// The status message. Where there is a receipt, its bytes are the last ones.
  package func append(to output: inout OutputRawSpan) {
    let text = Array(message.utf8)
    Protobuf.append(field: 1, varint: UInt64(status), to: &output)
    Protobuf.append(field: 2, text.span, to: &output)
    Protobuf.append(field: 3, byteCount: anyByteCount, to: &output)
    Protobuf.append(field: 1, Self.typeURL.span, to: &output)
    Protobuf.append(field: 2, byteCount: detailByteCount, to: &output)
    let code = Array(code.utf8)
    Protobuf.append(field: 1, code.span, to: &output)
    if let requestID {
      let bytes = requestID.bytes
      Protobuf.append(field: 2, bytes.span, to: &output)
    }
    if retry != .never { Protobuf.append(field: 3, varint: retry.rawValue, to: &output) }
    if retryAfterMilliseconds > 0 { Protobuf.append(field: 4, varint: UInt64(retryAfterMilliseconds), to: &output) }
    receipt?.append(to: &output)
  }

  package var byteCount: Int {
    1 + Protobuf.varintByteCount(UInt64(status)) + Protobuf.fieldByteCount(2, message.utf8.count)
      + Protobuf.fieldByteCount(3, anyByteCount)
  }

  private var anyByteCount: Int {
    Protobuf.fieldByteCount(1, Self.typeURL.count) + Protobuf.fieldByteCount(2, detailByteCount)
  }

  private var detailByteCount: Int {
    Protobuf.fieldByteCount(1, code.utf8.count) + (requestID == nil ? 0 : 18) + (retry == .never ? 0 : 2)
      + (retryAfterMilliseconds == 0 ? 0 : 1 + Protobuf.varintByteCount(UInt64(retryAfterMilliseconds)))
      + (receipt == nil ? 0 : WireReceipt.fieldByteCount)
  }

  /// Parses a status; details of other types are passed over.
  package init(_ bytes: Span<UInt8>, in range: Range<Int>) throws(MalformedBytes) {
    self.init(status: 2, message: "", code: "")
    var reader = ProtobufReader(range)
    while let field = try reader.next(bytes) {
      switch field.number {
      case 1: status = UInt32(truncatingIfNeeded: try field.varint())
      case 2: message = lossyText(bytes, try field.bytes())
      case 3: try readAny(bytes, in: try field.bytes())
      default: break
      }
    }
  }

  private mutating func readAny(_ bytes: Span<UInt8>, in range: Range<Int>) throws(MalformedBytes) {
    var isOurs = false
    var value: Range<Int>?
    var reader = ProtobufReader(range)
    while let field = try reader.next(bytes) {
      switch field.number {
      case 1: isOurs = bytes.extracting(try field.bytes()).equals(Self.typeURL)
      case 2: value = try field.bytes()
      default: break
      }
    }
    if isOurs, let value { try readDetail(bytes, in: value) }
  }

  private mutating func readDetail(_ bytes: Span<UInt8>, in range: Range<Int>) throws(MalformedBytes) {
    var reader = ProtobufReader(range)
    while let field = try reader.next(bytes) {
      switch field.number {
      case 1: code = lossyText(bytes, try field.bytes())
      case 2:
        let range = try field.bytes()
        var cursor = ByteCursor(at: range.lowerBound)
        guard range.count == Identifier.byteCount else { throw MalformedBytes() }
        requestID = try cursor.identifier(bytes)
      case 3: retry = Retry(rawValue: try field.varint()) ?? .never
      case 4: retryAfterMilliseconds = UInt32(clamping: try field.varint())
      case WireReceipt.fieldNumber: receipt = try WireReceipt(bytes, in: try field.bytes())
      default: break
      }
    }
  }
}

private func lossyText(_ bytes: Span<UInt8>, _ range: Range<Int>) -> String {
  String(decoding: bytes.extracting(range).copied(), as: UTF8.self)
}
