internal import ChatelaineVocabulary

/// File names in a log's directory.
package enum LogNames {
  /// The next segment while it is being filled: trusted by nobody.
  static let spare = "spare"
  /// The tree at the newest segment's first entry: derived, checked against the segment's header.
  static let tree = "tree"
  static let quarantine = "quarantine"
  /// Of the first epoch: hashes of subtrees, for proofs, which are derived and trusted by nobody.
  static let nodes = "nodes"
  /// All tenants' histories at some size: derived, trusted by nobody.
  static let tenants = "tenants"
  /// Of the first epoch: the newest head, twice in turn; and every head that was published.
  package static let head = "head"
  package static let heads = "heads"
  /// A tear that the log does not note yet: derived, trusted by nobody.
  static let tear = "tear"

  package static func epoch(_ epoch: UInt32) -> String { "epoch-" + padded(UInt64(epoch), 6) }

  /// What is made ready and gets its name once the key store knows of it.
  static func prepared(_ name: String) -> String { name + ".new" }

  static func nodes(_ epoch: UInt32) -> String { ofEpoch(nodes, epoch) }
  package static func head(_ epoch: UInt32) -> String { ofEpoch(head, epoch) }
  package static func heads(_ epoch: UInt32) -> String { ofEpoch(heads, epoch) }

  private static func ofEpoch(_ name: String, _ epoch: UInt32) -> String {
    epoch == 1 ? name : "\(name)-\(padded(UInt64(epoch), 6))"
  }

  /// The epochs that heads lie beside the log of.
  static func epochsOfHeads(_ names: [String]) -> Set<UInt32> {
    Set(
      names.compactMap { name in
        if name == head || name == heads { return 1 }
        let number = name.hasPrefix("head-") ? name.dropFirst(5) : name.hasPrefix("heads-") ? name.dropFirst(6) : ""
        guard let epoch = UInt32(number), (2..<(1 << 15)).contains(epoch), [self.head(epoch), self.heads(epoch)].contains(name) else { return nil }
        return epoch
      })
  }

  package static func segment(epoch: UInt32, _ number: UInt64) -> String {
    "\(padded(UInt64(epoch), 6))-\(padded(number, 10)).seg"
  }

  /// Where the bytes of an interrupted write go.
  static func quarantine(of segment: UInt64, at offset: UInt64, _ time: WallTime) -> String {
    quarantinePrefix(segment, offset) + String(time.nanoseconds)
  }

  static func isQuarantine(_ name: String, of segment: UInt64, at offset: UInt64) -> Bool {
    let prefix = quarantinePrefix(segment, offset)
    return name.hasPrefix(prefix) && UInt64(name.dropFirst(prefix.count)) != nil
  }

  private static func quarantinePrefix(_ segment: UInt64, _ offset: UInt64) -> String {
    "\(quarantine)/segment-\(segment)-at-\(offset)-"
  }

  /// The epoch that a file name stands for, or nil.
  static func parseEpoch(_ name: String) -> UInt32? {
    guard name.hasPrefix("epoch-"), let epoch = UInt32(name.dropFirst(6)), self.epoch(epoch) == name else { return nil }
    return epoch
  }

  /// The epoch and number that a segment's file name stands for, or nil.
  static func parseSegment(_ name: String) -> (epoch: UInt32, number: UInt64)? {
    guard name.hasSuffix(".seg"), let dash = name.firstIndex(of: "-"),
      let epoch = UInt32(name[..<dash]), let number = UInt64(name[name.index(after: dash)...].dropLast(4)),
      segment(epoch: epoch, number) == name
    else { return nil }
    return (epoch, number)
  }

  /// The epoch that a descriptor or a segment belongs to, by its name; nil for any other file.
  static func epochNumber(_ name: String) -> UInt32? { parseEpoch(name) ?? parseSegment(name)?.epoch }

  private static func padded(_ number: UInt64, _ width: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }
}
