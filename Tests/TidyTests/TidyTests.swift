import ChatelaineTestSupport
import Foundation
import Testing

/// Rules that the compiler does not enforce. Each is a pure function over texts, with a control
/// that must be found.
@Suite("Tidy")
struct TidyTests {
  /// What any target may import: it comes with the toolchain.
  static let toolchainModules: Set<String> = [
    "Dispatch", "Foundation", "FoundationEssentials", "Glibc", "Synchronization",
  ]

  /// Folders of Sources that hold C's edge; executables are added from the manifest.
  static let unsafeFolders: Set<String> = [
    "AuditLog", "Custody", "Doors", "Hardening", "KeyStore", "Outside", "Primitives", "SecretMemory", "SocketBuffers",
    "TLS", "Vocabulary",
  ]

  static let linesMax = 450

  @Test("The manifest is read: every Swift file of Sources belongs to a target")
  func manifest() throws {
    let manifest = try Manifest.read()
    let names = Set(manifest.targets.map(\.name))
    #expect(names.isSuperset(of: ["ChatelaineVocabulary", "ChatelainePrimitives", "CLinux", "CLibcrypto"]))
    let primitives = try #require(manifest.targets.first { $0.name == "ChatelainePrimitives" })
    #expect(primitives.folder == "Sources/Primitives")
    #expect(
      primitives.modules.isSuperset(of: ["CLibcrypto", "ChatelaineSecretMemory", "ChatelaineVocabulary"]))
    let sources = try Source.all(below: "Sources", ending: ["swift"])
    #expect(sources.count > 30)
    let strays = sources.filter { manifest.target(ofFile: $0.path) == nil }.map(\.path)
    #expect(strays.isEmpty, "in no target: \(strays)")
  }

  @Test("A file imports only what its target declares")
  func imports() throws {
    let manifest = try Manifest.read()
    let found = try Source.all(below: "Sources", ending: ["swift"]).flatMap {
      Self.undeclaredImports($0, manifest)
    }
    #expect(found.isEmpty, "\(found.joined(separator: "\n"))")
  }

  @Test("The control: an import that no target declared is found, however it is spelled")
  func importsControl() {
    let manifest = Manifest(
      parsing: """
        let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
        let package = Package(targets: [
          .target(name: "CLinux", path: "Sources/CLinux"),
          room("Low"), room("Middle", knows: ["Low", "CLinux"]),  // room("Comment", knows: ["High"])
          room(
            "High",
            knows: ["Middle"], uses: [grdb]),
          .executableTarget(name: "one", dependencies: ["ChatelaineHigh", grdb], path: "Sources/one"),
          tool("two", knows: ["High"], uses: [grdb]),
        ])
        """)
    #expect(
      manifest.targets.map(\.name) == [
        "CLinux", "ChatelaineLow", "ChatelaineMiddle", "ChatelaineHigh", "one", "two",
      ])
    #expect(manifest.targets.map(\.isExecutable) == [false, false, false, false, true, true])
    #expect(manifest.targets[3].modules == ["ChatelaineMiddle", "GRDB"])
    func found(_ path: String, _ text: String) -> Int {
      Self.undeclaredImports(Source(path: path, text: text), manifest).count
    }
    let high = "Sources/High/A.swift"
    #expect(
      found(high, "import GRDB\nimport Glibc\ninternal import ChatelaineMiddle\n// import ChatelaineLow") == 0
    )
    for spelling in [
      "import ChatelaineLow", "package import ChatelaineLow", "@_exported import ChatelaineLow",
      "  internal import ChatelaineLow", "import struct ChatelaineLow.Thing", "import CLinux",
      "import NIOCore",
      "@preconcurrency internal import ArgumentParser",
    ] {
      #expect(found(high, "import Glibc\n" + spelling + "\n") == 1, "\(spelling)")
    }
    #expect(found("Sources/Low/A.swift", "import GRDB") == 1)
    for tool in ["one", "two"] {
      #expect(
        found("Sources/\(tool)/A.swift", "import ChatelaineHigh\nimport GRDB\nimport ChatelaineMiddle") == 1)
    }
    #expect(found("Sources/Nowhere/A.swift", "import Glibc") == 1)
  }

  @Test("The word unsafe stands only in the rooms at C's edge")
  func unsafeFolders() throws {
    let executables = try Manifest.read().targets.filter(\.isExecutable).map {
      $0.folder.replacing("Sources/", with: "")
    }
    let allowed = Self.unsafeFolders.union(executables)
    let sources = try Source.all(below: "Sources", ending: ["swift"])
    let found = sources.filter { !allowed.contains($0.folder) && !$0.path.hasSuffix(".pb.swift") && Self.saysUnsafe($0) }.map(\.path)
    #expect(found.isEmpty, "\(found)")
    #expect(sources.contains { Self.saysUnsafe($0) }, "the control: SecretMemory cannot do without")
  }

  @Test("The control: unsafe is told from comments, from Unsafe and from longer words")
  func unsafeControl() {
    func says(_ text: String) -> Bool { Self.saysUnsafe(Source(path: "Sources/A/A.swift", text: text)) }
    #expect(says("let a = unsafe b") && says("@unsafe func f()") && says("nonisolated(unsafe) var a = 1"))
    #expect(!says("// unsafe") && !says("UnsafePointer") && !says("withUnsafeBytes") && !says("_unsafeStart"))
  }

  @Test("No note of work to be done later is left in Sources, Tests or docs")
  func laterNotes() throws {
    let pattern = try Regex("\\b(" + "TO" + "DO|FIX" + "ME)\\b")
    let files = try ["Sources", "Tests", "docs"].flatMap {
      try Source.all(below: $0, ending: ["swift", "c", "h", "md", "py", "sh"])
    }
    let found = files.filter { $0.text.contains(pattern) }.map(\.path)
    #expect(found.isEmpty, "\(found)")
    #expect("// TO".appending("DO: later").contains(pattern), "the control")
  }

  @Test("No forced try in Sources")
  func forcedTries() throws {
    let found = try Source.all(below: "Sources", ending: ["swift"]).filter { $0.code.contains(/\btry!/) }.map(
      \.path)
    #expect(found.isEmpty, "\(found)")
    #expect(Source(path: "", text: "let a = try! b() // try").code.contains(/\btry!/), "the control")
  }

  @Test("No file has more than 450 lines, unless it is generated")
  func fileLengths() throws {
    let files =
      try Source.all(below: "Sources", ending: ["swift", "c", "h"])
      + Source.all(below: "Tests", ending: ["swift"])
    let found = files.filter { Self.isTooLong($0) }.map(\.path)
    #expect(found.isEmpty, "\(found)")
    let long = String(repeating: "a\n", count: 451)
    #expect(Self.isTooLong(Source(path: "", text: long)), "the control")
    #expect(!Self.isTooLong(Source(path: "", text: String(repeating: "a\n", count: 450))))
    #expect(!Self.isTooLong(Source(path: "", text: "// DO NOT EDIT.\n" + long)))
  }

  @Test("A noncopyable type can be neither printed, reflected nor encoded")
  func noncopyableTypes() throws {
    let sources = try Source.all(below: "Sources", ending: ["swift"])
    let names = sources.flatMap { Self.noncopyableTypes($0) }
    #expect(Set(names).isSuperset(of: ["SecretBytes", "DerivationKey", "HMACSHA512"]))
    let found = sources.flatMap { Self.revealingConformances($0, of: Set(names)) }
    #expect(found.isEmpty, "\(found)")
  }

  @Test("The control: a conformance is found in the declaration and in an extension")
  func noncopyableControl() {
    func found(_ text: String) -> Int {
      let source = Source(path: "A.swift", text: text)
      return Self.revealingConformances(source, of: Set(Self.noncopyableTypes(source))).count
    }
    #expect(found("struct A: ~Copyable, Sendable {}\nextension A: Equatable {}") == 0)
    #expect(found("struct B {}\nextension B: CustomStringConvertible {}") == 0)
    #expect(found("struct A: ~Copyable, CustomStringConvertible {}") == 1)
    #expect(found("package struct A:\n  ~Copyable {}\nextension A: CustomDebugStringConvertible {}") == 1)
    #expect(
      found("struct A<T: ~Copyable>: ~Copyable {}\nextension A: @retroactive Codable where T: B {}") == 1)
  }
}

extension TidyTests {
  static func undeclaredImports(_ source: Source, _ manifest: Manifest) -> [String] {
    guard let target = manifest.target(ofFile: source.path) else { return ["\(source.path): in no target"] }
    return source.imports.filter { !target.modules.contains($0) && !toolchainModules.contains($0) }
      .map { "\(source.path): imports \($0), which \(target.name) does not declare" }
  }

  static func saysUnsafe(_ source: Source) -> Bool { source.code.contains(/\bunsafe\b/) }

  static func isTooLong(_ source: Source) -> Bool {
    let lines = source.text.split(separator: "\n", omittingEmptySubsequences: false)
    let isGenerated = lines.prefix(3).contains { $0.contains("DO NOT EDIT") }
    return !isGenerated && lines.count - (lines.last == "" ? 1 : 0) > linesMax
  }

  static func noncopyableTypes(_ source: Source) -> [String] {
    source.code.matches(of: /\b(?:struct|enum)\s+(\w+)(?:<[^{>]*>)?\s*:([^{]*)\{/)
      .filter { $0.2.contains("~Copyable") }.map { String($0.1) }
  }

  static func revealingConformances(_ source: Source, of names: Set<String>) -> [String] {
    let revealing =
      /\b(CustomStringConvertible|CustomDebugStringConvertible|CustomReflectable|TextOutputStreamable|Codable|Encodable)\b/
    return source.code.matches(of: /\b(?:struct|enum|extension)\s+(\w+)(?:<[^{>]*>)?\s*:([^{]*)\{/)
      .filter { names.contains(String($0.1)) && $0.2.contains(revealing) }
      .map { "\(source.path): \($0.1)" }
  }
}
