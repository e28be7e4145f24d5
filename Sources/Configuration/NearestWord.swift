/// The word of a list that somebody may have meant, or nil where none is near.
func nearest(to word: String, of valid: [String]) -> String? {
  guard word.utf8.count <= 64 else { return nil }
  let ranked = valid.map { (distance: editDistance(Array(word.utf8), Array($0.utf8)), word: $0) }
  guard let best = ranked.min(by: { $0.distance < $1.distance }) else { return nil }
  return best.distance <= max(2, best.word.utf8.count / 2) ? best.word : nil
}

/// Single bytes added, left out, replaced or, side by side, swapped.
private func editDistance(_ a: [UInt8], _ b: [UInt8]) -> Int {
  var older: [Int] = []
  var row = Array(0...b.count)
  for i in a.indices {
    var next = [i + 1]
    for j in b.indices {
      var cost = min(row[j] + (a[i] == b[j] ? 0 : 1), row[j + 1] + 1, next[j] + 1)
      if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { cost = min(cost, older[j - 1] + 1) }
      next.append(cost)
    }
    (older, row) = (row, next)
  }
  return row[b.count]
}
