import Foundation
import Testing

@Suite struct ConfinementTests {
  /// Without rights over the system, both need what closing up does first.
  private static let launcher = ["setpriv", "--no-new-privs"]

  @Test func `Landlock leaves the paths it was given, directories and files, and nothing else`() throws {
    let base = try scratchDirectory()
    defer { try? FileManager.default.removeItem(at: base) }
    let (own, other, open) = (
      base.appending(path: "own"), base.appending(path: "other"), base.appending(path: "open")
    )
    for directory in [own, other, open] {
      try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
      try Data("x".utf8).write(to: directory.appending(path: "file"))
    }
    let files = [own, other, open].map { $0.appending(path: "file").path }
    let probe = try Probe.run(["landlock", own.path, open.path] + files, launcher: Self.launcher)
    guard !probe.says("landlock false this kernel") else { return print("skipped: \(probe.output)") }
    #expect(
      probe.lines.dropFirst() == [
        "open \(files[0]) ok", "open \(files[0]) ok", "open \(files[1]) errno 13",
        "open \(files[1]) errno 13",
        "open \(files[2]) ok", "open \(files[2]) errno 13",
      ])
  }

  @Test func `Landlock takes a regular file and a socket as writable and readable paths`() throws {
    let base = try scratchDirectory()
    defer { try? FileManager.default.removeItem(at: base) }
    let (file, other, socket) = (
      base.appending(path: "file"), base.appending(path: "other"), base.appending(path: "s")
    )
    try Data("x".utf8).write(to: file)
    try Data("x".utf8).write(to: other)
    try bindSocket(at: socket.path)
    let probe = try Probe.run(
      ["landlock", file.path, socket.path, file.path, other.path], launcher: Self.launcher)
    guard !probe.says("landlock false this kernel") else { return print("skipped: \(probe.output)") }
    #expect(probe.says("landlock true"), "\(probe.output)")
    #expect(probe.lines.dropFirst().first == "open \(file.path) ok")
    #expect(probe.says("open \(other.path) errno 13"))
    let swapped = try Probe.run(["landlock", socket.path, file.path, file.path], launcher: Self.launcher)
    #expect(swapped.lines.dropFirst() == ["open \(file.path) ok", "open \(file.path) errno 13"])
  }

  /// What the service needs for a new master key in its keyring, and no more.
  @Test(arguments: ["addable", "writable"])
  func `Landlock lets new files into the keyring's directory and nothing else be done there`(how: String) throws {
    let base = try scratchDirectory()
    defer { try? FileManager.default.removeItem(at: base) }
    let (ring, elsewhere) = (base.appending(path: "ring"), base.appending(path: "elsewhere"))
    for directory in [ring, elsewhere] {
      try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    }
    try Data("key".utf8).write(to: ring.appending(path: "old"))
    let probe = try Probe.run([how, ring.path, elsewhere.path], launcher: Self.launcher)
    guard !probe.says("landlock false this kernel") else { return print("skipped: \(probe.output)") }
    for needed in ["make", "write", "sync", "rename", "read", "list", "remove"] {
      #expect(probe.says("\(needed) ok"), "\(probe.output)")
    }
    let never = ["truncate", "mkdir", "symlink", "fifo"]
    // The control: in a directory that may be written all of it is done.
    let expected = how == "writable" ? "ok" : "errno 13"
    for act in never { #expect(probe.says("\(act) \(expected)"), "\(probe.output)") }
    for act in ["move out", "make elsewhere"] { #expect(!probe.says("\(act) ok"), "\(probe.output)") }
    let kept = try Data(contentsOf: ring.appending(path: "old"))
    #expect(kept == (how == "writable" ? Data() : Data("key".utf8)))
  }

  @Test func `seccomp refuses to execute and to connect`() throws {
    let probe = try Probe.run(["seccomp"], launcher: Self.launcher)
    #expect(probe.says("seccomp true"))
    #expect(probe.says("exec errno 1"))
    #expect(probe.says("connect -1 errno 1"))
  }

  private func scratchDirectory() throws -> URL {
    let directory = FileManager.default.temporaryDirectory.appending(path: "confinement-\(UUID())")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    return directory
  }

  private func bindSocket(at path: String) throws {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    let status = unsafe withUnsafePointer(to: &address) {
      unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    try #require(status == 0)
    close(descriptor)
  }
}
