package import ChatelaineVocabulary

/// Why a text is not a pattern of names.
package enum InvalidPattern: Error, Equatable {
  /// What stands before the star, or the whole, is no name.
  case name(InvalidName)
  /// A star is the last character or none.
  case star
}

/// Which names of tenants or keys a rule is about: `acme`, `acme-*`, or `*` for all.
package struct NamePattern: Hashable, Sendable {
  /// Every name.
  package static let any = NamePattern(bytes: [], isPrefix: true)

  private let bytes: [UInt8]
  private let isPrefix: Bool

  private init(bytes: [UInt8], isPrefix: Bool) {
    self.bytes = bytes
    self.isPrefix = isPrefix
  }

  package init(_ text: String) throws(InvalidPattern) {
    let star = UInt8(ascii: "*")
    var bytes = Array(text.utf8)
    let isPrefix = bytes.last == star
    if isPrefix { bytes.removeLast() }
    guard !bytes.contains(star) else { throw .star }
    if !isPrefix || !bytes.isEmpty {
      do throws(InvalidName) { _ = try KeyName(bytes.span) } catch { throw .name(error) }
    }
    self.init(bytes: bytes, isPrefix: isPrefix)
  }

  package func matches(_ name: [UInt8]) -> Bool {
    guard isPrefix ? name.count >= bytes.count : name.count == bytes.count else { return false }
    for index in bytes.indices where name[index] != bytes[index] { return false }
    return true
  }
}
