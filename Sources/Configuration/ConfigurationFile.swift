internal import ChatelaineVocabulary
internal import Foundation

/// Files of configuration, read whole and never beyond a bound.
package enum ConfigurationFile {
  package static func read(
    _ path: String, bytesMax: Int = Limits.configurationBytesMax
  ) throws(ConfigurationError) -> [UInt8] {
    guard let file = FileHandle(forReadingAtPath: path) else { throw Fault(nil, .unreadable).error(in: path) }
    defer { try? file.close() }
    let content: Data?
    do { content = try file.read(upToCount: bytesMax + 1) } catch {
      throw Fault(nil, .unreadable).error(in: path)
    }
    let bytes = [UInt8](content ?? Data())
    guard bytes.count <= bytesMax else { throw Fault(nil, .tooLarge(limitBytes: bytesMax)).error(in: path) }
    return bytes
  }

  /// What a path in a file means: relative ones begin at the file's directory.
  static func resolve(_ path: String, besides file: String) -> String {
    guard path.utf8.first != UInt8(ascii: "/") else { return path }
    guard let slash = file.utf8.lastIndex(of: UInt8(ascii: "/")) else { return path }
    return String(file[...slash]) + path
  }
}
