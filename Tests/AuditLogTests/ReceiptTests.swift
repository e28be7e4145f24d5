import ChatelaineAuditLog
import ChatelaineAuditTrail
import ChatelaineLogTestSupport
import ChatelaineTestSupport
import Foundation
import Testing

/// Only the writer's file can mint a receipt: the compiler says so to every other.
struct ReceiptTests {
  /// Typechecks a file of this package against the built rooms, as a file of Sources would be.
  static func errors(in source: String) throws -> [String] {
    let root = Repository.root
    let products = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
    let directory = FileManager.default.temporaryDirectory.appending(path: "chatelaine-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    let file = directory.appending(path: "forger.swift")
    try source.write(to: file, atomically: true, encoding: .utf8)

    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    // SwiftPM's package name is the name of the directory.
    let package = root.lastPathComponent.lowercased().replacing(/[^a-z0-9_]/, with: "_")
    process.arguments = [
      "swiftc", "-typecheck", "-swift-version", "6", "-package-name", package, "-diagnostic-style", "llvm",
      "-I", products.appending(path: "Modules").path,
    ]
    for map in ["CLinux", "CPrimitives"] {
      let path = products.appending(path: "\(map).build/module.modulemap").path
      process.arguments! += [
        "-Xcc", "-fmodule-map-file=\(path)", "-I", root.appending(path: "Sources/\(map)/include").path,
      ]
    }
    for map in ["CLibcrypto", "CLibsodium"] {
      process.arguments! += [
        "-Xcc", "-fmodule-map-file=\(root.appending(path: "Sources/\(map)/module.modulemap").path)",
      ]
    }
    process.arguments!.append(file.path)
    let pipe = Pipe()
    process.standardError = pipe
    process.standardOutput = pipe
    try process.run()
    let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return output.split(separator: "\n").map(String.init).filter { $0.contains("error:") }
  }

  static let imports = """
    import ChatelaineAuditLog
    import ChatelaineVocabulary

    """

  @Test func `A file that uses receipts as it may compiles`() throws {
    let source = """
      func answer(_ reply: consuming Withheld<Int>, _ receipt: borrowing AuditReceipt) -> Int { reply.release(receipt) }
      """
    #expect(try Self.errors(in: Self.imports + source) == [])
  }

  @Test(arguments: [
    (
      "make one",
      "func forge() -> AuditReceipt { AuditReceipt(logID: .zero, epoch: 1, firstSequence: 0, leafHashes: []) }"
    ),
    ("copy one", "func twice(_ receipt: borrowing AuditReceipt) -> (AuditReceipt, Int) { (receipt, 1) }"),
    (
      "read a withheld value without one",
      "func peek(_ reply: borrowing Withheld<Int>) -> Int { reply.value }"
    ),
    (
      "add an initializer elsewhere",
      "extension AuditReceipt { init(forged: UInt64) { logID = .zero; epoch = 1; firstSequence = forged; leafHashes = [] } }"
    ),
  ])
  func `No other file can`(_ attempt: String, _ source: String) throws {
    #expect(try !Self.errors(in: Self.imports + source).isEmpty, "\(attempt)")
  }
}
