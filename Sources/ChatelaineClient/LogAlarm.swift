/// That the service's log is not, or cannot be shown to be, the one it was: an older copy was put back, it was cut, or
/// written anew.
///
/// `kept` and `found`, where both hold under the key, are what proves it to anybody: keep them, and show them to whoever
/// runs the service.
public struct LogAlarm: Equatable, Sendable, CustomStringConvertible {
  /// What is wrong.
  public enum Kind: Hashable, Sendable {
    /// The log has fewer entries than it had: cut, or an older copy was put back.
    case shorter
    /// No one log has both heads, or the service cannot show that one does.
    case forked
    /// The heads are of different epochs of one log. A new epoch begins when an operator lets an older log go on: what
    /// came behind the last entry that both have is lost, from somewhere below the kept head's entries on.
    case otherEpoch
    /// The service has no head that holds under the key.
    case notSigned
    /// The head that was kept does not hold under the key: what keeps it was changed, or the key was.
    case keptHead
    /// What stands in the log in a receipt's place is not its entry.
    case receipt
  }

  /// What is wrong.
  public let kind: Kind
  /// The signed note that was kept; nil where there is none.
  public let kept: [UInt8]?
  /// The signed note, or the proof, that the service gave; nil where it gave none.
  public let found: [UInt8]?
  /// Entries of the kept head that the found one does not cover; nil where that cannot be told. In another epoch these
  /// are those that may be lost.
  public let missing: Range<UInt64>?
  /// One sentence for a person.
  public let sentence: String

  /// What is wrong, in one line.
  public var description: String { "\(kind): \(sentence)" }
}

/// What a program does about an alarm.
public enum AlarmAnswer: Hashable, Sendable {
  /// The call, or the connecting, fails with ``ClientError/Code/logAlarm``.
  case stop
  /// It goes on, and the kept head stays: the next connection raises the alarm again.
  case goOn
  /// It goes on, and the service's head is kept from now on in place of the older one: for what an operator did and
  /// told you. A head that does not hold under the key is never kept: there it is the same as ``stop``.
  case accept
}
