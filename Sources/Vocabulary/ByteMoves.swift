/// Words and runs of bytes moved in one go, each behind one check of its bounds: the only file of this room that
/// touches memory by pointer.

extension Span<UInt8> {
  /// The big-endian number at `offset`; outside the bytes is a bug of the caller.
  @inlinable @inline(__always)
  package func bigEndian<Word: FixedWidthInteger & BitwiseCopyable>(at offset: Int, as type: Word.Type) -> Word {
    precondition(offset >= 0 && offset <= count - MemoryLayout<Word>.size, "a number lies within the bytes")
    return unsafe withUnsafeBytes { bytes in
      unsafe Word(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Word.self))
    }
  }

  /// Whether these bytes are exactly `other`. Not constant-time.
  package func equals(_ other: [UInt8]) -> Bool {
    guard count == other.count else { return false }
    let (mine, theirs) = (self, other.span)
    var offset = 0
    while offset + 8 <= count {
      guard mine.bigEndian(at: offset, as: UInt64.self) == theirs.bigEndian(at: offset, as: UInt64.self) else {
        return false
      }
      offset += 8
    }
    while offset < count {
      guard mine[offset] == theirs[offset] else { return false }
      offset += 1
    }
    return true
  }

  package func copied() -> [UInt8] {
    unsafe withUnsafeBufferPointer { unsafe Array($0) }
  }
}

extension MutableSpan<UInt8> {
  /// Writes a big-endian number at `offset`; outside the bytes is a bug of the caller.
  @inlinable @inline(__always)
  package mutating func put<Word: FixedWidthInteger & BitwiseCopyable>(_ value: Word, at offset: Int) {
    precondition(offset >= 0 && offset <= count - MemoryLayout<Word>.size, "a number lies within the bytes")
    unsafe withUnsafeMutableBytes { bytes in
      unsafe bytes.storeBytes(of: value.bigEndian, toByteOffset: offset, as: Word.self)
    }
  }

  /// Writes a digest at `offset`.
  package mutating func put(_ digest: Digest, at offset: Int) {
    let words = digest.words
    put(words.0, at: offset)
    put(words.1, at: offset + 8)
    put(words.2, at: offset + 16)
    put(words.3, at: offset + 24)
  }

  /// Copies public bytes to `offset`; outside the bytes is a bug of the caller.
  @inlinable
  package mutating func put(copying source: Span<UInt8>, at offset: Int) {
    precondition(offset >= 0 && source.count <= count - offset, "a run lies within the bytes")
    unsafe withUnsafeMutableBytes { bytes in
      unsafe source.withUnsafeBytes { source in
        guard let from = source.baseAddress, let to = bytes.baseAddress else { return }
        unsafe to.advanced(by: offset).copyMemory(from: from, byteCount: source.count)
      }
    }
  }
}

extension OutputRawSpan {
  /// Appends a big-endian number; no room for it is a bug of the caller.
  @inlinable @inline(__always)
  package mutating func append<Word: FixedWidthInteger & BitwiseCopyable>(bigEndian value: Word) {
    precondition(MemoryLayout<Word>.size <= freeCapacity, "room was made for a number")
    unsafe withUnsafeMutableBytes { bytes, count in
      unsafe bytes.storeBytes(of: value.bigEndian, toByteOffset: count, as: Word.self)
      count += MemoryLayout<Word>.size
    }
  }

  package mutating func append(_ digest: Digest) {
    let words = digest.words
    append(bigEndian: words.0)
    append(bigEndian: words.1)
    append(bigEndian: words.2)
    append(bigEndian: words.3)
  }

  package mutating func append(_ identifier: Identifier) {
    append(bigEndian: identifier.high)
    append(bigEndian: identifier.low)
  }

  /// Appends a run of bytes; no room for it is a bug of the caller.
  @inlinable
  package mutating func append(copying source: Span<UInt8>) {
    precondition(source.count <= freeCapacity, "room was made for a run")
    unsafe withUnsafeMutableBytes { bytes, count in
      unsafe source.withUnsafeBytes { source in
        guard let from = source.baseAddress, let to = bytes.baseAddress else { return }
        unsafe to.advanced(by: count).copyMemory(from: from, byteCount: source.count)
      }
      count += source.count
    }
  }
}
