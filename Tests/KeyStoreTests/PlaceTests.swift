import ChatelaineVocabulary
import Foundation
import GRDB
import Testing

@testable import ChatelaineKeyStore

/// Whose file a store is, that nobody else serves from it, and that it is still there.
@Suite struct PlaceTests {
  let bench: Bench

  init() throws { bench = try Bench() }

  private func closedStore() throws { try bench.create().close() }

  private func setMode(_ mode: Int, _ suffix: String = "") throws {
    try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: bench.path + suffix)
  }

  @Test func `a second opening is refused while the first is open, and names the process`() throws {
    let store = try bench.create()
    #expect(bench.refusalToOpen() == .inUse(path: bench.path, holder: getpid()))
    let checked = #expect(throws: KeyStoreError.self) { try bench.open(for: .checking) }
    #expect(checked == .inUse(path: bench.path, holder: getpid()))
    try bench.put(store, TenantRow.sample("acme"))
    try store.close()
    #expect(bench.refusalToOpen() == nil)
  }

  @Test func `a store under another name is the same store`() throws {
    let store = try bench.create()
    let other = bench.directory.appending(path: "other.db").path
    #expect(unsafe link(bench.path, other) == 0)
    #expect(throws: KeyStoreError.inUse(path: other, holder: getpid())) {
      try KeyStore.open(path: other) { _ throws(KeyStoreError) in bench.secret() }
    }
    try store.close()
  }

  @Test func `a store whose file was removed takes no change any more`() throws {
    let store = try bench.create()
    try bench.put(store, TenantRow.sample("acme"))
    #expect(store.lostFile == nil)
    try FileManager.default.moveItem(atPath: bench.path, toPath: bench.path + ".away")
    #expect(store.lostFile == .database)
    #expect(throws: KeyStoreError.self) { try bench.put(store, TenantRow.sample("globex")) }
    // why: also when it is put back: what happened meanwhile is not known.
    try FileManager.default.moveItem(atPath: bench.path + ".away", toPath: bench.path)
    #expect(throws: KeyStoreError.self) { try bench.put(store, TenantRow.sample("globex")) }
    try store.close()
    #expect(try bench.open().tenant(tenant("globex")) == nil)
  }

  @Test func `a store whose file was replaced by a copy takes no change any more`() throws {
    let store = try bench.create()
    try FileManager.default.copyItem(atPath: bench.path, toPath: bench.path + ".copy")
    #expect(unsafe rename(bench.path + ".copy", bench.path) == 0)
    #expect(throws: KeyStoreError.self) { try bench.put(store, TenantRow.sample("acme")) }
    try? store.close()
  }

  @Test(arguments: ["-wal", "-shm"], [false, true])
  func `a store whose journal was removed or replaced takes no change, and keeps all that it took`(
    suffix: String, isReplaced: Bool
  ) throws {
    let store = try bench.create()
    try bench.put(store, TenantRow.sample("acme"))
    #expect(store.lostFile == nil)
    let file = bench.path + suffix
    if isReplaced {
      try FileManager.default.copyItem(atPath: file, toPath: file + ".copy")
      #expect(unsafe rename(file + ".copy", file) == 0)
    } else {
      try FileManager.default.removeItem(atPath: file)
    }
    #expect(store.lostFile == .journal)
    #expect(throws: KeyStoreError.self) { try bench.put(store, TenantRow.sample("globex")) }
    // What a kill now leaves: the database has what was taken before.
    let killed = try Bench(storeKey: bench.storeKey)
    try FileManager.default.copyItem(atPath: bench.path, toPath: killed.path)
    let found = try killed.open()
    #expect(try found.tenant(tenant("acme")) != nil && found.tenant(tenant("globex")) == nil)
    try found.close()
    try store.close()
    let opened = try bench.open()
    #expect(try opened.tenant(tenant("acme")) != nil && opened.tenant(tenant("globex")) == nil)
    try opened.close()
  }

  @Test func `a change whose journal goes away while it is made is not said to be done`() throws {
    let store = try bench.create()
    let path = bench.path
    #expect(throws: KeyStoreError.self) {
      _ = try store.change(intentSequence: 2, intentLeafHash: Digest(0, 0, 0, 2)) { change in
        guard unsafe unlink(path + "-wal") == 0 else { preconditionFailure("there is a journal") }
        guard let row = try? TenantRow.sample("acme") else { preconditionFailure("a row is made") }
        change.put(row)
      }
    }
    #expect(throws: KeyStoreError.self) { try bench.put(store, TenantRow.sample("globex")) }
    // Closed in order, the store has it: the next start says of its intent that it was done.
    try store.close()
    let opened = try bench.open()
    #expect(try opened.tenant(tenant("acme")) != nil && opened.tenant(tenant("globex")) == nil)
    try opened.close()
  }

  @Test(arguments: ["", "-wal", "-shm", "-journal"])
  func `a fifo, a directory or a link in a file's place is refused at once`(suffix: String) throws {
    try closedStore()
    let path = bench.path + suffix
    try? FileManager.default.moveItem(atPath: path, toPath: path + ".kept")
    #expect(unsafe mkfifo(path, 0o600) == 0)
    #expect(bench.refusalToOpen() == .place(path: path, .notAFile))
    try FileManager.default.removeItem(atPath: path)
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    #expect(bench.refusalToOpen() == .place(path: path, .notAFile))
    try FileManager.default.removeItem(atPath: path)
    try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: bench.path + ".kept")
    // A link to nothing is no store either.
    let refusal = bench.refusalToOpen()
    #expect(refusal == .place(path: path, .symlink) || refusal == .missing(path: path))
    try FileManager.default.removeItem(atPath: path)
    try? FileManager.default.moveItem(atPath: path + ".kept", toPath: path)
    #expect(bench.refusalToOpen() == nil)
  }

  @Test(arguments: [0o640, 0o604, 0o620, 0o602, 0o666])
  func `a store that others can read or write is refused, and nothing in it is changed`(mode: Int) throws {
    try closedStore()
    try setMode(mode)
    let before = try bench.contents()
    let refusal = try #require(bench.refusalToOpen())
    #expect(refusal == .place(path: bench.path, .mode(UInt32(mode))))
    #expect(refusal.sentence.contains("chmod 0600"))
    #expect(try bench.contents() == before)
    try setMode(0o600)
    #expect(bench.refusalToOpen() == nil)
  }

  @Test(.enabled(if: geteuid() == 0, "only root can give a file away"))
  func `a store of another user is refused`() throws {
    try closedStore()
    #expect(unsafe chown(bench.path, 65534, 65534) == 0)
    #expect(bench.refusalToOpen() == .place(path: bench.path, .owner(65534, ours: 0)))
  }

  @Test(arguments: [
    ["UPDATE store SET one = 2"], ["DELETE FROM store"],
    ["CREATE TEMP TABLE t AS SELECT * FROM store", "UPDATE t SET one = 2", "INSERT INTO store SELECT * FROM t"],
    ["CREATE TEMP TABLE t AS SELECT * FROM store", "UPDATE t SET one = 0", "INSERT INTO store SELECT * FROM t"],
  ])
  func `the store's own row under another number, none or a second one is tampering`(edits: [String]) throws {
    try closedStore()
    let database = try DatabaseQueue(path: bench.path)
    try database.writeWithoutTransaction { database in
      for edit in ["PRAGMA ignore_check_constraints = ON"] + edits { try database.execute(sql: edit) }
    }
    try database.close()
    #expect(bench.refusalToOpen() == .tampered(record: "the store"))
  }

  // MARK: Checking

  @Test func `looking at a closed store changes nothing beside it`() throws {
    let store = try bench.create()
    try bench.put(store, TenantRow.sample("acme"))
    try store.close()
    let before = try bench.contents()
    let checked = try bench.open(for: .checking)
    #expect(try checked.verifyAll() == 2 && checked.head == store.head)
    #expect(throws: KeyStoreError.self) { try bench.put(checked, TenantRow.sample("globex")) }
    try checked.close()
    #expect(try bench.contents() == before)
    // The control: opening it to serve leaves traces while it is open.
    let served = try bench.open()
    #expect(try bench.contents() != before)
    try served.close()
  }

  @Test(arguments: [true, false])
  func `looking at a store that was not closed reads its journal and changes nothing`(withIndex: Bool) throws {
    let store = try bench.create()
    try bench.put(store, TenantRow.sample("acme"))
    let crashed = try Bench(storeKey: bench.storeKey)
    for suffix in ["", "-wal"] + (withIndex ? ["-shm"] : []) {
      try FileManager.default.copyItem(atPath: bench.path + suffix, toPath: crashed.path + suffix)
    }
    let before = try crashed.contents()
    #expect(before["store.db-wal"]?.isEmpty == false)
    let checked = try crashed.open(for: .checking)
    #expect(try checked.head == store.head && checked.verifyAll() == 2)
    try checked.close()
    #expect(try crashed.contents() == before)
    // The control: without the journal it is another store.
    try FileManager.default.removeItem(atPath: crashed.path + "-wal")
    #expect(throws: KeyStoreError.self) {
      let older = try crashed.open(for: .checking)
      guard older.head == store.head else { throw KeyStoreError.busy }
    }
    try store.close()
  }

  @Test func `a path that a URI would read in another way is read as it is`() throws {
    let odd = bench.directory.appending(path: "a %41?mode=rwc#é ü'").path
    try FileManager.default.createDirectory(atPath: odd, withIntermediateDirectories: false)
    try closedStore()
    try FileManager.default.moveItem(atPath: bench.path, toPath: odd + "/store.db")
    let checked = try KeyStore.open(path: odd + "/store.db", for: .checking) { _ throws(KeyStoreError) in bench.secret() }
    #expect(try checked.verifyAll() == 1)
    try checked.close()
  }
}
