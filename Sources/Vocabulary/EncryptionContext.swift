/// The caller's non-secret map: authenticated, never encrypted, matched byte for byte.
///
/// Held sorted by key, bytewise, without duplicates: one encoding for each value.
package struct EncryptionContext: Hashable, Sendable {
  package struct Pair: Hashable, Sendable {
    package let key: [UInt8]
    package let value: [UInt8]

    package init(key: [UInt8], value: [UInt8]) {
      self.key = key
      self.value = value
    }
  }

  package enum Invalid: Error, Equatable {
    case tooManyPairs
    case keyLength
    case valueLength
    case duplicateKey
  }

  package static let empty = EncryptionContext(sorted: [])

  package let pairs: [Pair]

  private init(sorted: [Pair]) { pairs = sorted }

  /// Sorts the pairs; refuses duplicates and what is over the bounds of `Limits`.
  package init(_ pairs: [Pair]) throws(Invalid) {
    guard pairs.count <= Limits.contextPairsMax else { throw .tooManyPairs }
    for pair in pairs {
      guard (1...Limits.contextKeyBytesMax).contains(pair.key.count) else { throw .keyLength }
      guard pair.value.count <= Limits.contextValueBytesMax else { throw .valueLength }
    }
    guard pairs.count > 1 else {
      self.init(sorted: pairs)
      return
    }
    let sorted = pairs.sorted { $0.key.lexicographicallyPrecedes($1.key) }
    for (a, b) in zip(sorted, sorted.dropFirst()) where a.key == b.key { throw .duplicateKey }
    self.init(sorted: sorted)
  }
}
