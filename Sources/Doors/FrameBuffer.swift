internal import CLinux
internal import ChatelaineWire
internal import NIOCore

/// What came in on a connection and is not answered yet; it may be plaintext.
///
/// Memory of the connection's own: a read is moved here and erased where it was, a frame is erased as soon as it is
/// done. Grows to one frame of the largest size and one read, never more.
@safe struct FrameBuffer: ~Copyable {
  static let countMax = TtrpcFrame.headerByteCount + TtrpcFrame.messageBytesMax + readBytesMax
  static let readBytesMax = 256 << 10
  private static let smallBytes = 16 << 10

  private var base: UnsafeMutableRawPointer
  private var capacity: Int
  private var start = 0
  private var end = 0

  init() {
    capacity = Self.smallBytes
    unsafe base = .allocate(byteCount: capacity, alignment: 16)
  }

  deinit {
    unsafe ch_wipe(base, end)
    unsafe base.deallocate()
  }

  var count: Int { end - start }

  /// Moves a read in, and erases it in the channel's own pool.
  mutating func take(_ read: ByteBuffer) {
    makeRoom(for: read.readableBytes)
    unsafe read.withUnsafeReadableBytes { bytes in
      guard let source = bytes.baseAddress else { return }
      unsafe base.advanced(by: end).copyMemory(from: source, byteCount: bytes.count)
    }
    end += read.readableBytes
    read.eraseInPlace()
  }

  /// Lends what is not answered yet.
  func withBytes<Result>(_ body: (Span<UInt8>) -> Result) -> Result {
    let bytes = unsafe UnsafeBufferPointer(
      start: base.advanced(by: start).assumingMemoryBound(to: UInt8.self), count: count)
    return unsafe body(Span(_unsafeElements: bytes))
  }

  /// Erases the first `count` bytes: their frame is done.
  mutating func drop(_ count: Int) {
    unsafe ch_wipe(base.advanced(by: start), count)
    start += count
    guard start == end else { return }
    (start, end) = (0, 0)
    if capacity > 16 * Self.smallBytes { replace(capacity: Self.smallBytes) }
  }

  private mutating func makeRoom(for count: Int) {
    guard capacity - end < count else { return }
    precondition(self.count + count <= Self.countMax, "a connection reads no further than one frame")
    if capacity - self.count >= count, self.count <= capacity / 2 { return moveToFront() }
    var larger = capacity * 2
    while larger - self.count < count { larger *= 2 }
    replace(capacity: larger)
  }

  private mutating func moveToFront() {
    let moved = count
    unsafe base.copyMemory(from: base.advanced(by: start), byteCount: moved)
    unsafe ch_wipe(base.advanced(by: moved), end - moved)
    (start, end) = (0, moved)
  }

  private mutating func replace(capacity larger: Int) {
    let moved = count
    let fresh = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 16)
    unsafe fresh.copyMemory(from: base.advanced(by: start), byteCount: moved)
    unsafe ch_wipe(base, end)
    unsafe base.deallocate()
    unsafe base = fresh
    (capacity, start, end) = (larger, 0, moved)
  }
}

extension ByteBuffer {
  /// Erases the readable bytes where they lie.
  ///
  /// why: the pool of a channel holds a reference to its buffers, so that a write through the buffer's own methods
  /// would erase a copy.
  func eraseInPlace() {
    unsafe withUnsafeReadableBytes { bytes in
      guard let base = bytes.baseAddress else { return }
      unsafe ch_wipe(UnsafeMutableRawPointer(mutating: base), bytes.count)
    }
  }

  /// Appends what `fill` writes into `count` bytes' room, in place.
  mutating func append(roomFor count: Int, _ fill: (inout OutputRawSpan) -> Void) {
    unsafe writeWithUnsafeMutableBytes(minimumWritableBytes: count) { room in
      let room = unsafe UnsafeMutableRawBufferPointer(rebasing: room[..<count])
      var output = unsafe OutputRawSpan(buffer: room, initializedCount: 0)
      fill(&output)
      return unsafe output.finalize(for: room)
    }
  }
}
