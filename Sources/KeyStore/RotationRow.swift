package import ChatelaineVocabulary

/// How far a rotation to a master version is. A row a rotation; it stays when the rotation is finished.
package struct RotationRow: Equatable, StoreRow {
  package let version: UInt32
  package let started: WallTime
  /// No tenant of a bucket below it is wrapped by another version.
  package internal(set) var cursor: UInt32
  /// Tenant roots so far.
  package internal(set) var rewrapped: UInt64
  /// nil while there may be rows to rewrap.
  package internal(set) var finished: WallTime?

  package init(version: UInt32, started: WallTime) {
    self.init(version: version, started: started, cursor: 0, rewrapped: 0, finished: nil)
  }

  init(version: UInt32, started: WallTime, cursor: UInt32, rewrapped: UInt64, finished: WallTime?) {
    self.version = version
    self.started = started
    self.cursor = cursor
    self.rewrapped = rewrapped
    self.finished = finished
  }

  static let table = StoreTable.rotation
  var wrappedBytes: [UInt8]? { nil }
  var primaryKey: [UInt8] { Self.primaryKey(version) }
  var description: String { "the rotation to master key version \(version)" }

  static func primaryKey(_ version: UInt32) -> [UInt8] { MasterVersionRow.primaryKey(version) }

  var canonicalFields: [UInt8] {
    var writer = ByteWriter(capacity: 32)
    writer.u32(version)
    writer.u64(started.nanoseconds)
    writer.u32(cursor)
    writer.u64(rewrapped)
    writer.u64(finished?.nanoseconds ?? 0)
    return writer.bytes
  }
}
