package import ChatelaineVocabulary

/// Writes requests of the data door: everything but the bytes to seal or open, which the caller of `append`
/// puts where they belong, so that no copy of them is made on the way.
package struct KeyRequestWriter: Sendable {
  package let method: KeyMethod
  private let tenant: [UInt8]
  private let key: [UInt8]?
  private let tail: [UInt8]
  private let contexts: [[UInt8]]

  /// `contexts` has one for each item. `isWrappedDataKey` chooses what a rewrap moves.
  package init(
    _ method: KeyMethod, tenant: TenantID, key: KeyName?, contexts: [EncryptionContext],
    attribution: WireAttribution = WireAttribution(), wrappedOnly: Bool = false, isWrappedDataKey: Bool = false
  ) {
    self.method = method
    self.tenant = tenant.bytes
    self.key = key?.bytes
    self.contexts = contexts.map(Self.encode)
    self.isWrappedDataKey = isWrappedDataKey
    var tail: [UInt8] = []
    if wrappedOnly { tail += [5 << 3, 1] }
    Self.append(attribution, to: &tail)
    self.tail = tail
  }

  private let isWrappedDataKey: Bool
  private var isBatch: Bool { method == .encryptBatch || method == .decryptBatch }
  private var bodyField: Int { isWrappedDataKey && method == .rewrap ? 5 : 3 }

  /// Bytes of the message with bodies of these sizes.
  package func byteCount(bodies: [Int]) -> Int {
    var count = Protobuf.fieldByteCount(1, tenant.count) + tail.count
    if let key { count += Protobuf.fieldByteCount(2, key.count) }
    for (index, body) in bodies.enumerated() {
      let item = itemByteCount(index, body: body)
      count += isBatch ? Protobuf.fieldByteCount(3, item) : item
    }
    return count
  }

  private func itemByteCount(_ index: Int, body: Int) -> Int {
    contexts[index].count + (method == .issueDataKey ? 0 : Protobuf.fieldByteCount(bodyField, body))
  }

  /// The message up to the first body.
  package func appendHead(to output: inout OutputRawSpan) {
    Protobuf.append(field: 1, tenant.span, to: &output)
    if let key { Protobuf.append(field: 2, key.span, to: &output) }
    Protobuf.append(tail.span, to: &output)
  }

  /// Everything of an item but its body's bytes, which must follow.
  package func appendItem(_ index: Int, body: Int, to output: inout OutputRawSpan) {
    if isBatch { Protobuf.append(field: 3, byteCount: itemByteCount(index, body: body), to: &output) }
    let context = contexts[index]
    Protobuf.append(context.span, to: &output)
    if method != .issueDataKey { Protobuf.append(field: bodyField, byteCount: body, to: &output) }
  }

  private static func encode(_ context: EncryptionContext) -> [UInt8] {
    context.pairs.flatMap { field(4, field(1, $0.key) + field(2, $0.value)) }
  }

  /// why: every call has one, so it is written in place, with one allocation.
  private static func append(_ attribution: WireAttribution, to tail: inout [UInt8]) {
    let (id, actor, purpose) = (attribution.requestID, attribution.actor, attribution.purpose)
    let count =
      (id == nil ? 0 : 2 + Identifier.byteCount) + (actor.isEmpty ? 0 : Protobuf.fieldByteCount(2, actor.count))
      + (purpose.isEmpty ? 0 : Protobuf.fieldByteCount(3, purpose.count))
    guard count > 0 else { return }
    tail.reserveCapacity(tail.count + Protobuf.fieldByteCount(8, count))
    appendStart(8, count, to: &tail)
    if let id {
      appendStart(1, Identifier.byteCount, to: &tail)
      tail += id.bytes
    }
    for (number, text) in [(2, actor), (3, purpose)] where !text.isEmpty {
      appendStart(number, text.count, to: &tail)
      tail += text
    }
  }

  /// Key and length of a field, whose bytes follow.
  private static func appendStart(_ number: Int, _ byteCount: Int, to message: inout [UInt8]) {
    message += varint(UInt64(number) << 3 | 2)
    message += varint(UInt64(byteCount))
  }

  private static func field(_ number: Int, _ value: [UInt8]) -> [UInt8] {
    varint(UInt64(number) << 3 | 2) + varint(UInt64(value.count)) + value
  }

  private static func varint(_ value: UInt64) -> [UInt8] {
    var (rest, bytes) = (value, [UInt8]())
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    return bytes + [UInt8(truncatingIfNeeded: rest)]
  }
}

/// A reply of the data door, decoded in place.
package struct KeyReply: Equatable, Sendable {
  package struct Result: Equatable, Sendable {
    package var body: Range<Int>
    /// nil where the item succeeded.
    package var code: String?
  }

  /// Field 1 and field 2, which each method names in its own way; for batches neither.
  package private(set) var first: Range<Int>?
  package private(set) var second: Range<Int>?
  package private(set) var results: [Result] = []
  package private(set) var receipt: WireReceipt?

  /// Parses the reply to `method`; fields of a later service are passed over.
  package init(_ method: KeyMethod, _ bytes: Span<UInt8>, in range: Range<Int>) throws(MalformedBytes) {
    let isBatch = method == .encryptBatch || method == .decryptBatch
    var reader = ProtobufReader(range)
    while let field = try reader.next(bytes) {
      switch field.number {
      case 1 where isBatch:
        guard results.count < Limits.batchItemsMax else { throw MalformedBytes() }
        results.append(try Self.result(bytes, in: try field.bytes()))
      case 1: first = try field.bytes()
      case 2: second = try field.bytes()
      case WireReceipt.fieldNumber: receipt = try WireReceipt(bytes, in: try field.bytes())
      default: break
      }
    }
  }

  private static func result(_ bytes: Span<UInt8>, in range: Range<Int>) throws(MalformedBytes) -> Result {
    var result = Result(body: range.upperBound..<range.upperBound)
    var reader = ProtobufReader(range)
    while let field = try reader.next(bytes) {
      switch field.number {
      case 1: result.body = try field.bytes()
      case 2: result.code = String(decoding: bytes.extracting(try field.bytes()).copied(), as: UTF8.self)
      default: break
      }
    }
    return result
  }
}
