internal import CLinux

/// Bytes on their way between a cipher and a reply that writes them in another form: erased after each use.
@safe package final class Scratch {
  /// What stays between two uses.
  private static let keptBytes = 16 << 10

  private var base: UnsafeMutableRawPointer
  private var capacity = keptBytes

  package init() { unsafe base = .allocate(byteCount: capacity, alignment: 16) }

  deinit { unsafe base.deallocate() }

  /// Has `fill` write at most `count` bytes, then lends them to `read`.
  package func use<Filled, Result>(
    roomFor count: Int, _ fill: (inout OutputRawSpan) -> Filled, read: (Filled, Span<UInt8>) -> Result
  ) -> Result {
    grow(to: count)
    let room = unsafe UnsafeMutableRawBufferPointer(start: base, count: count)
    var output = unsafe OutputRawSpan(buffer: room, initializedCount: 0)
    let filled = fill(&output)
    let written = unsafe output.finalize(for: room)
    // why: what a cipher wrote and took back again, too.
    defer { erase(count) }
    let bytes = unsafe UnsafeBufferPointer(start: base.assumingMemoryBound(to: UInt8.self), count: written)
    return unsafe read(filled, Span(_unsafeElements: bytes))
  }

  private func grow(to count: Int) {
    guard count > capacity else { return }
    unsafe base.deallocate()
    capacity = count
    unsafe base = .allocate(byteCount: capacity, alignment: 16)
  }

  private func erase(_ count: Int) {
    unsafe ch_wipe(base, count)
    guard capacity > Self.keptBytes else { return }
    unsafe base.deallocate()
    capacity = Self.keptBytes
    unsafe base = .allocate(byteCount: capacity, alignment: 16)
  }
}
