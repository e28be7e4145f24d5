import ChatelaineCustody
import ChatelaineVocabulary
import Foundation
import Testing

@Suite(.serialized) struct PassphraseTests {
  // MUST: RING-10
  @Test func `a passphrase is what the descriptor gives, without one new line at its end`() throws {
    let scratch = try Scratch(nil)
    _ = try Keyring.create(
      at: scratch.ring, .init(), newVersion(.passphrase), passphrase: passphrase("a passphrase\n!"))
    for text in ["a passphrase\n!", "a passphrase\n!\n"] {
      #expect(throws: Never.self) { try Door.open.enter(scratch.ring, .init(), read(Array(text.utf8))) }
    }
    for text in ["a passphrase\n!\n\n", "a passphrase\n!\r\n", " a passphrase\n!", "a passphrase"] {
      #expect(throws: KeyringError.content(path: scratch.file, .wrongPassphrase)) {
        try Door.open.enter(scratch.ring, .init(), read(Array(text.utf8)))
      }
    }
  }

  // MUST: RING-10
  @Test func `another spelling of the same text is another passphrase`() throws {
    let scratch = try Scratch(nil)
    let composed = "caf\u{e9} au lait, s'il vous"
    let decomposed = "cafe\u{301} au lait, s'il vous"
    #expect(composed == decomposed)
    _ = try Keyring.create(
      at: scratch.ring, .init(), newVersion(.passphrase), passphrase: passphrase(composed))
    #expect(throws: Never.self) { try Door.open.enter(scratch.ring, .init(), passphrase(composed)) }
    for other in [decomposed, composed.uppercased(), composed + " ", "\t" + composed] {
      #expect(throws: KeyringError.content(path: scratch.file, .wrongPassphrase)) {
        try Door.open.enter(scratch.ring, .init(), passphrase(other))
      }
    }
  }

  // MUST: RING-10
  @Test func `it has 1 to 1,024 bytes, any bytes`() throws {
    #expect(throws: PassphraseError.empty) { try read([]) }
    #expect(throws: PassphraseError.empty) { try read([10]) }
    for bytes in [
      [0], [255], [10, 10], Array(repeating: 7, count: 1024), Array(repeating: 7, count: 1024) + [10],
    ]
      as [[UInt8]]
    {
      #expect(throws: Never.self) { try read(bytes) }
    }
    for count in [1025, 1026, 5000] {
      #expect(throws: PassphraseError.tooLong) { try read(Array(repeating: 7, count: count)) }
    }
    #expect(throws: PassphraseError.tooLong) { try read(Array(repeating: 7, count: 1025) + [10]) }
  }

  @Test func `a pipe that gives it piece by piece`() throws {
    let scratch = try Scratch(nil)
    _ = try Keyring.create(
      at: scratch.ring, .init(), newVersion(.passphrase), passphrase: passphrase("piece by\npiece"))
    let pipe = Pipe()
    let writer = Thread {
      for piece in ["piece", " by\n", "piece\n"] {
        pipe.fileHandleForWriting.write(Data(piece.utf8))
        usleep(20_000)
      }
      try? pipe.fileHandleForWriting.close()
    }
    writer.start()
    let phrase = try Passphrase.read(from: .descriptor(pipe.fileHandleForReading.fileDescriptor))
    #expect(throws: Never.self) { try Door.open.enter(scratch.ring, .init(), phrase) }
  }

  @Test func `a descriptor that is not open`() {
    #expect(throws: PassphraseError.unreadable(errno: EBADF)) { try Passphrase.read(from: .descriptor(987)) }
  }

  @Test func `a credential is a file of the directory that systemd names`() throws {
    let scratch = try Scratch(.passphrase)
    unsafe unsetenv("CREDENTIALS_DIRECTORY")
    #expect(throws: PassphraseError.noCredentialsDirectory) {
      try Passphrase.read(from: .credential("master"))
    }
    unsafe setenv("CREDENTIALS_DIRECTORY", scratch.base, 1)
    defer { unsafe unsetenv("CREDENTIALS_DIRECTORY") }
    for name in ["", ".", "..", "a/b", "../master", String(repeating: "x", count: 256)] {
      #expect(throws: PassphraseError.credentialName) { try Passphrase.read(from: .credential(name)) }
    }
    let path = scratch.base + "/master"
    #expect(throws: PassphraseError.credentialUnreadable(path: path, errno: ENOENT)) {
      try Passphrase.read(from: .credential("master"))
    }
    #expect(PassphraseError.credentialUnreadable(path: path, errno: ENOENT).sentence.contains(path))
    try Data("correct horse battery\n".utf8).write(to: URL(filePath: path))
    #expect(throws: Never.self) {
      try Door.open.enter(scratch.ring, .init(), Passphrase.read(from: .credential("master")))
    }
    #expect(throws: PassphraseError.credentialUnreadable(path: scratch.ring, errno: EISDIR)) {
      try Passphrase.read(from: .credential("ring"))
    }
    try FileManager.default.createSymbolicLink(atPath: scratch.base + "/link", withDestinationPath: path)
    #expect(throws: PassphraseError.credentialUnreadable(path: scratch.base + "/link", errno: ELOOP)) {
      try Passphrase.read(from: .credential("link"))
    }
  }

  @discardableResult private func read(_ bytes: [UInt8]) throws -> Passphrase {
    let path = FileManager.default.temporaryDirectory.appending(path: "phrase-\(UUID())")
    try Data(bytes).write(to: path)
    defer { try? FileManager.default.removeItem(at: path) }
    let file = try FileHandle(forReadingFrom: path)
    return try Passphrase.read(from: .descriptor(file.fileDescriptor))
  }
}
