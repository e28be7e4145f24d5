import ChatelaineCustody
import ChatelainePrimitives
import ChatelaineSecretMemory
import ChatelaineVocabulary
import Foundation
import Testing

@Suite struct MakingTests {
  @Test(arguments: KeyringFile.Seal.allCases) func `a new keyring opens to the key that was made`(
    _ seal: KeyringFile.Seal
  ) throws {
    let scratch = try Scratch(nil)
    let made = try Keyring.create(at: scratch.ring + "/", .init(), newVersion(seal), passphrase: passphrase())
    let keys = try Keyring(at: scratch.ring).open(passphrase: passphrase())
    #expect(keys.keys.map(\.reference) == [made.reference])
    #expect(keys.newest.keyCheckValue == made.keyCheckValue && keys[1]?.created == created && keys[2] == nil)
    #expect(
      made.reference.version == 1 && made.reference.id == keys.keyringID
        && keys.keyringID != Keyring.exampleID)
    #expect(
      keys.newest.derivationKey.derivePublicValue(.wrap, Span())
        == made.derivationKey.derivePublicValue(.wrap, Span()))
    var status = stat()
    unsafe stat(scratch.ring, &status)
    #expect(status.st_mode & 0o7777 == 0o700)
    unsafe stat(scratch.file, &status)
    #expect(status.st_mode & 0o7777 == 0o400)
    #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.ring) == ["master-000001.key"])
  }

  @Test func `an empty directory of mode 0700 becomes a keyring, any other does not`() throws {
    let scratch = try Scratch(nil)
    unsafe mkdir(scratch.ring, 0o750)
    expectCreateRefused(.directoryOpenToOthers(path: scratch.ring, mode: 0o750), scratch)
    unsafe chmod(scratch.ring, 0o700)
    try Data("x".utf8).write(to: URL(filePath: scratch.ring + "/x"))
    expectCreateRefused(.notEmpty(path: scratch.ring), scratch)
    try FileManager.default.removeItem(atPath: scratch.ring + "/x")
    _ = try Keyring.create(at: scratch.ring, .init(), newVersion(), passphrase: nil)
    expectCreateRefused(.notEmpty(path: scratch.ring), scratch)
  }

  @Test func `a keyring is not made below nothing, by a link, or where the system refuses`() throws {
    let scratch = try Scratch(nil)
    expectCreateRefused(.parentMissing(path: scratch.base + "/a/ring"), scratch, at: scratch.base + "/a/ring")
    try FileManager.default.createSymbolicLink(atPath: scratch.ring, withDestinationPath: scratch.base + "/a")
    expectCreateRefused(.directoryIsSymlink(path: scratch.ring), scratch)
    #expect { try Keyring.create(at: "/sys/ring", .init(), newVersion(), passphrase: nil) } throws: { error in
      guard case KeyringError.unwritable(path: "/sys/ring", _) = error else { return false }
      return true
    }
  }

  @Test func `a short passphrase seals nothing new`() throws {
    let scratch = try Scratch(nil)
    let short = KeyringError.passphraseTooShort(path: scratch.ring, minimum: 12)
    expectCreateRefused(short, scratch, seal: .passphrase, passphrase: passphrase("eleven byte"))
    expectCreateRefused(
      .content(path: scratch.ring, .passphraseNeeded), scratch, seal: .passphrase, passphrase: nil)
    _ = try Keyring.create(
      at: scratch.ring, .init(), newVersion(.passphrase), passphrase: passphrase("twelve bytes"))
  }

  @Test func `versions go up, and a number is never used again`() throws {
    let scratch = try Scratch()
    #expect(try scratch.add().reference.version == 2)
    #expect(try scratch.add(.passphrase).reference.version == 3)
    let keys = try Keyring(at: scratch.ring).open(passphrase: passphrase())
    #expect(keys.keys.map(\.reference.version) == [1, 2, 3])
    #expect(Set(keys.keys.map(\.keyCheckValue)).count == 3)
    try FileManager.default.removeItem(atPath: scratch.ring + "/master-000002.key")
    try FileManager.default.removeItem(atPath: scratch.file)
    #expect(try scratch.add().reference.version == 4)
  }

  @Test func `of two that add at once, one is told to run again and nothing is replaced`() throws {
    let scratch = try Scratch()
    let late = try Keyring(at: scratch.ring)
    let won = try scratch.add()
    let before = scratch.snapshot().dropFirst()
    let taken = KeyringError.versionTaken(path: scratch.ring + "/master-000002.key")
    #expect(throws: taken) { try late.add(newVersion(), passphrase: nil) }
    expectSentence(taken)
    // All but the directory's own time: a file came and went under another name.
    #expect(scratch.snapshot().dropFirst() == before)
    #expect(try Keyring(at: scratch.ring).open(passphrase: nil).newest.keyCheckValue == won.keyCheckValue)
  }

  // MUST: RING-13
  @Test func `each file draws its own salts`() throws {
    let scratch = try Scratch(.passphrase)
    for _ in 2...12 { try scratch.add(.passphrase) }
    let files = try (1...12).map { version in
      [UInt8](try Data(contentsOf: URL(filePath: scratch.ring + "/" + Keyring.fileName(UInt32(version)))))
    }
    #expect(Set(files.map { $0[72..<88] }).count == 12)
    #expect(Set(files.map { $0[88..<112] }).count == 12)
    // The same key, passphrase and cost once more: only the salts can make another file.
    let key = try Keyring(at: scratch.ring).open(1, passphrase: passphrase())
    let again = try KeyringFile.encode(key, passphrase: passphrase(), cost: cheap)
    let bytes = again.withBytes { Span<UInt8>(_bytes: $0).copied() }
    #expect(bytes[..<72] == files[0][..<72])
    #expect(bytes[72..<88] != files[0][72..<88] && bytes[88..<112] != files[0][88..<112])
  }

  // MUST: RING-11
  @Test func `after the last number there is no other`() throws {
    let scratch = try Scratch(nil)
    let last = KeyringVector.all.first { $0.version == .max && $0.expect == "ok" }!
    unsafe mkdir(scratch.ring, 0o700)
    try scratch.rewrite("master-4294967295.key") { $0 = last.bytes }
    expectAccepted(scratch)
    expectRefused(.versionsExhausted(path: scratch.ring), scratch, doors: [.add])
  }

  private func expectCreateRefused(
    _ expected: KeyringError, _ scratch: Scratch, at path: String? = nil, seal: KeyringFile.Seal = .file,
    passphrase: Passphrase? = nil, sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let before = scratch.snapshot()
    #expect(throws: expected, sourceLocation: sourceLocation) {
      try Keyring.create(at: path ?? scratch.ring, .init(), newVersion(seal), passphrase: passphrase)
    }
    #expect(scratch.snapshot() == before, sourceLocation: sourceLocation)
    expectSentence(expected, sourceLocation: sourceLocation)
  }
}
