import ChatelaineCustody
import ChatelainePrimitives
import ChatelaineVocabulary
import Foundation
import Testing

@Suite struct FileRefusalTests {
  @Test func `a missing file`() throws {
    let scratch = try Scratch()
    let keyring = try Keyring(at: scratch.ring)
    #expect(throws: Never.self) { try keyring.open(1, passphrase: nil) }
    #expect(throws: KeyringError.fileMissing(path: scratch.ring + "/master-000009.key")) {
      try keyring.header(9)
    }
    try FileManager.default.removeItem(atPath: scratch.file)
    #expect(throws: KeyringError.fileMissing(path: scratch.file)) { try keyring.open(passphrase: nil) }
    expectSentence(.fileMissing(path: scratch.file))
  }

  @Test func `a file that is a symbolic link`() throws {
    let scratch = try Scratch()
    expectAccepted(scratch)
    try scratch.rename("ring/master-000001.key", "elsewhere")
    try FileManager.default.createSymbolicLink(
      atPath: scratch.file, withDestinationPath: scratch.base + "/elsewhere")
    expectRefused(.fileIsSymlink(path: scratch.file), scratch)
  }

  @Test func `what is no regular file, without waiting for it`() throws {
    let scratch = try Scratch()
    expectAccepted(scratch)
    try scratch.rename("ring/master-000001.key", "elsewhere")
    unsafe mkfifo(scratch.file, 0o400)
    expectRefused(.notARegularFile(path: scratch.file), scratch)
    try FileManager.default.removeItem(atPath: scratch.file)
    try FileManager.default.createDirectory(atPath: scratch.file, withIntermediateDirectories: false)
    expectRefused(.notARegularFile(path: scratch.file), scratch)
  }

  @Test func `a file with a second name`() throws {
    let scratch = try Scratch()
    expectAccepted(scratch)
    try FileManager.default.linkItem(atPath: scratch.file, toPath: scratch.base + "/second")
    expectRefused(.hardLinked(path: scratch.file, count: 2), scratch)
    try FileManager.default.removeItem(atPath: scratch.base + "/second")
    expectAccepted(scratch)
  }

  @Test func `a file of another owner`() throws {
    guard isRoot else { return print("skipped: only root can give a file away") }
    let scratch = try Scratch()
    expectAccepted(scratch)
    unsafe chown(scratch.file, 65534, 0)
    expectRefused(.fileOwner(path: scratch.file, owner: 65534, ours: 0), scratch)
  }

  @Test(arguments: [0o600, 0o440, 0o404, 0o500, 0o000, 0o401, 0o4400, 0o644] as [UInt32])
  func `a file of any mode but 0400`(_ mode: UInt32) throws {
    let scratch = try Scratch()
    expectAccepted(scratch)
    unsafe chmod(scratch.file, mode)
    expectRefused(.fileMode(path: scratch.file, mode: mode), scratch)
    unsafe chmod(scratch.file, 0o400)
    expectAccepted(scratch)
  }

  @Test func `a file of the wrong mode is not read`() throws {
    let scratch = try Scratch()
    try age(scratch.file)
    try Door.open.enter(scratch.ring, .init(), nil)
    guard try accessed(scratch.file) != 1_000_000 else {
      return print("skipped: this filesystem does not tell when a file was read")
    }
    try age(scratch.file)
    unsafe chmod(scratch.file, 0o440)
    #expect(throws: KeyringError.fileMode(path: scratch.file, mode: 0o440)) {
      try Door.open.enter(scratch.ring, .init(), nil)
    }
    #expect(try accessed(scratch.file) == 1_000_000)
  }

  @Test(arguments: [0, 1, 64, 127, 129, 223, 225, 4096, 1 << 20]) func `a short or long file`(_ count: Int)
    throws
  {
    let scratch = try Scratch()
    expectAccepted(scratch)
    try scratch.rewrite { bytes in bytes = (0..<count).map { $0 < bytes.count ? bytes[$0] : 0 } }
    expectRefused(.content(path: scratch.file, .size), scratch)
  }

  @Test func `bytes that are no master key, are of a later format, or are damaged`() throws {
    let spoilt: [(Int, UInt8, KeyringFile.Refusal)] = [
      (0, 0x58, .magic), (1, 0x58, .magic), (2, 2, .formatVersion), (3, 0, .seal), (3, 2, .size),
      (3, 7, .seal),
      (4, 0xEE, .damaged), (23, 9, .damaged), (64, 0xEE, .damaged), (127, 0xEE, .damaged),
    ]
    for (offset, value, refusal) in spoilt {
      let scratch = try Scratch()
      expectAccepted(scratch)
      try scratch.rewrite { $0[offset] = $0[offset] == value ? value ^ 1 : value }
      expectRefused(.content(path: scratch.file, refusal), scratch)
    }
  }

  @Test func `a key that is not the one its key check value names`() throws {
    let scratch = try Scratch()
    expectAccepted(scratch)
    try scratch.rewrite { bytes in
      bytes[70] ^= 1
      bytes.replaceSubrange(96..., with: SHA256.hash(Array(bytes[..<96])).bytes)
    }
    expectRefused(.content(path: scratch.file, .wrongKey), scratch, doors: [.open, .add])
  }

  @Test func `a wrong passphrase, or none`() throws {
    let scratch = try Scratch(.passphrase)
    expectAccepted(scratch)
    let wrong = passphrase("correct horse batterz")
    expectRefused(
      .content(path: scratch.file, .wrongPassphrase), scratch, doors: [.open, .add], passphrase: wrong)
    expectRefused(
      .content(path: scratch.file, .passphraseNeeded), scratch, doors: [.open, .add], passphrase: nil)
  }

  // MUST: RING-11
  @Test func `a file under the name of another version`() throws {
    let scratch = try Scratch()
    expectAccepted(scratch)
    try scratch.rename("ring/master-000001.key", "ring/master-000002.key")
    expectRefused(.versionDiffersFromName(path: scratch.ring + "/master-000002.key", version: 1), scratch)
  }

  private func age(_ path: String) throws {
    var times = [timespec(tv_sec: 1_000_000, tv_nsec: 0), timespec(tv_sec: 2_000_000, tv_nsec: 0)]
    try #require(unsafe utimensat(AT_FDCWD, path, &times, 0) == 0)
  }

  private func accessed(_ path: String) throws -> Int {
    var status = stat()
    try #require(unsafe stat(path, &status) == 0)
    return status.st_atim.tv_sec
  }
}
