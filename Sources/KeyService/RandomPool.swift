internal import ChatelainePrimitives
internal import ChatelaineVocabulary

/// Random bytes for the requests that are being answered: one getrandom(2) for several, and none kept over a
/// wait, because a clone of the machine would draw them again.
struct RandomPool {
  private static let drawsMax = 64

  private var bytes: [UInt8] = []
  private var next = 0
  /// Draws of the next call: doubles while work goes on.
  private var draws = 1

  mutating func identifier() -> Identifier {
    let start = take(Identifier.byteCount)
    var cursor = ByteCursor(at: start)
    guard let id = try? cursor.identifier(bytes.span) else { preconditionFailure("16 bytes were taken") }
    return id
  }

  mutating func salt() -> InlineArray<24, UInt8> {
    let start = take(CommittingAEAD.saltByteCount)
    var salt = InlineArray<24, UInt8>(repeating: 0)
    for index in salt.indices { salt[index] = bytes[start + index] }
    return salt
  }

  /// Forgets what is left.
  mutating func scrub() {
    bytes = []
    next = 0
    draws = 1
  }

  private mutating func take(_ count: Int) -> Int {
    if bytes.count - next < count {
      bytes = SecureRandom.bytes(count * draws)
      next = 0
      draws = min(draws * 2, Self.drawsMax)
    }
    defer { next += count }
    return next
  }
}
