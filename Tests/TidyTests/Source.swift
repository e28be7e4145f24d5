import ChatelaineTestSupport
import Foundation

/// One file of the repository.
struct Source {
  /// Relative to the repository.
  let path: String
  let text: String

  /// The folder below Sources or Tests.
  var folder: String { path.split(separator: "/").dropFirst().first.map(String.init) ?? "" }

  /// The text without comments, which may say anything, and with its lines in place.
  var code: String { Self.withoutComments(text) }

  var imports: [String] {
    code.matches(
      of:
        /(?m)^[ \t]*(?:@\w+(?:\([^)]*\))?[ \t]+)*(?:(?:public|package|internal|fileprivate|private)[ \t]+)?import[ \t]+(?:(?:struct|class|enum|protocol|func|let|var|typealias)[ \t]+)?(\w+)/
    ).map { String($0.1) }
  }

  /// All files with these endings below a folder of the repository.
  static func all(below folder: String, ending endings: Set<String>) throws -> [Source] {
    let root = Repository.root.appending(path: folder)
    guard let walk = FileManager.default.enumerator(at: root, includingPropertiesForKeys: nil) else {
      return []
    }
    var sources: [Source] = []
    for case let file as URL in walk where endings.contains(file.pathExtension) {
      let path = folder + "/" + file.path.dropFirst(root.path.count + 1)
      sources.append(Source(path: path, text: try String(contentsOf: file, encoding: .utf8)))
    }
    return sources.sorted { $0.path < $1.path }
  }

  static func withoutComments(_ text: String) -> String {
    text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
      guard let start = commentStart(of: line) else { return line }
      return line[..<start]
    }.joined(separator: "\n")
  }

  /// Where `//` begins outside a string literal.
  private static func commentStart(of line: Substring) -> String.Index? {
    var isQuoted = false
    var previous: Character = " "
    for index in line.indices {
      let character = line[index]
      if character == "\"" && previous != "\\" { isQuoted.toggle() }
      if !isQuoted && character == "/" && previous == "/" { return line.index(before: index) }
      previous = character
    }
    return nil
  }
}
