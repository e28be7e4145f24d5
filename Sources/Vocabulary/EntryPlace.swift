/// The place of an entry in a log: sequences begin anew in each epoch.
package struct EntryPlace: Hashable, Sendable, Comparable {
  package let epoch: UInt32
  package let sequence: UInt64

  /// Bits of a sequence in `stored`: more entries than any log will have.
  private static let sequenceBits: UInt64 = 48
  private static let epochsMax: UInt64 = 1 << 15

  package init(epoch: UInt32, sequence: UInt64) {
    precondition(Self.isEpoch(epoch) && sequence >> Self.sequenceBits == 0, "a place in a log")
    self.epoch = epoch
    self.sequence = sequence
  }

  package static func isEpoch(_ number: UInt32) -> Bool { (1...epochsMax).contains(UInt64(number)) }

  /// As the key store has it, in a number below 2^63; any number is a place or would be one of an epoch that is none.
  package init(stored: UInt64) {
    epoch = UInt32(truncatingIfNeeded: (stored >> Self.sequenceBits) % Self.epochsMax) + 1
    sequence = stored & (1 << Self.sequenceBits - 1)
  }

  package var stored: UInt64 { UInt64(epoch - 1) << Self.sequenceBits | sequence }

  /// `epoch/sequence`, or nil for any other text.
  package init?(_ text: some StringProtocol) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2, let epoch = UInt32(parts[0]), let sequence = UInt64(parts[1]), Self.isEpoch(epoch),
      sequence >> Self.sequenceBits == 0
    else { return nil }
    self.init(epoch: epoch, sequence: sequence)
    guard self.text == text else { return nil }
  }

  package var text: String { "\(epoch)/\(sequence)" }

  package static func < (a: EntryPlace, b: EntryPlace) -> Bool { (a.epoch, a.sequence) < (b.epoch, b.sequence) }
}
