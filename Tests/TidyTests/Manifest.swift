import ChatelaineTestSupport
import Foundation

/// What Package.swift says of the targets in Sources: which folder is whose, and what it may import.
struct Manifest {
  struct Target: Equatable {
    let name: String
    /// Relative to the repository: `Sources/Envelopes`.
    let folder: String
    let modules: Set<String>
    let isExecutable: Bool
  }

  let targets: [Target]
  /// Modules of other packages that any target declares.
  let products: Set<String>

  var modules: Set<String> { Set(targets.map(\.name)).union(products) }

  func target(ofFile path: String) -> Target? {
    targets.first { path.hasPrefix($0.folder + "/") }
  }

  static func read() throws -> Manifest {
    Manifest(
      parsing: try String(contentsOf: Repository.root.appending(path: "Package.swift"), encoding: .utf8))
  }

  init(parsing source: String) {
    let text = Source.withoutComments(source)
    let aliases = Dictionary(
      text.matches(of: /let (\w+) = Target\.Dependency\.product\(\s*name: "(\w+)"/)
        .map { (String($0.1), String($0.2)) }, uniquingKeysWith: { $1 })
    let body = text.range(of: "let package = Package(").map { text[$0.lowerBound...] } ?? text[...]
    targets = body.matches(of: /\b(room|tool|target|executableTarget|systemLibrary)\(/).compactMap { match in
      Self.target(
        String(match.1), arguments: Self.balanced(body[match.range.upperBound...]), aliases: aliases)
    }
    products = Set(aliases.values)
  }

  private static func target(_ call: String, arguments: String, aliases: [String: String]) -> Target? {
    guard let name = arguments.firstMatch(of: /^\s*(?:name:\s*)?"([^"]+)"/).map({ String($0.1) }) else {
      return nil
    }
    // `room` and `tool` take the short names of rooms.
    let isShort = call == "room" || call == "tool"
    var modules: Set<String> = call == "tool" ? ["CWipingFree"] : []
    for list in arguments.matches(of: /(?:knows|uses|dependencies):\s*\[([^\]]*)\]/) {
      for literal in list.1.matches(of: /"([^"]+)"/) {
        modules.insert(isShort ? moduleName(of: String(literal.1)) : String(literal.1))
      }
      let words = list.1.replacing(/"[^"]*"/, with: "").matches(of: /\w+/).map { String($0.0) }
      modules.formUnion(words.compactMap { aliases[$0] })
    }
    let path = arguments.firstMatch(of: /path:\s*"([^"]+)"/).map { String($0.1) }
    return Target(
      name: call == "room" ? moduleName(of: name) : name, folder: path ?? "Sources/" + name, modules: modules,
      isExecutable: call == "tool" || call == "executableTarget")
  }

  /// As `target` in the manifest has it: C modules, executables and the client library keep their name.
  private static func moduleName(of name: String) -> String {
    let isWhole = name.wholeMatch(of: /C[A-Z].*/) != nil || name == name.lowercased() || name == "ChatelaineClient"
    return isWhole ? name : "Chatelaine" + name
  }

  /// The text up to the parenthesis that closes the one before it.
  private static func balanced(_ text: Substring) -> String {
    var depth = 1
    let end = text.firstIndex { character in
      depth += character == "(" ? 1 : character == ")" ? -1 : 0
      return depth == 0
    }
    return String(text[..<(end ?? text.endIndex)])
  }
}
