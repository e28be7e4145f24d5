internal import ChatelainePrimitives
package import ChatelaineVocabulary

/// What log or key store lack of what is known to have been there, as a refusal prints it and an acknowledgement names it:
/// `log:1/104-1/119,store:5-7,9f3c21ab`.
///
/// The last part stands for the exact state of log, store and heads that it was reckoned from, so that nobody
/// acknowledges what has changed since.
package struct LostRange: Equatable, Sendable {
  /// Entries of the log: from the first that is not there to the last that is known of.
  package let entries: ClosedRange<EntryPlace>?
  /// Generations of the store: from the one behind its own to the last that the log names.
  package let generations: ClosedRange<UInt64>?
  /// 8 hexadecimal digits.
  package let check: String

  /// `state` is every byte that the two ranges were reckoned from.
  package init(entries: ClosedRange<EntryPlace>?, generations: ClosedRange<UInt64>?, of state: [UInt8]) {
    self.entries = entries
    self.generations = generations
    let hash = SHA256.hash(Array("chatelaine/v1/lost-range".utf8) + [0] + state)
    check = String(hash.hex.prefix(Self.checkLength))
  }

  private static let checkLength = 8

  /// nil for what is none, and for another spelling of one.
  package init?(_ text: String) {
    var parts = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    guard let check = parts.popLast(), check.utf8.count == Self.checkLength,
      check.utf8.allSatisfy("0123456789abcdef".utf8.contains)
    else { return nil }
    var entries: ClosedRange<EntryPlace>?
    var generations: ClosedRange<UInt64>?
    for part in parts {
      if part.hasPrefix("log:") {
        entries = Self.range(part.dropFirst(4)) { EntryPlace($0) }
      } else if part.hasPrefix("store:") {
        generations = Self.range(part.dropFirst(6)) { UInt64($0) }
      }
    }
    (self.entries, self.generations, self.check) = (entries, generations, check)
    guard !parts.isEmpty, self.text == text else { return nil }
  }

  private static func range<Bound: Comparable>(
    _ text: Substring, _ bound: (Substring) -> Bound?
  ) -> ClosedRange<Bound>? {
    let ends = text.split(separator: "-", omittingEmptySubsequences: false)
    guard ends.count == 2, let low = bound(ends[0]), let high = bound(ends[1]), low <= high else { return nil }
    return low...high
  }

  package var text: String {
    var parts: [String] = []
    if let entries { parts.append("log:\(entries.lowerBound.text)-\(entries.upperBound.text)") }
    if let generations { parts.append("store:\(generations.lowerBound)-\(generations.upperBound)") }
    return (parts + [check]).joined(separator: ",")
  }

  /// In a sentence.
  package var words: String {
    var parts: [String] = []
    if let entries { parts.append("entries \(entries.lowerBound.text) to \(entries.upperBound.text) of the log") }
    if let generations {
      parts.append("changes \(generations.lowerBound) to \(generations.upperBound) of the key store")
    }
    return parts.joined(separator: " and ")
  }
}
