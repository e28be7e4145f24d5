internal import ChatelainePrimitives
package import ChatelaineVocabulary

/// What an index of a log finds entries by.
package struct IndexTerm: Hashable, Sendable {
  package enum Kind: UInt8, CaseIterable, Sendable {
    case requestID = 1
    case tenant = 2
    case keyName = 3
    case principal = 4
    /// As `EntryText.escaped` writes it.
    case actor = 5
    case subject = 6
    /// The id of a key that an item of a batch names.
    case itemKey = 7
    /// The name of a key, in the entries that made it: they tell its id.
    case keyMade = 8
  }

  package let kind: Kind
  package let value: [UInt8]

  package init(_ kind: Kind, _ value: [UInt8]) { (self.kind, self.value) = (kind, value) }
}

/// The hashes by which terms stand in an index: the first 52 bits of `SHA-256(secret ‖ kind ‖ value)`.
///
/// Under a secret of the index's own, so that nobody who can have entries written makes them fall on one another.
package struct IndexHash: Sendable {
  /// Bits of a value that number the block; the others are the hash's.
  package static let blockBits: UInt64 = 12

  private let beginnings: [SHA256]

  package init(secret: Identifier) {
    beginnings = IndexTerm.Kind.allCases.map { kind in
      var writer = ByteWriter(capacity: Identifier.byteCount + 1)
      writer.identifier(secret)
      writer.u8(kind.rawValue)
      var hash = SHA256()
      hash.update(writer.bytes)
      return hash
    }
  }

  /// The hash in its place: the bits of the block are zero.
  package func of(_ kind: IndexTerm.Kind, _ value: Span<UInt8>) -> UInt64 {
    var hash = beginnings[Int(kind.rawValue) - 1]
    hash.update(value)
    return (hash.finish().words.0 >> Self.blockBits) << Self.blockBits
  }

  package func of(_ term: IndexTerm) -> UInt64 { of(term.kind, term.value.span) }
}

extension AuditEntry {
  /// Tells of every term of a well-formed entry.
  package static func forEachTerm(in entry: Span<UInt8>, _ take: (IndexTerm.Kind, Span<UInt8>) -> Void) {
    try? terms(in: entry, take)
  }

  private static func terms(
    in entry: Span<UInt8>, _ take: (IndexTerm.Kind, Span<UInt8>) -> Void
  ) throws(MalformedBytes) {
    let request = entry.extracting(100..<116)
    if !request.isZero { take(.requestID, request) }
    var cursor = ByteCursor(at: fixedByteCount)
    take(.tenant, entry.extracting(try cursor.u8Prefixed(entry)))
    let name = entry.extracting(try cursor.u8Prefixed(entry))
    if !name.isEmpty { take(.keyName, name) }
    if !name.isEmpty, Operation(rawValue: entry.bigEndian(at: 2, as: UInt16.self)) == .keyCreate { take(.keyMade, name) }
    let principal = entry.extracting(try cursor.u16Prefixed(entry))
    if !principal.isEmpty { take(.principal, principal) }
    _ = try cursor.range(Int(entry.bigEndian(at: 150, as: UInt16.self)) * Item.byteCount, entry)
    for _ in 0..<3 { _ = try cursor.u8Prefixed(entry) }
    let subject = entry.extracting(try cursor.u8Prefixed(entry))
    if !subject.isEmpty { take(.subject, subject) }
    let actor = entry.extracting(try cursor.u16Prefixed(entry))
    if !actor.isEmpty {
      let text = Array(EntryText.escaped(actor.copied()).utf8)
      take(.actor, text.span)
    }
    _ = try cursor.u16Prefixed(entry)
    guard try !cursor.u16Prefixed(entry).isEmpty, let whole = try? AuditEntry(parsing: entry) else { return }
    for id in whole.itemKeys {
      let bytes = id.bytes
      take(.itemKey, bytes.span)
    }
  }
}

extension EntryFilter {
  /// The terms that an entry must have to be taken: of each set, one. Empty where an index is of no use.
  package var terms: [Set<IndexTerm>] {
    var terms: [Set<IndexTerm>] = []
    if let requestID, requestID != .zero { terms.append([IndexTerm(.requestID, requestID.bytes)]) }
    if let subject { terms.append([IndexTerm(.subject, subject.bytes)]) }
    if let actor, !actor.isEmpty { terms.append([IndexTerm(.actor, Array(actor.utf8))]) }
    if let keyName {
      terms.append(Set(keyIDs.map { IndexTerm(.itemKey, $0.bytes) } + [IndexTerm(.keyName, keyName.bytes)]))
    }
    if let tenant { terms.append([IndexTerm(.tenant, Array(tenant.utf8))]) }
    if let principal, !principal.isEmpty { terms.append([IndexTerm(.principal, principal)]) }
    return terms
  }

  /// The terms of the entries that tell which ids the key's name has; nil where no key is asked for.
  package var termsOfKeyIDs: [Set<IndexTerm>]? {
    guard let keyName else { return nil }
    let made = Set([IndexTerm(.keyMade, keyName.bytes)])
    return tenant.map { [made, [IndexTerm(.tenant, Array($0.utf8))]] } ?? [made]
  }
}
