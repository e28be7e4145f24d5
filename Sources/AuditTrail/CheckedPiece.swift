internal import ChatelaineVocabulary

/// Whole frames of a segment that were checked by themselves, from the numbers and the link that they claim to begin with.
package struct CheckedPiece: Sendable {
  /// Where a chain stands between two frames.
  struct Standing: Sendable {
    let nextFrame: UInt64
    let nextSequence: UInt64
    let previousLeaf: Digest
    let lastIncarnation: UInt32

    func goesOn(from other: Standing) -> Bool {
      nextFrame == other.nextFrame && nextSequence == other.nextSequence && previousLeaf == other.previousLeaf
    }
  }

  let start: Standing
  var end: Standing
  /// Where the first frame begins in the file.
  let offset: UInt64
  private(set) var tree: TreeRun
  private(set) var leaves: [Digest] = []
  /// Where the entries lie in the piece.
  package private(set) var entries: [Range<Int>] = []

  init(_ start: Standing, offset: UInt64) {
    (self.start, end, self.offset) = (start, start, offset)
    tree = TreeRun(first: start.nextSequence)
  }

  /// Takes an entry of the frame at `offset`, with its place in the frame's body.
  mutating func take(_ leaf: Digest, _ range: Range<Int>, offset: UInt64) {
    tree.append(leaf)
    leaves.append(leaf)
    let start = Int(offset - self.offset) + Frame.headerByteCount + range.lowerBound
    entries.append(start..<start + range.count)
  }
}
