internal import ChatelaineVocabulary
internal import Foundation
internal import Glibc

/// Files of configuration, read whole and never beyond a bound.
package enum ConfigurationFile {
  /// Whose word a file may be.
  package enum Owner: Sendable {
    /// Root's, or that of the user who reads it: it says what is done here.
    case own
    /// Anybody's one user's: it says where a service is, and that service must be its owner's.
    case anyone
  }

  package static func read(
    _ path: String, of owner: Owner = .own, bytesMax: Int = Limits.configurationBytesMax
  ) throws(ConfigurationError) -> [UInt8] {
    try checkPlace(path, owner)
    let content = try reading(path) {
      let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
      defer { try? file.close() }
      return try file.read(upToCount: bytesMax + 1)
    }
    let bytes = [UInt8](content ?? Data())
    guard bytes.count <= bytesMax else { throw Fault(nil, .tooLarge(limitBytes: bytesMax)).error(in: path) }
    return bytes
  }

  private static func reading<Result>(_ path: String, _ body: () throws -> Result) throws(ConfigurationError) -> Result {
    do { return try body() } catch {
      let isForbidden = (error as? CocoaError)?.code == .fileReadNoPermission
      throw Fault(nil, isForbidden ? .notPermitted : .unreadable).error(in: path)
    }
  }

  /// Whoever can change the file decides what the service does; and opening a fifo would wait for a writer.
  private static func checkPlace(_ path: String, _ allowed: Owner) throws(ConfigurationError) {
    let target = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
    let facts = try reading(path) { try FileManager.default.attributesOfItem(atPath: target) }
    guard facts[.type] as? FileAttributeType == .typeRegular else { throw Fault(nil, .notAFile).error(in: path) }
    let mode = (facts[.posixPermissions] as? NSNumber)?.uintValue ?? 0o777
    let owner = (facts[.ownerAccountID] as? NSNumber)?.uint32Value
    let isOwned = allowed == .anyone || owner == 0 || owner == geteuid()
    guard mode & 0o022 == 0, isOwned else { throw Fault(nil, .notYours).error(in: path) }
  }

  /// Whether nobody but its owner may read the file.
  static func isOwnersAlone(_ path: String) throws(ConfigurationError) -> Bool {
    let target = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
    let facts = try reading(path) { try FileManager.default.attributesOfItem(atPath: target) }
    return ((facts[.posixPermissions] as? NSNumber)?.uintValue ?? 0o777) & 0o077 == 0
  }

  /// What a path in a file means: relative ones begin at the file's directory.
  static func resolve(_ path: String, besides file: String) -> String {
    guard path.utf8.first != UInt8(ascii: "/") else { return path }
    guard let slash = file.utf8.lastIndex(of: UInt8(ascii: "/")) else { return path }
    return String(file[...slash]) + path
  }
}
