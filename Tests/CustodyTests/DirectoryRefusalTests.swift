import ChatelaineCustody
import ChatelainePrimitives
import ChatelaineVocabulary
import Foundation
import Testing

@Suite struct DirectoryRefusalTests {
  @Test func `a missing directory`() throws {
    let scratch = try Scratch()
    expectAccepted(scratch)
    expectRefused(.directoryMissing(path: scratch.base + "/none"), scratch, at: scratch.base + "/none")
    expectRefused(.directoryMissing(path: ""), scratch, at: "")
  }

  @Test func `a directory that is a symbolic link, with and without a slash`() throws {
    let scratch = try Scratch()
    expectAccepted(scratch)
    let link = scratch.base + "/link"
    try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: scratch.ring)
    expectRefused(.directoryIsSymlink(path: link), scratch, at: link)
    expectRefused(.directoryIsSymlink(path: link), scratch, at: link + "//")
  }

  @Test func `what is no directory`() throws {
    let scratch = try Scratch()
    expectAccepted(scratch)
    expectRefused(.notADirectory(path: scratch.file), scratch, at: scratch.file)
  }

  @Test func `a directory of another owner`() throws {
    guard isRoot else { return print("skipped: only root can give a directory away") }
    let scratch = try Scratch()
    expectAccepted(scratch)
    unsafe chown(scratch.ring, 65534, 0)
    expectRefused(.directoryOwner(path: scratch.ring, owner: 65534, ours: 0), scratch)
    unsafe chown(scratch.ring, 0, 0)
    expectAccepted(scratch)
  }

  @Test(arguments: [0o750, 0o710, 0o720, 0o701, 0o702, 0o704, 0o777] as [UInt32])
  func `a directory that lets others in`(_ mode: UInt32) throws {
    let scratch = try Scratch()
    expectAccepted(scratch)
    unsafe chmod(scratch.ring, mode)
    expectRefused(.directoryOpenToOthers(path: scratch.ring, mode: mode), scratch)
    unsafe chmod(scratch.ring, 0o500)
    expectAccepted(scratch)
  }

  @Test func `an empty keyring`() throws {
    let scratch = try Scratch()
    expectAccepted(scratch)
    try FileManager.default.removeItem(atPath: scratch.file)
    expectRefused(.empty(path: scratch.ring), scratch)
  }

  // MUST: RING-12
  @Test func `two keyrings in one directory`() throws {
    let scratch = try Scratch()
    let other = try Scratch()
    try other.add()
    expectAccepted(scratch)
    try FileManager.default.moveItem(
      atPath: other.ring + "/master-000002.key", toPath: scratch.ring + "/master-000002.key")
    expectRefused(.twoKeyrings(path: scratch.ring + "/master-000002.key", other: scratch.file), scratch)
  }

  // MUST: RING-12
  @Test func `a file of another keyring takes none of the others away, whoever has more files`() throws {
    let (own, other) = (try Scratch(), try Scratch())
    try other.add()
    let ids = try [own, other].map { try Keyring(at: $0.ring).headers()[0].key.id }
    try FileManager.default.moveItem(atPath: other.ring + "/master-000002.key", toPath: own.ring + "/master-000002.key")
    let found = try Keyring(at: own.ring).openEach(passphrase: nil)
    let (first, second) = (try #require(found.taken(as: ids[0])), try #require(found.taken(as: ids[1])))
    #expect(first.keys.keys.map(\.reference.version) == [1] && second.keys.keys.map(\.reference.version) == [2])
    #expect(first.refused == [2: .twoKeyrings(path: own.ring + "/master-000002.key", other: own.file)])
    #expect(second.refused == [1: .twoKeyrings(path: own.file, other: own.ring + "/master-000002.key")])
    #expect(found.taken(as: Identifier(high: 1, low: 1)) == nil)
  }

  @Test func `a file whose key is not the one that its header says is found without a passphrase`() throws {
    let scratch = try Scratch()
    #expect(throws: Never.self) { try Keyring(at: scratch.ring).examine()[1]?.get() }
    var bytes = [UInt8](try Data(contentsOf: URL(filePath: scratch.file)))
    bytes[70] ^= 1
    bytes.replaceSubrange((bytes.count - 32)..., with: SHA256.hash(Array(bytes[..<(bytes.count - 32)])).bytes)
    try FileManager.default.removeItem(atPath: scratch.file)
    try Data(bytes).write(to: URL(filePath: scratch.file))
    unsafe chmod(scratch.file, 0o400)
    #expect(throws: KeyringError.content(path: scratch.file, .wrongKey)) {
      try Keyring(at: scratch.ring).examine()[1]?.get()
    }
    // The control: the header alone is well formed.
    #expect(try Keyring(at: scratch.ring).header(1).key.version == 1)
  }

  // MUST: RING-11
  @Test func `files of other names are told and left alone`() throws {
    let scratch = try Scratch()
    for name in [
      "notes.txt", "master-1.key", "master-000000.key", "master-+00001.key", "master-0000002.key",
      "master-000002.key~", ".new-0011", "master-4294967296.key",
    ] {
      try Data("x".utf8).write(to: URL(filePath: scratch.ring + "/" + name))
    }
    expectAccepted(scratch)
    let keyring = try Keyring(at: scratch.ring)
    #expect(keyring.versions == [1])
    #expect(keyring.unknownNames.count == 8)
    #expect(try scratch.add().reference.version == 2)
  }
}

@Suite struct StoreApartTests {
  @Test func `a keyring apart from the store is fine`() throws {
    let scratch = try Scratch()
    try makeDirectory(scratch.base + "/store")
    try makeDirectory(scratch.base + "/ring2")
    for store in ["store", "ring2", "rin", "not/yet/there"] {
      expectAccepted(scratch, rules: .init(storePath: scratch.base + "/" + store))
    }
  }

  @Test func `a keyring that is the store's directory or lies in it`() throws {
    let scratch = try Scratch()
    expectAccepted(scratch)
    for store in [scratch.ring, scratch.base, scratch.base + "/", "/", scratch.base + "/ring/../ring"] {
      let said = store.count > 1 && store.hasSuffix("/") ? String(store.dropLast()) : store
      expectRefused(.insideStore(path: scratch.ring, store: said), scratch, rules: .init(storePath: store))
    }
  }

  @Test func `a store that lies in the keyring, though it does not exist yet`() throws {
    let scratch = try Scratch()
    expectAccepted(scratch)
    let later = scratch.ring + "/store/below"
    expectRefused(.storeInside(path: scratch.ring, store: later), scratch, rules: .init(storePath: later))
    try makeDirectory(scratch.ring + "/store")
    let store = scratch.ring + "/store"
    expectRefused(.storeInside(path: scratch.ring, store: store), scratch, rules: .init(storePath: store))
  }

  @Test func `a keyring in the store by a symbolic link on the way`() throws {
    let scratch = try Scratch()
    let link = scratch.base + "/store"
    try makeDirectory(scratch.base + "/real")
    try scratch.rename("ring", "real/ring")
    try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: scratch.base + "/real")
    let ring = scratch.base + "/real/ring"
    expectRefused(.insideStore(path: ring, store: link), scratch, at: ring, rules: .init(storePath: link))
    let through = link + "/ring"
    let real = scratch.base + "/real"
    expectRefused(
      .insideStore(path: through, store: real), scratch, at: through, rules: .init(storePath: real))
  }

  @Test func `a keyring in the store by a second mount of the same directory`() throws {
    let scratch = try Scratch()
    let (store, second) = (scratch.base + "/store", scratch.base + "/second")
    try makeDirectory(store)
    try makeDirectory(second)
    try scratch.rename("ring", "store/ring")
    guard run("mount", "--bind", store, second) == 0 else {
      return print("skipped: bind mounts need CAP_SYS_ADMIN")
    }
    defer { _ = run("umount", second) }
    let ring = second + "/ring"
    #expect(throws: Never.self) { try Door.open.enter(ring, .init(), nil) }
    #expect(throws: KeyringError.insideStore(path: ring, store: store)) {
      try Door.open.enter(ring, .init(storePath: store), nil)
    }
  }

  @Test func `no keyring is made in the store, nor any directory`() throws {
    let scratch = try Scratch(nil)
    let store = scratch.base + "/store"
    try makeDirectory(store)
    let before = scratch.snapshot()
    #expect(throws: KeyringError.insideStore(path: store + "/ring", store: store)) {
      try Keyring.create(at: store + "/ring", .init(storePath: store), newVersion(), passphrase: nil)
    }
    #expect(throws: KeyringError.storeInside(path: scratch.ring, store: scratch.ring + "/store")) {
      try Keyring.create(
        at: scratch.ring, .init(storePath: scratch.ring + "/store"), newVersion(), passphrase: nil)
    }
    #expect(scratch.snapshot() == before)
    _ = try Keyring.create(at: scratch.ring, .init(storePath: store), newVersion(), passphrase: nil)
  }

  private func makeDirectory(_ path: String) throws {
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
  }

  private func run(_ command: String...) -> Int32 {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = command
    process.standardError = FileHandle.nullDevice
    guard (try? process.run()) != nil else { return -1 }
    process.waitUntilExit()
    return process.terminationStatus
  }
}
