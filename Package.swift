// swift-tools-version: 6.2
import PackageDescription

// The manifest is the architecture. Each room names the rooms it may know; a test holds every
// `import` in Sources against this table, because SwiftPM alone lets a transitive import through.
//
//   street    chatelaine (CLI)   chatelained (daemon)   ChatelaineClient (the one public library)
//             AdminClient        the operator's calls, typed, over ChatelaineClient
//             Outside            questions to other hosts, over HTTP and TLS: for commands, never for the service
//             Exits              one sentence and one status for each error, the same in both programs
//   doors     Doors              the sockets: who calls, bounds, deadlines, replies that wait for the log
//             SocketBuffers      what doors and client share: bytes of a socket, erased where they lie
//             TLS                what a listener on TCP is made of, and one connection's TLS, over memory; no I/O
//             Transit            the HTTP door's requests and replies: Vault's paths and JSON, read in place; no I/O
//             Wire               ttrpc's frames and the data door's messages, read in place; no I/O
//             Messages           generated from proto/: the admin door's messages
//   hall      KeyService         one file a use case; ties store, log and keyring together
//   rooms     AccessPolicy       who may do what: a principal's grants; no I/O, no clock
//             Configuration      the operator's files: bytes to values, errors with their line
//             Tokens             JWTs, static tokens, sets of keys: verified, remembered; no I/O, no clock
//             Envelopes          seal and open bytes under a key; no I/O, no clock
//             AuditTrail         entries, frames, tree, verification; no I/O, no clock, no secret
//   annexes   KeyStore (SQLite)  AuditLog (segment files, the one writer)  Custody (the keyring)
//   cellar    Primitives         every algorithm choice, with its reason
//   vault     SecretMemory       the only owner of secret bytes
//   floor     Vocabulary         the nouns, known by all
//             Hardening          the process, closed up; asks SecretMemory what of it holds
//   C         CLinux  CPrimitives  CTLS (libssl, for doors)  CWipingFree (each program's `free`)
//             CLibcrypto  CLibsodium  CLibssl
//             CBench             the load that chatelaine-bench makes, and the echo that it is measured against
//   yard      Measures           what a run of chatelaine-bench says: figures, tables, pictures; no I/O
//             chatelaine-bench  chatelaine-drill (a log to be killed)  hardening-probe  chatelaine-fuzz

// What a build for tests leaves out, to show what it is good for: `readable` (root can read secret pages), `unwiped`
// (nothing is erased), `backtraced` (Swift's crash reporter runs, nothing is confined), `unlogged` (replies to uses of
// keys do not wait for the log, which gets no entry of them). Such a build opens no keyring but the example's, and says
// what it is: `CHATELAINE_TEST_BUILD=readable,unwiped swift build`.
let leftOutNames = (Context.environment["CHATELAINE_TEST_BUILD"] ?? "").split(separator: ",")
  .map { "CHATELAINE_TEST_" + $0.uppercased() }
let leftOut: [CSetting] = leftOutNames.map { .define($0) }

let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .strictMemorySafety(),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
] + (Context.environment["CI"] == nil ? [] : [.treatAllWarnings(as: .error)]) + leftOutNames.map { .define($0) }

let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
/// SQLite's own functions, for what GRDB has no word for.
let sqlite = Target.Dependency.product(name: "GRDBSQLite", package: "GRDB.swift")
let protobuf = Target.Dependency.product(name: "SwiftProtobuf", package: "swift-protobuf")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")
let nio = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
/// The HTTP door's alone: llhttp, for the heads of requests.
let http = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let sockets = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")

/// The target of a room, or of a C module, by its short name.
func target(_ name: String) -> Target.Dependency {
  let isC = name.first == "C" && name.dropFirst().first!.isUppercase
  let isWhole = isC || name == name.lowercased() || name == "ChatelaineClient"
  return .byName(name: isWhole ? name : "Chatelaine" + name)
}

/// A library target and the only rooms it may know.
func room(_ name: String, knows rooms: [String] = [], uses products: [Target.Dependency] = []) -> Target {
  .target(
    name: "Chatelaine" + name, dependencies: rooms.map(target) + products, path: "Sources/" + name,
    swiftSettings: strict)
}

/// An executable. Each links the `free` that wipes.
func tool(
  _ name: String, knows rooms: [String], uses products: [Target.Dependency] = [], path: String? = nil,
  resources: [Resource] = []
) -> Target {
  .executableTarget(
    name: name, dependencies: (["CWipingFree"] + rooms).map(target) + products, path: path ?? "Sources/" + name,
    resources: resources, swiftSettings: strict)
}

/// What several test targets share.
func support(_ name: String, knows rooms: [String], path: String) -> Target {
  .target(name: "Chatelaine" + name, dependencies: rooms.map(target), path: path, swiftSettings: strict)
}

/// The tests of a room.
func tests(_ name: String, knows rooms: [String], uses products: [Target.Dependency] = []) -> Target {
  .testTarget(
    name: name + "Tests", dependencies: rooms.map(target) + products, path: "Tests/" + name + "Tests",
    swiftSettings: strict)
}

let package = Package(
  name: "chatelaine",
  products: [
    .library(name: "ChatelaineClient", targets: ["ChatelaineClient"]),
    .executable(name: "chatelaine", targets: ["chatelaine"]),
    .executable(name: "chatelained", targets: ["chatelained"]),
  ],
  dependencies: [
    .package(url: "https://github.com/groue/GRDB.swift", exact: "7.10.0"),
    .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
    .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
    .package(url: "https://github.com/apple/swift-protobuf", exact: "1.39.0"),
    .package(url: "https://github.com/apple/swift-nio", exact: "2.101.2"),
  ],
  targets: [
    .systemLibrary(
      name: "CLibcrypto", path: "Sources/CLibcrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(
      name: "CLibsodium", path: "Sources/CLibsodium", pkgConfig: "libsodium", providers: [.apt(["libsodium-dev"])]),
    .systemLibrary(
      name: "CLibssl", path: "Sources/CLibssl", pkgConfig: "libssl", providers: [.apt(["libssl-dev"])]),
    .target(name: "CLinux", path: "Sources/CLinux", cSettings: leftOut),
    .target(name: "CPrimitives", dependencies: ["CLibcrypto"], path: "Sources/CPrimitives"),
    .target(name: "CTLS", dependencies: ["CLibssl"], path: "Sources/CTLS"),
    .target(name: "CWipingFree", path: "Sources/CWipingFree", cSettings: leftOut),
    .target(name: "CBench", path: "Sources/CBench"),

    room("Vocabulary"),
    room("Wire", knows: ["Vocabulary"]),
    room("Transit", knows: ["Vocabulary"]),
    // Generated from proto/, so none of our settings: see deploy/generate-messages.sh.
    .target(name: "ChatelaineMessages", dependencies: [protobuf], path: "Sources/Messages"),
    room("SecretMemory", knows: ["CLinux"]),
    room("Hardening", knows: ["CLinux", "SecretMemory"]),
    room(
      "Primitives", knows: ["CLibcrypto", "CLibsodium", "CPrimitives", "CLinux", "SecretMemory", "Vocabulary"]),
    room("AccessPolicy", knows: ["Vocabulary"]),
    room("Tokens", knows: ["Primitives", "SecretMemory", "Vocabulary"]),
    room("Configuration", knows: ["AccessPolicy", "Primitives", "Tokens", "Vocabulary"], uses: [yams]),
    room("Envelopes", knows: ["Primitives", "SecretMemory", "Vocabulary"]),
    room("AuditTrail", knows: ["Primitives", "Vocabulary"]),
    room("Custody", knows: ["CLinux", "Primitives", "SecretMemory", "Vocabulary"]),
    room(
      "KeyStore", knows: ["CLinux", "Envelopes", "Primitives", "SecretMemory", "Vocabulary"], uses: [grdb, sqlite]),
    room("AuditLog", knows: ["CLinux", "AuditTrail", "Primitives", "Vocabulary"]),
    room(
      "KeyService",
      knows: [
        "AccessPolicy", "AuditLog", "AuditTrail", "Custody", "Envelopes", "KeyStore", "Primitives", "SecretMemory",
        "Tokens", "Vocabulary",
      ]),
    room(
      "Exits",
      knows: ["AuditLog", "AuditTrail", "Configuration", "Custody", "Hardening", "KeyService", "KeyStore"]),

    room("TLS", knows: ["CTLS", "AccessPolicy", "SecretMemory", "Vocabulary"]),
    room("SocketBuffers", knows: ["CLinux", "Wire"], uses: [nio]),
    room(
      "Doors",
      knows: [
        "AccessPolicy", "AuditLog", "AuditTrail", "CLinux", "Custody", "Envelopes", "Hardening", "KeyService", "KeyStore", "Messages",
        "Primitives", "SecretMemory", "SocketBuffers", "TLS", "Tokens", "Transit", "Vocabulary", "Wire",
      ],
      uses: [protobuf, nio, http, sockets]),
    .target(
      name: "ChatelaineClient",
      dependencies: [
        "ChatelaineAuditTrail", "ChatelaineEnvelopes", "ChatelaineSocketBuffers", "ChatelaineVocabulary", "ChatelaineWire",
        nio, sockets,
      ],
      path: "Sources/ChatelaineClient", swiftSettings: strict),
    room("Outside", knows: ["CLibssl", "Primitives", "SecretMemory", "Vocabulary"]),
    room("AdminClient", knows: ["ChatelaineClient", "Messages"], uses: [protobuf]),

    tool(
      "chatelaine",
      knows: [
        "AccessPolicy", "AdminClient", "AuditLog", "AuditTrail", "CLinux", "ChatelaineClient", "Configuration", "Custody", "Envelopes", "Exits",
        "Hardening", "KeyService", "Messages", "Outside", "Primitives", "SecretMemory", "Tokens", "Vocabulary",
      ], uses: [arguments]),
    tool(
      "chatelained",
      knows: [
        "AccessPolicy", "AuditLog", "AuditTrail", "CLinux", "Configuration", "Custody", "Doors", "Exits", "Hardening", "KeyService", "KeyStore",
        "SecretMemory", "TLS", "Tokens", "Vocabulary",
      ], uses: [arguments]),
    room("Measures"),
    tool(
      "chatelaine-bench",
      knows: [
        "AccessPolicy", "AuditLog", "AuditTrail", "CBench", "Configuration", "Custody", "Envelopes", "Exits", "KeyService",
        "Measures", "Primitives", "SecretMemory", "Vocabulary", "Wire",
      ],
      uses: [arguments], resources: [.embedInCode("Floors/transit.go")]),
    tool("chatelaine-drill", knows: ["AuditLog", "AuditTrail", "Vocabulary"]),


    support("TestSupport", knows: ["Primitives", "SecretMemory", "Vocabulary"], path: "Tests/Support"),
    support(
      "LogTestSupport", knows: ["TestSupport", "AuditLog", "AuditTrail", "Primitives", "Vocabulary"],
      path: "Tests/LogSupport"),
    tests("Tidy", knows: ["TestSupport"]),
    // Servers of known behaviour, for the load generator: pointers and sockets all over.
    .testTarget(
      name: "MeasuresTests", dependencies: ["CBench", "ChatelaineMeasures"], path: "Tests/MeasuresTests",
      swiftSettings: [.swiftLanguageMode(.v6)]),
    .testTarget(
      name: "ChatelaineClientTests",
      dependencies: [
        "ChatelaineAuditTrail", "ChatelaineClient", "ChatelainePrimitives", "ChatelaineSocketBuffers", "ChatelaineTestSupport",
        "ChatelaineVocabulary", "ChatelaineWire", "chatelaine", "chatelained", nio, sockets,
      ],
      path: "Tests/ChatelaineClientTests", swiftSettings: strict),
    tests("Vocabulary", knows: ["TestSupport", "Primitives", "Vocabulary"]),
    // The generated messages, and the pointers that stand in for a socket's buffers, know nothing of our settings.
    .testTarget(
      name: "WireTests", dependencies: ["ChatelaineVocabulary", "ChatelaineWire", protobuf],
      path: "Tests/WireTests", swiftSettings: [.swiftLanguageMode(.v6), .enableUpcomingFeature("InternalImportsByDefault")]),
    tests("Transit", knows: ["TestSupport", "Transit", "Vocabulary"]),
    tests("Outside", knows: ["Outside", "Primitives", "SecretMemory", "Vocabulary"]),
    tests("TLS", knows: ["AccessPolicy", "TLS", "Vocabulary"]),
    tests("AccessPolicy", knows: ["AccessPolicy", "Vocabulary"]),
    tests("Tokens", knows: ["Primitives", "TestSupport", "Tokens", "Vocabulary"]),
    tests("Configuration", knows: ["AccessPolicy", "Configuration", "TestSupport", "Tokens", "Vocabulary"], uses: [yams]),
    tests("SecretMemory", knows: ["CLinux", "TestSupport", "SecretMemory"]),
    tool("hardening-probe", knows: ["Hardening", "SecretMemory"], path: "Tests/HardeningProbe"),
    tests("Hardening", knows: ["Hardening", "hardening-probe"]),
    tests("Primitives", knows: ["TestSupport", "Primitives", "SecretMemory", "Vocabulary"]),
    tests("Envelopes", knows: ["TestSupport", "Envelopes", "Primitives", "SecretMemory", "Vocabulary"]),
    tests("Custody", knows: ["Custody", "Primitives", "SecretMemory", "Vocabulary"]),
    tests("AuditTrail", knows: ["TestSupport", "LogTestSupport", "AuditTrail", "Primitives", "Vocabulary"]),
    tests("AuditLog", knows: ["TestSupport", "LogTestSupport", "AuditLog", "AuditTrail", "Primitives", "Vocabulary"]),
    tests("KeyStore", knows: ["Envelopes", "KeyStore", "Primitives", "SecretMemory", "Vocabulary"], uses: [grdb]),
    tests(
      "ServiceRules",
      knows: [
        "TestSupport", "AccessPolicy", "AuditLog", "AuditTrail", "Custody", "Envelopes", "KeyService", "KeyStore", "Primitives",
        "SecretMemory", "Vocabulary",
      ], uses: [grdb]),
    tests(
      "KeyService",
      knows: [
        "TestSupport", "AccessPolicy", "AuditLog", "AuditTrail", "Custody", "Envelopes", "KeyService", "KeyStore", "Primitives",
        "SecretMemory", "Vocabulary",
      ], uses: [grdb]),
  ]
)

// The fuzzer has no `main` of its own, so it is part of the package only where it is asked for:
// `CHATELAINE_FUZZ=1 swift build --sanitize fuzzer --product chatelaine-fuzz`.
if Context.environment["CHATELAINE_FUZZ"] != nil {
  package.targets.append(
    .executableTarget(
      name: "chatelaine-fuzz",
      dependencies: ["AccessPolicy", "AuditTrail", "Configuration", "Custody", "Envelopes", "Primitives", "SecretMemory", "Tokens", "Transit", "Vocabulary"].map(target),
      path: "Tests/Fuzz", swiftSettings: strict + [.unsafeFlags(["-parse-as-library"])]))
}
