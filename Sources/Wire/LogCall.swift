package import ChatelaineVocabulary

/// The methods of `chatelaine.v1.LogService`.
package enum LogMethod: String, CaseIterable, Sendable {
  case listEntries = "ListEntries"
  case getHistory = "GetHistory"

  package static let service = Array("chatelaine.v1.LogService".utf8)

  package init?(_ name: Span<UInt8>) {
    guard let match = Self.allCases.first(where: { name.equals($0.bytes) }) else { return nil }
    self = match
  }

  package var bytes: [UInt8] { Array(rawValue.utf8) }

  fileprivate func accepts(_ field: Int) -> Bool {
    switch self {
    case .listEntries: (1...17).contains(field)
    case .getHistory: [1, 2, 3, 8].contains(field)
    }
  }
}

/// A reviewer's request, as the doors take it: texts as they were sent, within their bounds. What is empty or 0 was not
/// given.
package struct LogCall: Equatable, Sendable {
  package let method: LogMethod
  package var tenant: [UInt8] = []
  package var limit: UInt32 = 0
  package var pageToken: [UInt8] = []
  package var attribution = WireAttribution()
  // Of a list of entries.
  package var isNewestFirst = false
  package var epoch: UInt32 = 0
  package var key: [UInt8] = []
  package var principal: [UInt8] = []
  package var operation: [UInt8] = []
  package var outcome: [UInt8] = []
  package var requestID: Identifier?
  /// As `audit show` prints it.
  package var actor: [UInt8] = []
  package var subjectDigest: Identifier?
  package var since: UInt64 = 0
  package var until: UInt64 = 0
  package var from: UInt64 = 0
  package var before: UInt64 = 0

  package init(_ method: LogMethod) { self.method = method }

  /// Parses the message of `method` in `range`.
  package init(_ method: LogMethod, _ bytes: Span<UInt8>, in range: Range<Int>) throws(CallFault) {
    self.init(method)
    var seen: UInt32 = 0
    var reader = ProtobufReader(range)
    while let field = try malformed({ () throws(MalformedBytes) in try reader.next(bytes) }) {
      guard method.accepts(field.number) else { throw .unknownField(field.number) }
      let bit = UInt32(1) << UInt32(field.number)
      guard seen & bit == 0 else { throw .duplicateField(field.number) }
      seen |= bit
      try take(field, bytes)
    }
  }

  private mutating func take(_ field: ProtobufField, _ bytes: Span<UInt8>) throws(CallFault) {
    switch field.number {
    case 2: limit = UInt32(clamping: try number(field))
    case 4: isNewestFirst = try number(field) != 0
    case 5:
      guard let value = UInt32(exactly: try number(field)) else { throw .value(field.number) }
      epoch = value
    case 14: since = try number(field)
    case 15: until = try number(field)
    case 16: from = try number(field)
    case 17: before = try number(field)
    default:
      let value = try malformed { () throws(MalformedBytes) in try field.bytes() }
      if field.number == 8 { attribution = try WireAttribution(bytes, in: value) } else {
        try take(field.number, bytes.extracting(value))
      }
    }
  }

  private mutating func take(_ number: Int, _ value: Span<UInt8>) throws(CallFault) {
    switch number {
    case 1: tenant = try text(value, atMost: Limits.nameLengthMax, number)
    case 3: pageToken = try bytes(value, atMost: Self.pageTokenBytesMax, number)
    case 6: key = try text(value, atMost: Limits.nameLengthMax, number)
    case 7: principal = try text(value, atMost: Limits.principalBytesMax, number)
    case 9: operation = try text(value, atMost: Limits.nameLengthMax, number)
    case 10: outcome = try text(value, atMost: Limits.nameLengthMax, number)
    case 11: requestID = try identifier(value, number)
    case 12: actor = try text(value, atMost: 4 * Limits.callerTextBytesMax, number)
    default: subjectDigest = try identifier(value, number)
    }
  }

  package static let pageTokenBytesMax = 128

  // MARK: Written

  package var byteCount: Int { encoded.count }

  /// The message.
  package var encoded: [UInt8] {
    var message = MessageBytes()
    message.put(1, tenant)
    message.put(2, UInt64(limit))
    message.put(3, pageToken)
    message.put(4, isNewestFirst ? 1 : 0)
    message.put(5, UInt64(epoch))
    message.put(6, key)
    message.put(7, principal)
    message.put(8, attribution.encoded)
    message.put(9, operation)
    message.put(10, outcome)
    message.put(11, requestID?.bytes ?? [])
    message.put(12, actor)
    message.put(13, subjectDigest?.bytes ?? [])
    message.put(14, since)
    message.put(15, until)
    message.put(16, from)
    message.put(17, before)
    return message.bytes
  }
}

/// What is answered: entries, and where the next page begins.
package struct LogReply: Equatable, Sendable {
  package struct Entry: Equatable, Sendable {
    package let epoch: UInt32
    package let sequence: UInt64
    package let leafHash: Digest
    /// Empty where nothing but the hash is kept.
    package let bytes: [UInt8]

    package init(epoch: UInt32, sequence: UInt64, leafHash: Digest, bytes: [UInt8]) {
      (self.epoch, self.sequence, self.leafHash, self.bytes) = (epoch, sequence, leafHash, bytes)
    }
  }

  package let entries: [Entry]
  /// Empty at the end.
  package let nextPageToken: [UInt8]
  /// Of a history, on its first page.
  package let proof: [UInt8]
  package let receipt: WireReceipt

  package init(entries: [Entry], nextPageToken: [UInt8], proof: [UInt8] = [], receipt: WireReceipt) {
    (self.entries, self.nextPageToken, self.proof, self.receipt) = (entries, nextPageToken, proof, receipt)
  }

  package var byteCount: Int {
    entries.reduce(WireReceipt.fieldByteCount) { $0 + Protobuf.fieldByteCount(1, $1.byteCount) }
      + (nextPageToken.isEmpty ? 0 : Protobuf.fieldByteCount(2, nextPageToken.count))
      + (proof.isEmpty ? 0 : Protobuf.fieldByteCount(3, proof.count))
  }

  package func append(to output: inout OutputRawSpan) {
    for entry in entries {
      Protobuf.append(field: 1, byteCount: entry.byteCount, to: &output)
      entry.append(to: &output)
    }
    let (token, proof) = (nextPageToken, proof)
    if !token.isEmpty { Protobuf.append(field: 2, token.span, to: &output) }
    if !proof.isEmpty { Protobuf.append(field: 3, proof.span, to: &output) }
    receipt.append(to: &output)
  }

  /// Parses a reply; fields of a later service are passed over.
  package init(_ bytes: Span<UInt8>, in range: Range<Int>) throws(MalformedBytes) {
    var (entries, token, proof, receipt): ([Entry], [UInt8], [UInt8], WireReceipt?) = ([], [], [], nil)
    var reader = ProtobufReader(range)
    while let field = try reader.next(bytes) {
      switch field.number {
      case 1: entries.append(try Entry(bytes, in: try field.bytes()))
      case 2: token = bytes.extracting(try field.bytes()).copied()
      case 3: proof = bytes.extracting(try field.bytes()).copied()
      case WireReceipt.fieldNumber: receipt = try WireReceipt(bytes, in: try field.bytes())
      default: break
      }
    }
    guard let receipt, token.count <= LogCall.pageTokenBytesMax else { throw MalformedBytes() }
    self.init(entries: entries, nextPageToken: token, proof: proof, receipt: receipt)
  }
}

extension LogReply.Entry {
  fileprivate var byteCount: Int {
    1 + Protobuf.varintByteCount(UInt64(epoch)) + 1 + Protobuf.varintByteCount(sequence)
      + Protobuf.fieldByteCount(3, Digest.byteCount) + (bytes.isEmpty ? 0 : Protobuf.fieldByteCount(4, bytes.count))
  }

  fileprivate func append(to output: inout OutputRawSpan) {
    Protobuf.append(field: 1, varint: UInt64(epoch), to: &output)
    Protobuf.append(field: 2, varint: sequence, to: &output)
    Protobuf.append(field: 3, byteCount: Digest.byteCount, to: &output)
    output.append(leafHash)
    let bytes = bytes
    if !bytes.isEmpty { Protobuf.append(field: 4, bytes.span, to: &output) }
  }

  fileprivate init(_ bytes: Span<UInt8>, in range: Range<Int>) throws(MalformedBytes) {
    var (epoch, sequence, leaf, entry): (UInt32, UInt64, Digest?, [UInt8]) = (0, 0, nil, [])
    var reader = ProtobufReader(range)
    while let field = try reader.next(bytes) {
      switch field.number {
      case 1: epoch = UInt32(truncatingIfNeeded: try field.varint())
      case 2: sequence = try field.varint()
      case 3:
        let value = try field.bytes()
        guard value.count == Digest.byteCount else { throw MalformedBytes() }
        var cursor = ByteCursor(at: value.lowerBound)
        leaf = try cursor.digest(bytes)
      case 4: entry = bytes.extracting(try field.bytes()).copied()
      default: break
      }
    }
    guard let leaf, entry.count <= Limits.entryBytesMax else { throw MalformedBytes() }
    self.init(epoch: epoch, sequence: sequence, leafHash: leaf, bytes: entry)
  }
}

/// A small message that is made whole before it is sent; fields that say nothing are left out.
struct MessageBytes {
  private(set) var bytes: [UInt8] = []

  mutating func put(_ field: Int, _ value: [UInt8]) {
    guard !value.isEmpty else { return }
    put(varint: UInt64(field) << 3 | 2)
    put(varint: UInt64(value.count))
    bytes += value
  }

  mutating func put(_ field: Int, _ value: UInt64) {
    guard value != 0 else { return }
    put(varint: UInt64(field) << 3)
    put(varint: value)
  }

  private mutating func put(varint value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(truncatingIfNeeded: rest))
  }
}

extension WireAttribution {
  var encoded: [UInt8] {
    var message = MessageBytes()
    message.put(1, requestID?.bytes ?? [])
    message.put(2, actor)
    message.put(3, purpose)
    return message.bytes
  }
}

private func number(_ field: ProtobufField) throws(CallFault) -> UInt64 {
  try malformed { () throws(MalformedBytes) in try field.varint() }
}

private func bytes(_ value: Span<UInt8>, atMost limit: Int, _ field: Int) throws(CallFault) -> [UInt8] {
  guard value.count <= limit else { throw .value(field) }
  return value.copied()
}

private func text(_ value: Span<UInt8>, atMost limit: Int, _ field: Int) throws(CallFault) -> [UInt8] {
  guard (try? UTF8Span(validating: value)) != nil else { throw .notUTF8 }
  return try bytes(value, atMost: limit, field)
}

private func identifier(_ value: Span<UInt8>, _ field: Int) throws(CallFault) -> Identifier? {
  guard !value.isEmpty else { return nil }
  guard value.count == Identifier.byteCount else { throw .value(field) }
  var cursor = ByteCursor()
  return try malformed { () throws(MalformedBytes) in try cursor.identifier(value) }
}
