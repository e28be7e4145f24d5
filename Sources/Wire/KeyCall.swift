package import ChatelaineVocabulary

/// The methods of `chatelaine.v1.KeyService`.
package enum KeyMethod: String, CaseIterable, Sendable {
  case encrypt = "Encrypt"
  case decrypt = "Decrypt"
  case encryptBatch = "EncryptBatch"
  case decryptBatch = "DecryptBatch"
  case issueDataKey = "IssueDataKey"
  case unwrapDataKey = "UnwrapDataKey"
  case rewrap = "Rewrap"

  package static let service = Array("chatelaine.v1.KeyService".utf8)

  package init?(_ name: Span<UInt8>) {
    guard let match = Self.names.first(where: { name.equals($0.bytes) }) else { return nil }
    self = match.method
  }

  package var bytes: [UInt8] { Array(rawValue.utf8) }

  private static let names = allCases.map { (method: $0, bytes: $0.bytes) }
}

/// What a caller adds for the log; `requestID` is nil where it gave none.
package struct WireAttribution: Equatable, Sendable {
  package var requestID: Identifier?
  package var actor: [UInt8] = []
  package var purpose: [UInt8] = []

  package init() {}
}

/// One thing to seal or open: where its bytes lie in the frame, and its context.
package struct WireItem: Equatable, Sendable {
  package var body: Range<Int>
  package var context: EncryptionContext = .empty
}

/// A request of the data door, decoded in place: what is secret stays where it is, in the frame.
package struct KeyCall: Equatable, Sendable {
  package let method: KeyMethod
  package private(set) var tenant: TenantID
  /// For methods that name a key.
  package private(set) var key: KeyName?
  /// One, or those of a batch.
  package private(set) var items: [WireItem] = []
  package private(set) var attribution = WireAttribution()
  package private(set) var wrappedOnly = false
  /// Whether the item of a rewrap is a wrapped data key.
  package private(set) var isWrappedDataKey = false

  /// Parses the message of `method` in `range`.
  package init(_ method: KeyMethod, _ bytes: Span<UInt8>, in range: Range<Int>) throws(CallFault) {
    let fields = try Fields(method, bytes, in: range)
    self.method = method
    guard let tenant = try fields.tenant.map({ (range) throws(CallFault) in try tenantID(bytes, range) }) else {
      throw .tenant
    }
    self.tenant = tenant
    if method.namesKey {
      guard let range = fields.key else { throw .key }
      key = try keyName(bytes, range)
    }
    wrappedOnly = fields.wrappedOnly
    if let range = fields.attribution { attribution = try WireAttribution(bytes, in: range) }
    let empty = range.upperBound..<range.upperBound
    if method.isBatch {
      items = fields.items
    } else {
      isWrappedDataKey = fields.wrapped != nil
      if method == .rewrap, (fields.body == nil) == (fields.wrapped == nil) { throw .notOneToRewrap }
      let context = try EncryptionContext(fields.context, bytes)
      items = [WireItem(body: fields.body ?? fields.wrapped ?? empty, context: context)]
    }
    try checkSizes()
  }

  private func checkSizes() throws(CallFault) {
    guard !method.isBatch || (1...Limits.batchItemsMax).contains(items.count) else { throw .batchSize }
    var total = 0
    for item in items { total += item.body.count }
    let overhead = method.takesPlaintext ? 0 : 96 * items.count
    guard total <= Limits.plaintextBytesMax + overhead else { throw .plaintextTooLong }
  }
}

extension KeyMethod {
  fileprivate var namesKey: Bool {
    switch self {
    case .encrypt, .encryptBatch, .issueDataKey: true
    case .decrypt, .decryptBatch, .unwrapDataKey, .rewrap: false
    }
  }

  fileprivate var isBatch: Bool { self == .encryptBatch || self == .decryptBatch }

  fileprivate var takesPlaintext: Bool { self == .encrypt || self == .encryptBatch }

  fileprivate func accepts(_ field: Int) -> Bool {
    switch field {
    case 1, 8: true
    case 2: namesKey
    case 3: self != .issueDataKey
    case 4: !isBatch
    case 5: self == .issueDataKey || self == .rewrap
    default: false
    }
  }
}

/// The fields of any of the requests, which share their numbers.
private struct Fields {
  var tenant: Range<Int>?
  var key: Range<Int>?
  var body: Range<Int>?
  var items: [WireItem] = []
  var context: [Range<Int>] = []
  var wrapped: Range<Int>?
  var wrappedOnly = false
  var attribution: Range<Int>?
  private var seen: UInt32 = 0

  init(_ method: KeyMethod, _ bytes: Span<UInt8>, in range: Range<Int>) throws(CallFault) {
    var reader = ProtobufReader(range)
    while let field = try malformed({ () throws(MalformedBytes) in try reader.next(bytes) }) {
      guard method.accepts(field.number) else { throw .unknownField(field.number) }
      let mayRepeat = field.number == 4 || (field.number == 3 && method.isBatch)
      if !mayRepeat { try once(field.number) }
      if field.number == 5, method == .issueDataKey {
        wrappedOnly = try malformed { () throws(MalformedBytes) in try field.varint() } != 0
        continue
      }
      let value = try malformed { () throws(MalformedBytes) in try field.bytes() }
      switch field.number {
      case 1: tenant = value
      case 2: key = value
      case 3 where method.isBatch: items.append(try item(bytes, in: value))
      case 3: body = value
      case 4: try addPair(value)
      case 5: wrapped = value
      default: attribution = value
      }
    }
  }

  private mutating func once(_ number: Int) throws(CallFault) {
    let bit = UInt32(1) << UInt32(number)
    guard seen & bit == 0 else { throw .duplicateField(number) }
    seen |= bit
  }

  private mutating func addPair(_ range: Range<Int>) throws(CallFault) {
    guard context.count < Limits.contextPairsMax else { throw .context(.tooManyPairs) }
    context.append(range)
  }

  private func item(_ bytes: Span<UInt8>, in range: Range<Int>) throws(CallFault) -> WireItem {
    guard items.count < Limits.batchItemsMax else { throw .batchSize }
    var body: Range<Int>?
    var pairs: [Range<Int>] = []
    var reader = ProtobufReader(range)
    while let field = try malformed({ () throws(MalformedBytes) in try reader.next(bytes) }) {
      let value = try malformed { () throws(MalformedBytes) in try field.bytes() }
      switch field.number {
      case 3 where body == nil: body = value
      case 3: throw .duplicateField(3)
      case 4:
        guard pairs.count < Limits.contextPairsMax else { throw .context(.tooManyPairs) }
        pairs.append(value)
      default: throw .unknownField(field.number)
      }
    }
    let empty = range.upperBound..<range.upperBound
    return WireItem(body: body ?? empty, context: try EncryptionContext(pairs, bytes))
  }
}

extension WireAttribution {
  init(_ bytes: Span<UInt8>, in range: Range<Int>) throws(CallFault) {
    var (id, actor, purpose): (Range<Int>?, Range<Int>?, Range<Int>?) = (nil, nil, nil)
    var reader = ProtobufReader(range)
    while let field = try malformed({ () throws(MalformedBytes) in try reader.next(bytes) }) {
      let value = try malformed { () throws(MalformedBytes) in try field.bytes() }
      switch field.number {
      case 1 where id == nil: id = value
      case 2 where actor == nil: actor = value
      case 3 where purpose == nil: purpose = value
      case 1...3: throw .duplicateField(field.number)
      default: throw .unknownField(field.number)
      }
    }
    if let id, !id.isEmpty {
      guard id.count == Identifier.byteCount else { throw .requestID }
      var cursor = ByteCursor(at: id.lowerBound)
      let given = try malformed { () throws(MalformedBytes) in try cursor.identifier(bytes) }
      // why: in an entry, zeros stand for none.
      guard given != .zero else { throw .requestID }
      requestID = given
    }
    self.actor = try callerText(bytes, actor)
    self.purpose = try callerText(bytes, purpose)
  }
}

extension EncryptionContext {
  /// From the entries of a protobuf map: key = 1, value = 2, both text.
  fileprivate init(_ ranges: [Range<Int>], _ bytes: Span<UInt8>) throws(CallFault) {
    guard !ranges.isEmpty else {
      self = .empty
      return
    }
    var pairs: [Pair] = []
    pairs.reserveCapacity(ranges.count)
    for range in ranges { pairs.append(try pair(bytes, in: range)) }
    do throws(Invalid) { try self.init(pairs) } catch { throw .context(error) }
  }
}

private func pair(_ bytes: Span<UInt8>, in range: Range<Int>) throws(CallFault) -> EncryptionContext.Pair {
  var (key, value): (Range<Int>?, Range<Int>?) = (nil, nil)
  var reader = ProtobufReader(range)
  while let field = try malformed({ () throws(MalformedBytes) in try reader.next(bytes) }) {
    let range = try malformed { () throws(MalformedBytes) in try field.bytes() }
    switch field.number {
    case 1 where key == nil: key = range
    case 2 where value == nil: value = range
    case 1, 2: throw .duplicateField(field.number)
    default: throw .unknownField(field.number)
    }
  }
  guard (key?.count ?? 0) <= Limits.contextKeyBytesMax else { throw .context(.keyLength) }
  guard (value?.count ?? 0) <= Limits.contextValueBytesMax else { throw .context(.valueLength) }
  return EncryptionContext.Pair(key: try text(bytes, key), value: try text(bytes, value))
}

private func tenantID(_ bytes: Span<UInt8>, _ range: Range<Int>) throws(CallFault) -> TenantID {
  do throws(InvalidName) { return try TenantID(bytes.extracting(range)) } catch { throw .tenant }
}

private func keyName(_ bytes: Span<UInt8>, _ range: Range<Int>) throws(CallFault) -> KeyName {
  do throws(InvalidName) { return try KeyName(bytes.extracting(range)) } catch { throw .key }
}

private func callerText(_ bytes: Span<UInt8>, _ range: Range<Int>?) throws(CallFault) -> [UInt8] {
  guard let range else { return [] }
  guard range.count <= Limits.callerTextBytesMax else { throw .callerTextTooLong }
  return try text(bytes, range)
}

private func text(_ bytes: Span<UInt8>, _ range: Range<Int>?) throws(CallFault) -> [UInt8] {
  guard let range else { return [] }
  let part = bytes.extracting(range)
  guard (try? UTF8Span(validating: part)) != nil else { throw .notUTF8 }
  return part.copied()
}

func malformed<Value>(_ body: () throws(MalformedBytes) -> Value) throws(CallFault) -> Value {
  do throws(MalformedBytes) { return try body() } catch { throw .malformed }
}
