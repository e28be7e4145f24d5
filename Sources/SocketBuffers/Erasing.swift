internal import CLinux
package import NIOCore

extension ByteBuffer {
  /// Erases the readable bytes where they lie.
  ///
  /// why: the pool of a channel holds a reference to its buffers, so that a write through the buffer's own methods
  /// would erase a copy.
  package func eraseInPlace() {
    unsafe withUnsafeReadableBytes { bytes in
      guard let base = bytes.baseAddress else { return }
      unsafe ch_wipe(UnsafeMutableRawPointer(mutating: base), bytes.count)
    }
  }

  /// Lends the readable bytes.
  package func withReadableSpan<Result>(_ body: (Span<UInt8>) -> Result) -> Result {
    unsafe withUnsafeReadableBytes { bytes in body(unsafe Span(_unsafeElements: bytes.assumingMemoryBound(to: UInt8.self))) }
  }

  /// Appends what `fill` writes into `count` bytes' room, in place.
  package mutating func append(roomFor count: Int, _ fill: (inout OutputRawSpan) -> Void) {
    unsafe writeWithUnsafeMutableBytes(minimumWritableBytes: count) { room in
      let room = unsafe UnsafeMutableRawBufferPointer(rebasing: room[..<count])
      var output = unsafe OutputRawSpan(buffer: room, initializedCount: 0)
      fill(&output)
      return unsafe output.finalize(for: room)
    }
  }
}

extension OutputRawSpan {
  /// Appends all bytes of an array, in one go.
  package mutating func append(_ bytes: [UInt8]) {
    unsafe withUnsafeMutableBytes { room, count in
      unsafe bytes.withUnsafeBytes { source in
        precondition(source.count <= room.count - count, "room was made for it")
        guard let from = source.baseAddress, let to = room.baseAddress else { return }
        unsafe to.advanced(by: count).copyMemory(from: from, byteCount: source.count)
        count += source.count
      }
    }
  }
}
