/// What the command line asks for.
struct DrillOptions {
  enum Mode {
    case append(String)
    case verify(String)
    case list(String)
  }

  var mode: Mode
  var creates = false
  var threads = 8
  /// Entries in all, or nil for as long as it takes.
  var entries: Int?
  var seconds: Int?
  var segmentBytes: UInt64?
  var firstSegmentBytes: UInt64?

  /// Nil where the arguments are not understood.
  init?(_ arguments: some Sequence<String>) {
    var mode: Mode?
    var rest = Array(arguments)[...]
    func number(_ text: String?) -> Int? { text.flatMap { Int($0) } }
    while let option = rest.popFirst() {
      if option == "--create" {
        creates = true
        continue
      }
      guard let value = rest.popFirst() else { return nil }
      switch option {
      case "--log": mode = .append(value)
      case "--verify": mode = .verify(value)
      case "--list": mode = .list(value)
      case "--threads": threads = number(value) ?? 0
      case "--entries": entries = number(value)
      case "--seconds": seconds = number(value)
      case "--segment-bytes": segmentBytes = UInt64(value)
      case "--first-segment-bytes": firstSegmentBytes = UInt64(value)
      default: return nil
      }
    }
    guard let mode, (1...64).contains(threads) else { return nil }
    self.mode = mode
  }
}
