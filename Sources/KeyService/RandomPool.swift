internal import ChatelainePrimitives
internal import ChatelaineVocabulary

/// Random bytes for the requests that are being answered: one getrandom(2) for several, and none kept over a
/// wait, because a clone of the machine would draw them again.
struct RandomPool {
  private static let bytesMax = 4096

  private var bytes: [UInt8] = []
  private var next = 0
  /// Bytes that were used since the last wait, and before it: as many are drawn at once the next time.
  private var used = 0
  private var usedBefore = 0

  mutating func identifier() -> Identifier {
    var cursor = ByteCursor(at: take(Identifier.byteCount))
    guard let id = try? cursor.identifier(bytes.span) else { preconditionFailure("16 bytes were taken") }
    return id
  }

  mutating func salt() -> InlineArray<24, UInt8> {
    let start = take(CommittingAEAD.saltByteCount)
    var salt = InlineArray<24, UInt8>(repeating: 0)
    var span = salt.mutableSpan
    span.put(copying: bytes.span.extracting(start..<start + CommittingAEAD.saltByteCount), at: 0)
    return salt
  }

  /// Forgets what is left.
  mutating func scrub() {
    bytes.removeAll(keepingCapacity: true)
    next = 0
    (used, usedBefore) = (0, used)
  }

  private mutating func take(_ count: Int) -> Int {
    if bytes.count - next < count {
      let drawn = min(max(count, used, usedBefore - used), Self.bytesMax)
      SecureRandom.fill(&bytes, count: drawn)
      next = 0
    }
    defer { next += count }
    used += count
    return next
  }
}
