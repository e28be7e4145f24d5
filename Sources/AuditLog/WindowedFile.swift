/// Reads a file front to back through one window, so that memory stays bounded.
struct WindowedFile {
  private let windowBytes: Int
  private(set) var size: UInt64
  let file: any LogFile
  private var window: [UInt8] = []
  private var windowStart: UInt64 = 0

  init(_ file: any LogFile, windowBytes: Int = 4 << 20) throws(StorageFailure) {
    self.file = file
    self.windowBytes = windowBytes
    size = try file.size()
  }

  /// Forgets what was read: the file may have grown or changed.
  mutating func refresh() throws(StorageFailure) {
    size = try file.size()
    window = []
    windowStart = 0
  }

  /// Lends up to `count` bytes at `offset`; fewer only at the file's end.
  mutating func withBytes<Result, Failure: Error>(
    at offset: UInt64, count: Int, _ body: (Span<UInt8>) throws(Failure) -> Result
  ) throws(WindowError<Failure>) -> Result {
    var available = offset < size ? Int(min(UInt64(count), size - offset)) : 0
    if offset < windowStart || offset + UInt64(available) > windowStart + UInt64(window.count) {
      do throws(StorageFailure) {
        window = try file.read(at: offset, count: Int(min(UInt64(max(count, windowBytes)), size - min(offset, size))))
      } catch { throw .storage(error) }
      windowStart = offset
      if window.count < available {
        // A writer has cut the sealed file behind its last frame.
        size = offset + UInt64(window.count)
        available = window.count
      }
    }
    let start = Int(offset - windowStart)
    do throws(Failure) { return try body(window.span.extracting(start..<start + available)) } catch { throw .body(error) }
  }
}

enum WindowError<Failure: Error>: Error {
  case storage(StorageFailure)
  case body(Failure)
}
