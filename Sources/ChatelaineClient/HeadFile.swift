internal import Glibc
internal import NIOCore
internal import NIOPosix

/// Keeps the newest head in a file: whole and durable, or as it was.
///
/// The directory must be there. Beside the file, one whose name ends in `.new` is written and put in its place.
public struct HeadFile: HeadStore {
  private static let byteCountMax = 65_536
  private let path: String

  /// A file that this program may read and write, and the service's user best may not.
  public init(path: String) { self.path = path }

  public func load() async throws -> [UInt8]? {
    let files = NonBlockingFileIO(threadPool: .singleton)
    do {
      return try await files.withFileHandle(path: path, mode: .read) { file in
        let bytes = try await files.read(fileHandle: file, byteCount: Self.byteCountMax + 1, allocator: .init())
        return Array(bytes.readableBytesView)
      }
    } catch let error as IOError where error.errnoCode == ENOENT { return nil }
  }

  public func save(_ head: [UInt8]) async throws {
    let files = NonBlockingFileIO(threadPool: .singleton)
    // why: two connections of one program may save at once.
    let new = "\(path).\(UInt32.random(in: 0 ... .max)).new"
    do {
      let flags = NIOFileHandle.Flags.posix(flags: O_CREAT | O_EXCL, mode: 0o600)
      try await files.withFileHandle(path: new, mode: .write, flags: flags) { file in
        try await files.write(fileHandle: file, buffer: ByteBuffer(bytes: head))
        try await Self.sync(file)
      }
      try await files.rename(path: new, newName: path)
    } catch {
      try? await files.unlink(path: new)
      throw error
    }
    let slash = path.lastIndex(of: "/")
    let above = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    try await files.withFileHandle(path: above, mode: .read) { try await Self.sync($0) }
  }

  private static func sync(_ file: NIOFileHandle) async throws {
    try await NIOThreadPool.singleton.runIfActive {
      try file.withUnsafeFileDescriptor { descriptor in
        guard fsync(descriptor) == 0 else { throw IOError(errnoCode: errno, reason: "fsync") }
      }
    }
  }
}
