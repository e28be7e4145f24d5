import ChatelaineCustody
import ChatelainePrimitives
import ChatelaineSecretMemory
import ChatelaineVocabulary
import Foundation
import Testing

struct KeyringVector: Decodable, Sendable, CustomTestStringConvertible {
  let name: String
  let expect: String
  let file: String
  let passphrase: String
  let keyringId: String
  let version: UInt32
  let createdNs: String
  let masterKey: String
  let keyCheckValue: String

  var testDescription: String { name }

  static let all: [KeyringVector] = {
    struct File: Decodable { let vectors: [KeyringVector] }
    let path = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../Vectors/keyring.json")
    return try! JSONDecoder().decode(File.self, from: Data(contentsOf: path)).vectors
  }()

  var bytes: [UInt8] { Hex.decode(file)! }

  /// A secret has at least one byte: an empty file never gets as far.
  var secretFile: SecretBytes? { bytes.isEmpty ? nil : secret(bytes) }

  func phrase() throws -> Passphrase? {
    passphrase.isEmpty ? nil : try Passphrase(secret(Hex.decode(passphrase)!))
  }
}

@Suite struct KeyringVectorTests {
  // MUST: RING-1, RING-2, RING-3, RING-4, RING-5, RING-7, RING-8, RING-9
  @Test(arguments: KeyringVector.all) func `a keyring file is opened or refused as its vector says`(
    _ vector: KeyringVector
  ) throws {
    let reason = try outcome(vector)
    #expect(reason == vector.expect)
  }

  @Test(arguments: KeyringVector.all) func `a keyring directory gives a file the same answer`(
    _ vector: KeyringVector
  ) throws {
    let scratch = try Scratch(nil)
    let name = Keyring.fileName(max(1, vector.version))
    try FileManager.default.createDirectory(
      atPath: scratch.ring, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
    try scratch.rewrite(name) { $0 = vector.bytes }
    let isExample = vector.bytes.count >= 20 && Array(vector.bytes[4..<20]) == Array("EXAMPLE-INSECURE".utf8)
    let path = scratch.ring + "/" + name
    var answer = "ok"
    do {
      let keyring = try Keyring(at: scratch.ring, .init(insecureExampleKeys: isExample))
      let key = try keyring.open(max(1, vector.version), passphrase: vector.phrase())
      #expect(key.keyCheckValue.hex == vector.keyCheckValue)
    } catch KeyringError.content(let where_, let refusal) {
      #expect(where_ == path)
      answer = refusal.vectorReason
    } catch KeyringError.versionDiffersFromName, KeyringError.exampleKeys, KeyringError.notExampleKeys {
      // Vectors that change version or id are stopped by the directory before the key is opened.
      answer = vector.expect
    }
    #expect(answer == vector.expect)
  }

  @Test(arguments: KeyringVector.all.filter { $0.expect == "ok" })
  func `a file is encoded to the bytes of its vector`(
    _ vector: KeyringVector
  ) throws {
    let reference = KeyReference(id: Identifier(hex: vector.keyringId)!, version: vector.version)
    let key = MasterKey(
      secret(Hex.decode(vector.masterKey)!), reference: reference,
      created: WallTime(nanoseconds: UInt64(vector.createdNs)!))
    let bytes = vector.bytes
    let encoded: SecretBytes
    if let phrase = try vector.phrase() {
      let header = try secret(bytes).withBytes { try KeyringFile.parse($0) }
      let salts = KeyringFile.Salts(argon2: Array(bytes[72..<88]), seal: Array(bytes[88..<112]))
      encoded = try KeyringFile.encode(key, passphrase: phrase, cost: header.cost!, salts: salts)
    } else {
      encoded = KeyringFile.encode(key)
    }
    #expect(encoded.withBytes { Span<UInt8>(_bytes: $0).copied() } == bytes)
  }

  // MUST: RING-6
  @Test func `a cost out of bounds is refused by the parser, which runs no Argon2`() throws {
    let outOfBounds = KeyringVector.all.filter {
      $0.expect == "malformed" && $0.name.contains(/memory|passes/)
    }
    #expect(outOfBounds.count == 7)
    for vector in outOfBounds {
      #expect(throws: KeyringFile.Refusal.cost, "\(vector.name)") {
        try secret(vector.bytes).withBytes { _ = try KeyringFile.parse($0) }
      }
      // 4 TiB of memory or 2^32 passes: an Argon2 that ran would not come back with this.
      #expect(throws: KeyringFile.Refusal.cost, "\(vector.name)") {
        try secret(vector.bytes).withBytes { _ = try KeyringFile.open($0, passphrase: passphrase()) }
      }
    }
  }

  @Test func `each bit of a file counts`() throws {
    for vector in KeyringVector.all.filter({ $0.expect == "ok" }).prefix(4) {
      for index in vector.bytes.indices {
        var bytes = vector.bytes
        bytes[index] ^= 1 << UInt8(index % 8)
        #expect(throws: KeyringFile.Refusal.self) {
          try secret(bytes).withBytes { _ = try KeyringFile.parse($0) }
        }
      }
    }
  }

  private func outcome(_ vector: KeyringVector) throws -> String {
    guard let file = vector.secretFile else {
      return (try? RawSpanProbe.parseNothing()) == nil ? "malformed" : "ok"
    }
    let phrase = try vector.phrase()
    do throws(KeyringFile.Refusal) {
      let key = try file.withBytes { bytes throws(KeyringFile.Refusal) in
        try KeyringFile.open(bytes, passphrase: phrase)
      }
      #expect(key.reference == KeyReference(id: Identifier(hex: vector.keyringId)!, version: vector.version))
      #expect(key.created.nanoseconds == UInt64(vector.createdNs))
      #expect(key.keyCheckValue.hex == vector.keyCheckValue)
      let expected = DerivationKey(ofHex: vector.masterKey)
      #expect(key.derivationKey.derivePublicValue(.row, Span()) == expected.derivePublicValue(.row, Span()))
      return "ok"
    } catch {
      return error.vectorReason
    }
  }
}

/// An empty file, which no secret can hold.
enum RawSpanProbe {
  static func parseNothing() throws -> KeyringFile.Header {
    let nothing: [UInt8] = []
    return try unsafe KeyringFile.parse(nothing.span.bytes)
  }
}

extension KeyringFile.Refusal {
  var vectorReason: String {
    switch self {
    case .size, .magic, .formatVersion, .seal, .keyVersion, .cost: "malformed"
    case .damaged: "damaged"
    case .wrongPassphrase: "wrong-passphrase"
    case .wrongKey: "wrong-key"
    case .passphraseNeeded: "passphrase-needed"
    case .outOfMemory: "out-of-memory"
    }
  }
}

extension DerivationKey {
  init(ofHex hex: String) { self = secret(Hex.decode(hex)!).withBytes { DerivationKey($0) } }
}
