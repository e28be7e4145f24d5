package import Foundation

/// Our own vectors, in Tests/Vectors, part of the repository: their absence is a failure.
package enum OwnVectors {
  package static let directory = Repository.root.appending(path: "Tests/Vectors")

  package static func load<Content: Decodable>(_ name: String, as type: Content.Type = Content.self) throws
    -> Content
  {
    try JSONDecoder().decode(type, from: Data(contentsOf: directory.appending(path: name)))
  }
}

/// Vectors of others, beside the repository in ../shared/vectors or where CHATELAINE_VECTORS says.
package enum ThirdPartyVectors {
  /// Where they are, or nil, after one line that says so; tests are then disabled by a trait.
  package static let directory: URL? = {
    let given = ProcessInfo.processInfo.environment["CHATELAINE_VECTORS"].map { URL(filePath: $0) }
    let candidate = given ?? Repository.root.deletingLastPathComponent().appending(path: "shared/vectors")
    if FileManager.default.fileExists(atPath: candidate.appending(path: "README.md").path) {
      return candidate
    }
    print("skipped: third-party vectors not found at \(candidate.path) (set CHATELAINE_VECTORS)")
    return nil
  }()

  package static var areFound: Bool { directory != nil }

  package static func load<Content: Decodable>(_ path: String, as type: Content.Type = Content.self) throws
    -> Content
  {
    try JSONDecoder().decode(type, from: data(path))
  }

  /// The lines of a text file, without their ends.
  package static func lines(_ path: String) throws -> [String] {
    String(decoding: try data(path), as: UTF8.self)
      .split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).map(String.init)
  }

  private static func data(_ path: String) throws -> Data {
    guard let directory else { throw CocoaError(.fileNoSuchFile) }
    return try Data(contentsOf: directory.appending(path: path))
  }
}

package enum Repository {
  /// The directory of Package.swift, found upwards from this file.
  package static let root: URL = {
    var directory = URL(filePath: #filePath).deletingLastPathComponent()
    while !FileManager.default.fileExists(atPath: directory.appending(path: "Package.swift").path) {
      precondition(directory.path != "/", "no Package.swift above the tests")
      directory.deleteLastPathComponent()
    }
    return directory
  }()
}
