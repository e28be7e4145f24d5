package import ChatelaineVocabulary

/// One thing to seal or open: where its bytes lie in the body, and what it is bound to.
package struct TransitItem: Equatable, Sendable {
  /// Plaintext or envelope, out of its base64; empty for a ciphertext that is none.
  package var body: Range<Int>
  /// As the ciphertext says it (`vault:v3:`); 0 where it says none.
  package var keyVersion: UInt32 = 0
  package var context: EncryptionContext = .empty
  /// The caller's own mark, as it is written, which its result is given.
  package var reference: Range<Int>?
}

/// A request of the HTTP door, read where it lies: base64 is turned into its bytes in place.
package struct TransitCall: Equatable, Sendable {
  package static let randomBytesMax = 4096

  package let route: TransitRoute
  /// One, or those of a batch; none for a path that takes no text.
  package private(set) var items: [TransitItem] = []
  package private(set) var isBatch = false
  /// Of a batch of which only a part goes well, instead of 400.
  package private(set) var partialFailureStatus: Int?
  package private(set) var suite = Suite.aes256GCM
  package private(set) var randomByteCount = 32
  package private(set) var isHexadecimal = false
  /// The lowest version that decrypts, where a configuration names one.
  package private(set) var minDecryptionVersion: UInt64?
  package private(set) var minEncryptionVersion: UInt64?

  /// Parses the whole of `bytes`, which afterwards hold what the items name and are no text any more.
  package init(_ route: TransitRoute, _ bytes: inout MutableSpan<UInt8>) throws(TransitFault) {
    self.route = route
    if case .random(let count?) = route.endpoint { randomByteCount = count }
    guard bytes.count > 0 else {
      try finish(Fields())
      return
    }
    guard !route.endpoint.isQuestion else { throw .body }
    var reader = JSONReader(in: 0..<bytes.count)
    // why: what Vault's own client sends where there is nothing to say.
    if reader.takeNull(bytes) {
      do throws(JSONFault) { try reader.finish(bytes) } catch { throw .json(error, at: reader.at) }
      try finish(Fields())
      return
    }
    var fields = Fields()
    do throws(JSONFault) { try reader.openObject(bytes) } catch { throw .json(error, at: reader.at) }
    while let member = try nextMember(&reader, bytes, &fields) {
      if member == .batchInput { try readBatch(&reader, &bytes) } else { try read(member, &fields, &reader, &bytes) }
    }
    do throws(JSONFault) { try reader.finish(bytes) } catch { throw .json(error, at: reader.at) }
    try finish(fields)
  }

  /// What one object holds that is a text's.
  private struct Fields {
    var seen: UInt32 = 0
    var plaintext: Range<Int>?
    var ciphertext: (range: Range<Int>, version: UInt32)?
    var pairs: [EncryptionContext.Pair] = []
    var reference: Range<Int>?
    /// Of a batch.
    var isItem = false
  }

  /// nil at the end of an object.
  private func nextMember(
    _ reader: inout JSONReader, _ bytes: borrowing MutableSpan<UInt8>, _ fields: inout Fields
  ) throws(TransitFault) -> Member? {
    while true {
      let name: JSONReader.Text
      let isNull: Bool
      do throws(JSONFault) {
        guard let next = try reader.nextMember(bytes) else { return nil }
        name = next
        isNull = reader.takeNull(bytes)
      } catch { throw .json(error, at: reader.at) }
      guard let member = Self.members.first(where: { reader.matches($0.rawValue, bytes, name.range) }),
        route.endpoint.takes(member, inItem: fields.isItem)
      else { throw .unknownMember(at: name.range.upperBound) }
      guard fields.seen & member.bit == 0 else { throw .memberTwice(member) }
      fields.seen |= member.bit
      if !isNull { return member }
    }
  }

  private mutating func readBatch(
    _ reader: inout JSONReader, _ bytes: inout MutableSpan<UInt8>
  ) throws(TransitFault) {
    isBatch = true
    do throws(JSONFault) { try reader.openArray(bytes) } catch { throw .json(error, at: reader.at) }
    while try isMore(&reader, bytes) {
      guard items.count < Limits.batchItemsMax else { throw .batchSize }
      guard route.endpoint != .rewrap || items.count < Limits.batchEntriesMax else { throw .rewrapBatchSize }
      var fields = Fields()
      fields.isItem = true
      do throws(JSONFault) { try reader.openObject(bytes) } catch { throw .json(error, at: reader.at) }
      while let member = try nextMember(&reader, bytes, &fields) { try read(member, &fields, &reader, &bytes) }
      items.append(try item(fields))
    }
  }

  // MARK: Members

  private mutating func read(
    _ member: Member, _ fields: inout Fields, _ reader: inout JSONReader, _ bytes: inout MutableSpan<UInt8>
  ) throws(TransitFault) {
    switch member {
    case .plaintext: fields.plaintext = try plaintext(&reader, &bytes)
    case .ciphertext: fields.ciphertext = try ciphertext(&reader, &bytes)
    case .context, .associatedData:
      if let pair = try base64Pair(member, &reader, &bytes) { fields.pairs.append(pair) }
    case .encryptionContext: try readPairs(&fields, &reader, &bytes)
    case .reference:
      let text = try string(&reader, bytes)
      guard text.range.count <= Limits.callerTextBytesMax,
        (try? UTF8Span(validating: bytes.span.extracting(text.range))) != nil
      else { throw .value(.reference) }
      fields.reference = text.range
    default: try readSetting(member, &reader, &bytes)
    }
  }

  private func plaintext(
    _ reader: inout JSONReader, _ bytes: inout MutableSpan<UInt8>
  ) throws(TransitFault) -> Range<Int> {
    let text = try self.text(&reader, &bytes)
    guard let range = Base64.decode(&bytes, in: text) else { throw .value(.plaintext) }
    return range
  }

  /// `vault:v3:` and base64. What is anything else opens as nothing does: one answer for all that is not right.
  private func ciphertext(
    _ reader: inout JSONReader, _ bytes: inout MutableSpan<UInt8>
  ) throws(TransitFault) -> (Range<Int>, UInt32) {
    let text = try self.text(&reader, &bytes)
    let none = (text.upperBound..<text.upperBound, UInt32(0))
    guard text.count > Self.prefix.utf8.count,
      reader.matches(Self.prefix, bytes, text.lowerBound..<text.lowerBound + Self.prefix.utf8.count)
    else { return none }
    var (at, version) = (text.lowerBound + Self.prefix.utf8.count, UInt32(0))
    let first = at
    while at < text.upperBound, at - first < 9, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[at]) {
      version = version * 10 + UInt32(bytes[at] - UInt8(ascii: "0"))
      at += 1
    }
    guard version > 0, bytes[first] != UInt8(ascii: "0"), at < text.upperBound, bytes[at] == UInt8(ascii: ":"),
      let range = Base64.decode(&bytes, in: at + 1..<text.upperBound)
    else { return none }
    return (range, version)
  }

  private static let prefix = "vault:v"
  private static let members = Member.allCases

  /// Vault's `context` and `associated_data` are base64; as a pair of the encryption context the value is that text, so
  /// that any door can name it.
  private func base64Pair(
    _ member: Member, _ reader: inout JSONReader, _ bytes: inout MutableSpan<UInt8>
  ) throws(TransitFault) -> EncryptionContext.Pair? {
    let range = try text(&reader, &bytes)
    guard range.count <= Limits.contextValueBytesMax else { throw .context(.valueLength) }
    let value = bytes.span.extracting(range).copied()
    guard Base64.decode(value.span) != nil else { throw .value(member) }
    return value.isEmpty ? nil : .init(key: Array(member.rawValue.utf8), value: value)
  }

  private func readPairs(
    _ fields: inout Fields, _ reader: inout JSONReader, _ bytes: inout MutableSpan<UInt8>
  ) throws(TransitFault) {
    do throws(JSONFault) { try reader.openObject(bytes) } catch { throw .json(error, at: reader.at) }
    while let name = try nextName(&reader, bytes) {
      guard fields.pairs.count < Limits.contextPairsMax else { throw .context(.tooManyPairs) }
      // why: an escape in a name would be another text for the same key.
      guard !name.hasEscapes else { throw .value(.encryptionContext) }
      guard name.range.count <= Limits.contextKeyBytesMax else { throw .context(.keyLength) }
      let value = try text(&reader, &bytes)
      guard value.count <= Limits.contextValueBytesMax else { throw .context(.valueLength) }
      fields.pairs.append(
        .init(key: try unicode(bytes, name.range), value: try unicode(bytes, value)))
    }
  }

  private func unicode(
    _ bytes: borrowing MutableSpan<UInt8>, _ range: Range<Int>
  ) throws(TransitFault) -> [UInt8] {
    let part = bytes.span.extracting(range)
    guard (try? UTF8Span(validating: part)) != nil else { throw .json(.notUnicode, at: range.upperBound) }
    return part.copied()
  }

  /// What says how, and of which this service often has one value only.
  private mutating func readSetting(
    _ member: Member, _ reader: inout JSONReader, _ bytes: inout MutableSpan<UInt8>
  ) throws(TransitFault) {
    switch member {
    case .nonce: guard try text(&reader, &bytes).isEmpty else { throw .notHere(.nonce) }
    case .convergentEncryption: try refuseTrue(.convergentEncryption, &reader, bytes)
    case .derived: try refuseTrue(.derived, &reader, bytes)
    case .exportable: try refuseTrue(.exportable, &reader, bytes)
    case .allowPlaintextBackup: try refuseTrue(.plaintextBackup, &reader, bytes)
    case .deletionAllowed: try refuseTrue(.deletionAllowed, &reader, bytes)
    case .keyVersion: guard try number(&reader, bytes) == 0 else { throw .notHere(.keyVersion) }
    case .keySize: guard try number(&reader, bytes) == 0 else { throw .notHere(.keyType) }
    case .bits: guard try number(&reader, bytes) == 256 else { throw .notHere(.keyBits) }
    case .minDecryptionVersion: minDecryptionVersion = try number(&reader, bytes)
    case .minEncryptionVersion: minEncryptionVersion = try number(&reader, bytes)
    case .partialFailureResponseCode:
      let status = try number(&reader, bytes)
      // why: a status without content, such as 204, would leave the plaintext behind its head to whatever comes next.
      guard status == 200 || status == 207 || (400...599).contains(status) else { throw .value(member) }
      partialFailureStatus = Int(status)
    case .bytes:
      guard case .random(nil) = route.endpoint else { throw .value(.bytes) }
      randomByteCount = Int(clamping: try number(&reader, bytes))
    default: try readWord(member, &reader, &bytes)
    }
  }

  private mutating func readWord(
    _ member: Member, _ reader: inout JSONReader, _ bytes: inout MutableSpan<UInt8>
  ) throws(TransitFault) {
    if member == .autoRotatePeriod, try isNumber(&reader, bytes) {
      guard try number(&reader, bytes) == 0 else { throw .notHere(.autoRotation) }
      return
    }
    let range = try text(&reader, &bytes)
    // why: no word that is known has more.
    guard range.count <= 32 else { throw .value(member) }
    let word = String(copying: bytes.span.extracting(range))
    switch (member, word) {
    case (.type, "aes256-gcm96"): suite = .aes256GCM
    case (.type, "chacha20-poly1305"): suite = .xchacha20Poly1305
    case (.type, _): throw .notHere(.keyType)
    case (.format, "base64"): isHexadecimal = false
    case (.format, "hex"): isHexadecimal = true
    case (.source, ""), (.source, "platform"), (.source, "all"): return
    case (.source, _): throw .notHere(.source)
    case (.autoRotatePeriod, ""), (.autoRotatePeriod, "0"), (.autoRotatePeriod, "0s"), (.autoRotatePeriod, "0h"): return
    case (.autoRotatePeriod, _): throw .notHere(.autoRotation)
    default: throw .value(member)
    }
  }

  private func refuseTrue(
    _ absent: Absent, _ reader: inout JSONReader, _ bytes: borrowing MutableSpan<UInt8>
  ) throws(TransitFault) {
    let isWanted: Bool
    do throws(JSONFault) { isWanted = try reader.flag(bytes) } catch { throw .json(error, at: reader.at) }
    guard !isWanted else { throw .notHere(absent) }
  }

  private func isMore(
    _ reader: inout JSONReader, _ bytes: borrowing MutableSpan<UInt8>
  ) throws(TransitFault) -> Bool {
    do throws(JSONFault) { return try reader.nextElement(bytes) } catch { throw .json(error, at: reader.at) }
  }

  private func nextName(
    _ reader: inout JSONReader, _ bytes: borrowing MutableSpan<UInt8>
  ) throws(TransitFault) -> JSONReader.Text? {
    do throws(JSONFault) { return try reader.nextMember(bytes) } catch { throw .json(error, at: reader.at) }
  }

  private func isNumber(
    _ reader: inout JSONReader, _ bytes: borrowing MutableSpan<UInt8>
  ) throws(TransitFault) -> Bool {
    do throws(JSONFault) { return try reader.kind(bytes) == .number } catch { throw .json(error, at: reader.at) }
  }

  private func string(
    _ reader: inout JSONReader, _ bytes: borrowing MutableSpan<UInt8>
  ) throws(TransitFault) -> JSONReader.Text {
    do throws(JSONFault) { return try reader.string(bytes) } catch { throw .json(error, at: reader.at) }
  }

  private func number(
    _ reader: inout JSONReader, _ bytes: borrowing MutableSpan<UInt8>
  ) throws(TransitFault) -> UInt64 {
    do throws(JSONFault) { return try reader.number(bytes) } catch { throw .json(error, at: reader.at) }
  }

  private func text(
    _ reader: inout JSONReader, _ bytes: inout MutableSpan<UInt8>
  ) throws(TransitFault) -> Range<Int> {
    do throws(JSONFault) { return try reader.text(&bytes) } catch { throw .json(error, at: reader.at) }
  }

  // MARK: The whole

  private mutating func finish(_ fields: Fields) throws(TransitFault) {
    switch route.endpoint {
    case .encrypt, .decrypt, .rewrap:
      guard isBatch else {
        items = [try item(fields)]
        break
      }
      let isEmpty = fields.plaintext?.isEmpty ?? true && fields.ciphertext?.range.isEmpty ?? true
      guard isEmpty, fields.pairs.isEmpty else { throw .besideBatch }
      guard !items.isEmpty else { throw .batchSize }
    case .dataKey: items = [TransitItem(body: 0..<0, context: try context(fields))]
    case .random:
      guard (1...Self.randomBytesMax).contains(randomByteCount) else { throw .randomSize }
    case .createKey, .readKey, .listKeys, .rotateKey, .configureKey, .health, .lookUpSelf: break
    }
    let overhead = route.endpoint == .encrypt ? 0 : 148 * items.count
    guard items.reduce(0, { $0 + $1.body.count }) <= Limits.plaintextBytesMax + overhead else { throw .plaintextTooLong }
  }

  private func item(_ fields: Fields) throws(TransitFault) -> TransitItem {
    let context = try self.context(fields)
    if route.endpoint == .encrypt {
      guard let plaintext = fields.plaintext else { throw .missing(.plaintext) }
      return TransitItem(body: plaintext, context: context, reference: fields.reference)
    }
    guard let ciphertext = fields.ciphertext else { throw .missing(.ciphertext) }
    return TransitItem(
      body: ciphertext.range, keyVersion: ciphertext.version, context: context, reference: fields.reference)
  }

  private func context(_ fields: Fields) throws(TransitFault) -> EncryptionContext {
    guard !fields.pairs.isEmpty else { return .empty }
    do throws(EncryptionContext.Invalid) { return try EncryptionContext(fields.pairs) } catch { throw .context(error) }
  }
}

extension Endpoint {
  /// Whether a body has this member, or an item of its batch.
  fileprivate func takes(_ member: Member, inItem: Bool) -> Bool {
    switch self {
    case .encrypt, .decrypt, .rewrap:
      switch member {
      case .plaintext: self == .encrypt
      case .ciphertext: self != .encrypt
      case .context, .associatedData, .encryptionContext, .nonce: true
      case .keyVersion: self != .decrypt
      case .reference: inItem
      case .batchInput, .partialFailureResponseCode: !inItem
      case .type, .convergentEncryption: self == .encrypt && !inItem
      default: false
      }
    case .dataKey: [.context, .associatedData, .encryptionContext, .nonce, .bits].contains(member)
    case .createKey:
      [
        .type, .convergentEncryption, .derived, .exportable, .allowPlaintextBackup, .autoRotatePeriod, .keySize,
      ].contains(member)
    case .configureKey:
      [
        .minDecryptionVersion, .minEncryptionVersion, .deletionAllowed, .exportable, .allowPlaintextBackup,
        .autoRotatePeriod,
      ].contains(member)
    case .random: [.bytes, .format, .source].contains(member)
    case .rotateKey, .readKey, .listKeys, .health, .lookUpSelf: false
    }
  }
}
