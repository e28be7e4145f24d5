import ChatelaineCustody
import ChatelainePrimitives
import ChatelaineSecretMemory
import ChatelaineVocabulary
import Foundation
import Testing

struct SigningKeyVector: Decodable, Sendable, CustomTestStringConvertible {
  let name, expect, file, createdNs, publicKey: String

  var testDescription: String { name }

  static let all: [SigningKeyVector] = {
    struct File: Decodable { let vectors: [SigningKeyVector] }
    let path = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../Vectors/signing-key.json")
    return (try? JSONDecoder().decode(File.self, from: Data(contentsOf: path)).vectors) ?? []
  }()
}

/// The key that signs heads: its file's format, and the care that it is read with.
struct SigningKeyTests {
  /// A directory of mode 0700 with one file in it.
  final class Place {
    let directory: String
    var file: String { directory + "/log.key" }

    init(_ bytes: [UInt8]? = nil, mode: mode_t = 0o400) throws {
      directory = FileManager.default.temporaryDirectory.appending(path: "signing-\(UUID())").path
      try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
      unsafe chmod(directory, 0o700)
      if let bytes {
        try Data(bytes).write(to: URL(filePath: file))
        unsafe chmod(file, mode)
      }
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    var names: [String] { (try? FileManager.default.contentsOfDirectory(atPath: directory).sorted()) ?? [] }
  }

  static func good() throws -> [UInt8] { try #require(Hex.decode(SigningKeyVector.all.first?.file ?? "?")) }

  static func problem(_ path: String) -> SigningKeyError.Problem? {
    do throws(SigningKeyError) {
      _ = try SigningKey.load(path)
      return nil
    } catch {
      #expect(error.path == path && error.sentence.hasPrefix(path + ": ") && !error.sentence.contains("\n"))
      return error.problem
    }
  }

  @Test func `The vectors are there`() { #expect(SigningKeyVector.all.count >= 21) }

  // MUST: SIGN-1, SIGN-2, SIGN-3, SIGN-4, SIGN-5
  @Test(arguments: SigningKeyVector.all) func `A file opens as the vectors say`(_ vector: SigningKeyVector) throws {
    let bytes = Hex.decode(vector.file) ?? []
    let place = try Place(bytes)
    switch Self.problem(place.file) {
    case nil:
      #expect(vector.expect == "ok")
      let key = try SigningKey.load(place.file)
      #expect(key.publicKey == Hex.decode(vector.publicKey) && "\(key.created.nanoseconds)" == vector.createdNs)
    case .content(.size), .content(.magic): #expect(vector.expect == "malformed")
    case .content(.formatVersion): #expect(vector.expect == "unsupported")
    case .content(.damaged): #expect(vector.expect == "damaged")
    case .content(.wrongKey): #expect(vector.expect == "wrong-key")
    case let problem: Issue.record("\(problem as Any)")
    }
  }

  @Test func `A key that is made opens, signs, and is like no other`() throws {
    let (one, other) = (try Place(), try Place())
    let made = try SigningKey.create(at: one.file, created: created)
    let loaded = try SigningKey.load(one.file)
    #expect(made.publicKey == loaded.publicKey && loaded.created == created && one.names == ["log.key"])
    var status = stat()
    #expect(unsafe lstat(one.file, &status) == 0 && status.st_mode == S_IFREG | 0o400)
    let text = Array("a head\n".utf8)
    let signature = loaded.sign(text)
    func holds(under key: SigningKey) -> Bool {
      let publicKey = key.publicKey
      return Ed25519.isValid(signature: signature.span, of: text.span, publicKey: publicKey.span)
    }
    #expect(holds(under: made))
    let stranger = try SigningKey.create(at: other.file, created: created)
    #expect(!holds(under: stranger), "the control")
  }

  @Test func `A key is never made over what is there, and leaves nothing where it cannot be`() throws {
    let place = try Place(Array("not yours".utf8))
    #expect(throws: SigningKeyError(path: place.file, problem: .exists)) {
      try SigningKey.create(at: place.file, created: created)
    }
    #expect(place.names == ["log.key"])
    #expect(try Data(contentsOf: URL(filePath: place.file)) == Data("not yours".utf8))
    let missing = place.directory + "/none/log.key"
    #expect(throws: SigningKeyError(path: missing, problem: .directoryMissing)) {
      try SigningKey.create(at: missing, created: created)
    }
  }

  // MUST: SIGN-6
  @Test func `A file with another mode, another name or no file at all is refused unread`() throws {
    let bytes = try Self.good()
    let whole = try Place(bytes)
    #expect(Self.problem(whole.file) == nil, "the control")
    for mode: mode_t in [0o000, 0o440, 0o404, 0o600, 0o500, 0o4400] {
      let place = try Place(bytes, mode: mode)
      #expect(Self.problem(place.file) == .mode(UInt32(mode)))
    }
    let linked = try Place(bytes)
    #expect(unsafe link(linked.file, linked.directory + "/second") == 0)
    #expect(Self.problem(linked.file) == .hardLinked(2))
    #expect(unsafe symlink("second", linked.directory + "/third") == 0)
    #expect(Self.problem(linked.directory + "/third") == .symlink)
    #expect(unsafe mkfifo(linked.directory + "/fifo", 0o400) == 0)
    #expect(Self.problem(linked.directory + "/fifo") == .notARegularFile)
    #expect(Self.problem(linked.directory + "/none") == .missing)
    #expect(Self.problem("/nonexistent/log.key") == .directoryMissing)
  }

  // MUST: SIGN-6
  @Test func `A directory that others may write, and another user's file, are refused`() throws {
    let place = try Place(try Self.good())
    for mode: mode_t in [0o770, 0o702, 0o1777] {
      unsafe chmod(place.directory, mode)
      #expect(Self.problem(place.file) == .directoryOpenToOthers(mode: UInt32(mode)))
    }
    unsafe chmod(place.directory, 0o755)
    #expect(Self.problem(place.file) == nil, "the control: others may look")
    guard isRoot else { return print("skipped: another user's file needs root") }
    #expect(unsafe chown(place.file, 1, 1) == 0)
    #expect(Self.problem(place.file) == .owner(1, ours: 0))
    #expect(unsafe chown(place.directory, 1, 1) == 0)
    #expect(Self.problem(place.file) == .directoryOwner(1, ours: 0))
  }
}
