/// How a log is read by several threads: a segment in pieces, each checked by itself, and joined in order.
package struct ReadAhead: Sendable {
  package static let threadsMax = 16
  /// Pieces that are read and not joined yet, for each thread: bounds the memory.
  static let piecesPerThread = 3

  /// With the one that asks.
  let threads: Int
  /// A piece has so many bytes, or one frame.
  let pieceBytes: Int

  package init(threads: Int, pieceBytes: Int = 2 << 20) {
    self.threads = min(max(1, threads), Self.threadsMax)
    self.pieceBytes = max(1, pieceBytes)
  }

  var piecesMax: Int { Self.piecesPerThread * threads }
}
