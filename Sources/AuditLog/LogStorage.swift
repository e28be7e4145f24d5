internal import CLinux

/// A storage call that failed.
package struct StorageFailure: Error, Equatable, Sendable {
  package enum Call: String, Sendable {
    case open, create, read, write, sync, truncate, rename, remove, list, lock
    /// What is there may be written by others than the service.
    case place
  }

  /// Of a place: why others may write there.
  package enum Place: Equatable, Sendable {
    case owner(UInt32, ours: UInt32)
    case mode(UInt32)
  }

  package let call: Call
  package let path: String
  package let errno: Int32
  /// Of a lock: the process that has it, 0 where that is not known.
  package let holder: Int32
  /// nil but for `place`.
  package let place: Place?

  package init(_ call: Call, path: String, errno: Int32, holder: Int32 = 0) {
    self.call = call
    self.path = path
    self.errno = errno
    self.holder = holder
    place = nil
  }

  package init(_ place: Place, path: String) {
    call = .place
    self.path = path
    errno = 0
    holder = 0
    self.place = place
  }

  /// Whether it is a matter of permissions, and not of the disk.
  package var isOfPermission: Bool { place != nil || errno == 13 || errno == 1 }

  /// What is wrong, in words.
  package var reason: String {
    switch (call, errno) {
    case (.place, _): place?.words ?? ""
    case (.open, 40): "it is a symbolic link: put the file itself there"
    case (.open, 22): "it is no regular file: put the file itself there"
    default: unsafe String(cString: ch_error_text(errno))
    }
  }
}

extension StorageFailure.Place {
  fileprivate var words: String {
    switch self {
    case .owner(let owner, let ours):
      "it belongs to uid \(owner), and this process is uid \(ours): chown it, or run as its owner"
    case .mode(let mode): "it has mode 0\(String(mode, radix: 8)) and lets others write: chmod go-w"
    }
  }
}

/// The directory of a log, as the writer and its recovery use it: files on a disk, or a simulated disk
/// that loses what was not synced.
package protocol LogStorage: Sendable {
  /// For messages.
  var path: String { get }
  func list() throws(StorageFailure) -> [String]
  func open(_ name: String, forWriting: Bool) throws(StorageFailure) -> any LogFile
  /// Makes a new file; fails where there is one.
  func create(_ name: String) throws(StorageFailure) -> any LogFile
  /// Renames; fails where the new name is taken.
  func rename(_ name: String, to newName: String) throws(StorageFailure)
  func remove(_ name: String) throws(StorageFailure)
  /// Makes names durable, those in quarantine too.
  func syncDirectory() throws(StorageFailure)
  /// Sector size below which a write is whole or not there; 512 or 4096.
  var sectorBytes: Int { get }
}

/// One file of a log.
package protocol LogFile: AnyObject, Sendable {
  func size() throws(StorageFailure) -> UInt64
  /// Up to `count` bytes; fewer only at the file's end, none where no file reaches.
  func read(at offset: UInt64, count: Int) throws(StorageFailure) -> [UInt8]
  /// All of the bytes, or a failure after which any part of them may be there.
  func write(_ bytes: Span<UInt8>, at offset: UInt64) throws(StorageFailure)
  /// Makes content (and size, where it changed) durable. Never called again after it failed.
  func sync() throws(StorageFailure)
  func truncate(to size: UInt64) throws(StorageFailure)
  /// Whether the file still has its name.
  func isLinked() throws(StorageFailure) -> Bool
}
