import ChatelaineCustody
import ChatelainePrimitives
import ChatelaineSecretMemory
import ChatelaineVocabulary
import Foundation
import Testing

@Suite struct ExampleKeyringTests {
  static let directory = URL(filePath: #filePath).appending(path: "../../../keys-example").standardized.path
  static let flag = Keyring.Rules(insecureExampleKeys: true)

  /// The example key is SHA-256 of a sentence, so that anybody can see that it is no secret.
  static func exampleFile() -> [UInt8] {
    let key = SHA256.hash(Array("chatelaine example master key, version 1: known to everybody".utf8))
    let master = MasterKey(
      secret(key.bytes), reference: KeyReference(id: Keyring.exampleID, version: 1), created: created)
    return KeyringFile.encode(master).withBytes { Span<UInt8>(_bytes: $0).copied() }
  }

  /// CHATELAINE_WRITE_EXAMPLE_KEYS=1 swift test --filter ExampleKeyringTests makes the file anew.
  @Test func `keys-example holds what its recipe makes`() throws {
    let path = URL(filePath: Self.directory + "/master-000001.key")
    if ProcessInfo.processInfo.environment["CHATELAINE_WRITE_EXAMPLE_KEYS"] == "1" {
      try? FileManager.default.removeItem(at: path)
      try Data(Self.exampleFile()).write(to: path)
    }
    #expect(try [UInt8](Data(contentsOf: path)) == Self.exampleFile())
    #expect(Keyring.exampleID.bytes == Array("EXAMPLE-INSECURE".utf8))
  }

  @Test func `the example keyring in the repository opens with the flag as git checks it out`() throws {
    var status = stat()
    unsafe stat(Self.directory, &status)
    guard status.st_uid == geteuid() else { return print("skipped: the repository is another user's") }
    #expect(try Keyring(at: Self.directory, Self.flag).open(passphrase: nil).keyringID == Keyring.exampleID)
    #expect(throws: KeyringError.self) { try Keyring(at: Self.directory).open(passphrase: nil) }
  }

  @Test func `without the flag the example keys are refused, whatever their mode`() throws {
    let scratch = try example()
    expectAccepted(scratch, rules: Self.flag)
    expectRefused(.exampleKeys(path: scratch.file), scratch)
  }

  @Test func `with the flag every other keyring is refused`() throws {
    let scratch = try Scratch()
    expectAccepted(scratch)
    expectRefused(.notExampleKeys(path: scratch.file), scratch, rules: Self.flag, doors: [.headers, .open])
  }

  @Test func `the flag relaxes modes and nothing else`() throws {
    let scratch = try example()
    unsafe chmod(scratch.ring, 0o755)
    unsafe chmod(scratch.file, 0o644)
    expectAccepted(scratch, rules: Self.flag)
    try FileManager.default.linkItem(atPath: scratch.file, toPath: scratch.base + "/second")
    expectFlagRefuses(.hardLinked(path: scratch.file, count: 2), scratch)
    try FileManager.default.removeItem(atPath: scratch.file)
    try FileManager.default.createSymbolicLink(
      atPath: scratch.file, withDestinationPath: scratch.base + "/second")
    expectFlagRefuses(.fileIsSymlink(path: scratch.file), scratch)
    try FileManager.default.removeItem(atPath: scratch.file)
    try scratch.rename("second", "ring/master-000001.key")
    expectAccepted(scratch, rules: Self.flag)
    expectFlagRefuses(
      .insideStore(path: scratch.ring, store: scratch.base), scratch,
      Keyring.Rules(insecureExampleKeys: true, storePath: scratch.base))
    try scratch.rewrite { $0[80] ^= 1 }
    expectFlagRefuses(.content(path: scratch.file, .damaged), scratch)
    if isRoot {
      unsafe chown(scratch.file, 65534, 0)
      expectFlagRefuses(.fileOwner(path: scratch.file, owner: 65534, ours: 0), scratch)
    }
  }

  @Test func `nothing is made with the flag`() throws {
    let scratch = try example()
    expectRefused(.exampleKeysAreFixed(path: scratch.ring), scratch, rules: Self.flag, doors: [.add])
    let fresh = scratch.base + "/fresh"
    #expect(throws: KeyringError.exampleKeysAreFixed(path: fresh)) {
      try Keyring.create(at: fresh, Self.flag, newVersion(), passphrase: nil)
    }
    #expect(!FileManager.default.fileExists(atPath: fresh))
  }

  private func expectFlagRefuses(
    _ error: KeyringError, _ scratch: Scratch, _ rules: Keyring.Rules = flag,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    expectRefused(error, scratch, rules: rules, doors: [.headers, .open], sourceLocation: sourceLocation)
  }

  private func example() throws -> Scratch {
    let scratch = try Scratch()
    try scratch.rewrite { $0 = Self.exampleFile() }
    return scratch
  }
}
