// swift-tools-version: 6.2
import PackageDescription

// The manifest is the architecture. Each room names the rooms it may know; a test holds every
// `import` in Sources against this table, because SwiftPM alone lets a transitive import through.
//
//   street    chatelaine (CLI)   chatelained (daemon)   ChatelaineClient
//   hall      KeyService         one file a use case; ties store, log and keyring together
//   rooms     Envelopes          seal and open bytes under a key; no I/O, no clock
//             AuditTrail         entries, frames, tree, verification; no I/O, no clock, no secret
//   annexes   KeyStore (SQLite)  AuditLog (segment files, the one writer)  Custody (the keyring)
//   cellar    Primitives         every algorithm choice, with its reason
//   vault     SecretMemory       the only owner of secret bytes
//   floor     Vocabulary         the nouns, known by all        Hardening   the process, closed up

let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .strictMemorySafety(),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
] + (Context.environment["CI"] == nil ? [] : [.treatAllWarnings(as: .error)])

let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")

/// A library target and the only rooms it may know.
func room(
  _ name: String, knows rooms: [String] = [], uses products: [Target.Dependency] = []
) -> Target {
  .target(
    name: "Chatelaine" + name,
    dependencies: rooms.map { .byName(name: $0.first == "C" && $0.dropFirst().first!.isUppercase ? $0 : "Chatelaine" + $0) }
      + products,
    path: "Sources/" + name,
    swiftSettings: strict)
}

let package = Package(
  name: "chatelaine",
  products: [
    //TMP .library(name: "ChatelaineClient", targets: ["ChatelaineClient"]),
    //TMP .executable(name: "chatelaine", targets: ["chatelaine"]),
    //TMP .executable(name: "chatelained", targets: ["chatelained"]),
  ],
  dependencies: [
    .package(url: "https://github.com/groue/GRDB.swift", exact: "7.10.0"),
    .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
  ],
  targets: [
    .systemLibrary(
      name: "CLibcrypto", path: "Sources/CLibcrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(
      name: "CLibsodium", path: "Sources/CLibsodium", pkgConfig: "libsodium", providers: [.apt(["libsodium-dev"])]),
    .target(name: "CSystem", path: "Sources/CSystem"),
    .target(name: "CPrimitives", dependencies: ["CLibcrypto"], path: "Sources/CPrimitives"),

    room("Vocabulary"),
    room("SecretMemory", knows: ["CSystem"]),
    room(
      "Primitives",
      knows: ["CLibcrypto", "CLibsodium", "CPrimitives", "CSystem", "SecretMemory", "Vocabulary"]),
    room("AuditTrail", knows: ["Primitives", "Vocabulary"]),
    room("KeyStore", knows: ["Envelopes", "Primitives", "SecretMemory", "Vocabulary"], uses: [grdb]),
    room("AuditLog", knows: ["CSystem", "AuditTrail", "Primitives", "Vocabulary"]),
    room("Envelopes", knows: ["Primitives", "SecretMemory", "Vocabulary"]),
  ]
)

// MARK: The log's tests and fault driver (block of the log's helper)
//
// ChatelaineTestSupport is the one of the other rooms' tests; it stands here until both blocks meet.

package.targets += [
  .target(
    name: "ChatelaineTestSupport",
    dependencies: ["ChatelainePrimitives", "ChatelaineSecretMemory", "ChatelaineVocabulary"],
    path: "Tests/Support",
    swiftSettings: strict),
  .target(
    name: "ChatelaineLogTestSupport",
    dependencies: [
      "ChatelaineTestSupport", "ChatelaineAuditLog", "ChatelaineAuditTrail", "ChatelainePrimitives",
      "ChatelaineVocabulary",
    ],
    path: "Tests/LogSupport",
    swiftSettings: strict),
  .testTarget(
    name: "AuditTrailTests",
    dependencies: [
      "ChatelaineTestSupport", "ChatelaineLogTestSupport", "ChatelaineAuditTrail", "ChatelainePrimitives",
      "ChatelaineVocabulary",
    ],
    path: "Tests/AuditTrailTests",
    swiftSettings: strict),
  .testTarget(
    name: "AuditLogTests",
    dependencies: [
      "ChatelaineTestSupport", "ChatelaineLogTestSupport", "ChatelaineAuditLog", "ChatelaineAuditTrail",
      "ChatelainePrimitives", "ChatelaineVocabulary",
    ],
    path: "Tests/AuditLogTests",
    swiftSettings: strict),
  .executableTarget(
    name: "chatelaine-drill",
    dependencies: ["ChatelaineAuditLog", "ChatelaineAuditTrail", "ChatelaineVocabulary"],
    path: "Sources/chatelaine-drill",
    swiftSettings: strict),
]
