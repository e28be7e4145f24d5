internal import CLinux
internal import ChatelaineWire
package import NIOCore

/// What came in on a connection and is not taken yet; it may be plaintext.
///
/// Memory of the connection's own: a read is moved here and erased where it was, a frame is erased as soon as it is
/// done. Grows to one frame of the largest size and one read, never more.
@safe package struct FrameBuffer: ~Copyable {
  package static let countMax = TtrpcFrame.headerByteCount + TtrpcFrame.messageBytesMax + readBytesMax
  package static let readBytesMax = 256 << 10
  private static let smallBytes = 16 << 10
  private static let believedBytes = 64 << 10

  private var base: UnsafeMutableRawPointer
  private var capacity: Int
  private var start = 0
  private var end = 0

  package init() {
    capacity = Self.smallBytes
    unsafe base = .allocate(byteCount: capacity, alignment: 16)
  }

  deinit {
    unsafe ch_wipe(base, end)
    unsafe base.deallocate()
  }

  package var count: Int { end - start }

  /// Whether a read of so many bytes keeps within one frame and one read.
  package func hasRoom(for count: Int) -> Bool { self.count + count <= Self.countMax }

  /// Moves a read in, and erases it in the channel's own pool.
  package mutating func take(_ read: ByteBuffer) {
    makeRoom(for: read.readableBytes)
    unsafe read.withUnsafeReadableBytes { bytes in
      guard let source = bytes.baseAddress else { return }
      unsafe base.advanced(by: end).copyMemory(from: source, byteCount: bytes.count)
    }
    end += read.readableBytes
    read.eraseInPlace()
  }

  /// Lends what is not taken yet.
  package func withBytes<Result>(_ body: (Span<UInt8>) -> Result) -> Result {
    let bytes = unsafe UnsafeBufferPointer(
      start: base.advanced(by: start).assumingMemoryBound(to: UInt8.self), count: count)
    return unsafe body(Span(_unsafeElements: bytes))
  }

  /// Lends the first `count` bytes, to be changed where they lie.
  package mutating func withMutableBytes<Result>(_ count: Int, _ body: (inout MutableSpan<UInt8>) -> Result) -> Result {
    precondition(count <= self.count, "only what is here is lent")
    let bytes = unsafe UnsafeMutableBufferPointer(
      start: base.advanced(by: start).assumingMemoryBound(to: UInt8.self), count: count)
    var span = unsafe MutableSpan(_unsafeElements: bytes)
    return body(&span)
  }

  /// Erases all behind the first `count` bytes.
  package mutating func cut(to count: Int) {
    precondition(count <= self.count, "only what is here is erased")
    unsafe ch_wipe(base.advanced(by: start + count), self.count - count)
    end = start + count
  }

  /// Erases the first `count` bytes: their frame is done.
  package mutating func drop(_ count: Int) {
    unsafe ch_wipe(base.advanced(by: start), count)
    start += count
    guard start == end else { return }
    (start, end) = (0, 0)
  }

  /// Holds more memory than most connections ever need, and nothing in it.
  package var isLargeAndEmpty: Bool { count == 0 && capacity > 16 * Self.smallBytes }

  /// Gives back what a large frame needed: for a connection that has been silent since.
  package mutating func shrink() {
    if isLargeAndEmpty { replace(capacity: Self.smallBytes) }
  }

  private mutating func makeRoom(for count: Int) {
    precondition(hasRoom(for: count), "a connection reads no further than one frame")
    guard capacity - end < count else { return }
    if capacity - self.count >= count, self.count <= capacity / 2 { return moveToFront() }
    var larger = capacity * 2
    while larger - self.count < count { larger *= 2 }
    replace(capacity: max(larger, expectedBytes))
  }

  /// What the frame that has begun will need, and a read behind it: grown to at once, but for a frame of which a good
  /// part is here. A caller that only says that it will send much gets nothing for it.
  private var expectedBytes: Int {
    guard count >= Self.believedBytes, let frame = withBytes({ try? TtrpcFrame($0) }) else { return 0 }
    guard frame.byteCount <= TtrpcFrame.messageBytesMax else { return 0 }
    return TtrpcFrame.headerByteCount + frame.byteCount + Self.readBytesMax
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
