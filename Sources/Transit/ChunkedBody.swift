/// A body in chunks (RFC 9112 §7.1), put together where it lies. Extensions of chunks and trailers are refused.
package struct ChunkedBody: Sendable, Equatable {
  package enum Progress: Sendable, Equatable {
    /// The first so many bytes are kept, and more has to come.
    case more(kept: Int)
    /// The body is the first `count` bytes; behind them is what came after it, up to `kept`.
    case done(count: Int, kept: Int)
    case malformed
    case tooLong
  }

  private enum Part { case size, data, dataEnd, last }

  private let countMax: Int
  private var part = Part.size
  /// Of the body, at the front.
  private var count = 0
  /// Of the chunk that has begun.
  private var left = 0

  package init(countMax: Int) { self.countMax = countMax }

  /// Takes what is here, of which the first bytes are those that were kept.
  package mutating func advance(_ bytes: inout MutableSpan<UInt8>) -> Progress {
    var at = count
    while true {
      switch part {
      case .data:
        let here = min(left, bytes.count - at)
        move(&bytes, from: at, here)
        (at, count, left) = (at + here, count + here, left - here)
        guard left == 0 else { return keep(&bytes, from: at) }
        part = .dataEnd
      case .dataEnd:
        guard bytes.count - at >= 2 else { return keep(&bytes, from: at) }
        guard bytes[at] == 13, bytes[at + 1] == 10 else { return .malformed }
        at += 2
        part = .size
      case .size:
        guard let (size, after) = line(bytes, at) else { return .malformed }
        guard let size else { return keep(&bytes, from: at) }
        guard size <= countMax - count else { return .tooLong }
        at = after
        left = size
        part = size == 0 ? .last : .data
      case .last:
        guard bytes.count - at >= 2 else { return keep(&bytes, from: at) }
        guard bytes[at] == 13, bytes[at + 1] == 10 else { return .malformed }
        guard case .more(let kept) = keep(&bytes, from: at + 2) else { return .malformed }
        return .done(count: count, kept: kept)
      }
    }
  }

  /// A chunk's size and where its bytes begin; no size where the line is not whole, nil where it is none.
  private func line(_ bytes: borrowing MutableSpan<UInt8>, _ start: Int) -> (size: Int?, after: Int)? {
    var (at, size) = (start, 0)
    while at < bytes.count, let digit = hexadecimalDigit(bytes[at]) {
      guard at - start < 8 else { return nil }
      size = size << 4 | digit
      at += 1
    }
    guard at < bytes.count else { return (nil, at) }
    guard at > start, bytes[at] == 13 else { return nil }
    guard at + 1 < bytes.count else { return (nil, at) }
    return bytes[at + 1] == 10 ? (size, at + 2) : nil
  }

  /// Closes the gap before what is not taken yet.
  private func keep(_ bytes: inout MutableSpan<UInt8>, from at: Int) -> Progress {
    move(&bytes, from: at, bytes.count - at)
    return .more(kept: count + bytes.count - at)
  }

  private func move(_ bytes: inout MutableSpan<UInt8>, from at: Int, _ byteCount: Int) {
    guard at != count else { return }
    for offset in 0..<byteCount { bytes[count + offset] = bytes[at + offset] }
  }
}

private func hexadecimalDigit(_ byte: UInt8) -> Int? {
  switch byte {
  case UInt8(ascii: "0")...UInt8(ascii: "9"): Int(byte - UInt8(ascii: "0"))
  case UInt8(ascii: "a")...UInt8(ascii: "f"): Int(byte - UInt8(ascii: "a")) + 10
  case UInt8(ascii: "A")...UInt8(ascii: "F"): Int(byte - UInt8(ascii: "A")) + 10
  default: nil
  }
}
