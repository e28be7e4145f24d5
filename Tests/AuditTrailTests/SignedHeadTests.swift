import ChatelaineAuditTrail
import ChatelainePrimitives
import ChatelaineTestSupport
import ChatelaineVocabulary
import Testing

/// Tests/Vectors/heads.json, and the examples of those who wrote the specifications.
struct SignedHeadTests {
  struct File: Decodable {
    let seed, publicKey, origin, verifierKey: String
    let keys: [Key]
    let heads: [Head]
  }

  struct Key: Decodable, Sendable, CustomTestStringConvertible {
    let name, expect, text, keyName, publicKey: String
    var testDescription: String { name }
  }

  struct Head: Decodable, Sendable, CustomTestStringConvertible {
    let name, expect, note, origin, size, root: String
    var testDescription: String { name }
  }

  static let file = (try? OwnVectors.load("heads.json", as: File.self))
  static let keys = file?.keys ?? []
  static let heads = file?.heads ?? []

  static func key() throws -> NoteKey { try NoteKey(parsing: file?.verifierKey ?? "") }

  /// Signs as the vectors' maker did.
  static func signer() throws -> NoteSigner {
    let seed = try #require(Hex.decode(file?.seed ?? ""))
    return NoteSigner(key: try key()) { text in
      seed.span.withRawSpan { Ed25519.sign(text.span, seed: $0) }
    }
  }

  @Test func `The vectors are there`() {
    #expect(Self.keys.count >= 15 && Self.heads.count >= 31)
  }

  // MUST: HEAD-6
  @Test(arguments: keys) func `A public key is read as the vectors say`(_ vector: Key) throws {
    let expected: NoteKey.Malformed? =
      switch vector.expect {
      case "ok": nil
      case "hash": .hash
      case "algorithm": .algorithm
      default: .text
      }
    if let expected {
      #expect(throws: expected) { try NoteKey(parsing: vector.text) }
      return
    }
    let key = try NoteKey(parsing: vector.text)
    #expect(key.name == vector.keyName && Hex.encode(key.publicKey.span) == vector.publicKey)
    #expect(try NoteKey(parsing: key.text) == key)
  }

  // MUST: HEAD-1, HEAD-2, HEAD-3, HEAD-4, HEAD-5
  @Test(arguments: heads) func `A head is judged as the vectors say`(_ vector: Head) throws {
    let bytes = try #require(Hex.decode(vector.note))
    let head: SignedHead
    do throws(SignedHead.Malformed) { head = try SignedHead(parsing: bytes.span) } catch {
      let isCut = error == .note(.empty) || error == .note(.noSignatures)
      #expect(vector.expect == (isCut ? "truncated" : "tampered"))
      return
    }
    #expect(head.note.encoded == bytes, "one spelling")
    switch head.verdict(of: try Self.key()) {
    case .otherKey: #expect(vector.expect == "wrong-key")
    case .invalid: #expect(vector.expect == "tampered")
    case .valid:
      #expect(vector.expect == "valid")
      #expect(head.checkpoint.origin.utf8.elementsEqual(vector.origin.utf8))
      #expect("\(head.checkpoint.size)" == vector.size && head.checkpoint.root.hex == vector.root)
      #expect(head.checkpoint.text == head.note.text)
    }
  }

  @Test func `A head that we sign is the vectors' first, byte for byte`() throws {
    let first = try #require(Self.heads.first)
    let checkpoint = Checkpoint(
      origin: try #require(Self.file).origin, size: try #require(UInt64(first.size)),
      root: try #require(Digest(hex: first.root)))
    let head = SignedHead(checkpoint, signedBy: try Self.signer())
    #expect(Hex.encode(head.note.encoded.span) == first.note)
    #expect(head.verdict(of: try Self.key()) == .valid)
  }

  @Test func `The example of C2SP signed-note, section Verifier keys, holds`() throws {
    let key = try NoteKey(
      parsing: "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k")
    let text = """
      This is an example message.

      — example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=

      """
    let note = try SignedNote(parsing: Array(text.utf8).span)
    #expect(note.verdict(of: key) == .valid)
    let changed = try SignedNote(parsing: Array(text.replacing("example m", with: "exampl3 m").utf8).span)
    #expect(changed.verdict(of: key) == .invalid, "the control")
  }

  @Test func `The example of Go's sumdb note holds`() throws {
    let key = try NoteKey(parsing: "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    let text = """
      If you think cryptography is the answer to your problem,
      then you don't know what your problem is.

      — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=

      """
    #expect(try SignedNote(parsing: Array(text.utf8).span).verdict(of: key) == .valid)
    #expect(try SignedNote(parsing: Array(text.utf8).span).verdict(of: Self.key()) == .otherKey)
  }

  @Test func `The examples of C2SP signed-note and tlog-checkpoint parse`() throws {
    let poem = """
      Ognuno sta solo sul cuor della terra
      trafitto da un raggio di sole:

      ed è subito sera.

      — quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=

      """
    #expect(try SignedNote(parsing: Array(poem.utf8).span).text.suffix(19) == Array("ed è subito sera.\n".utf8).suffix(19))
    let text = """
      example.com/behind-the-sofa
      20852163
      CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

      — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=

      """
    let head = try SignedHead(parsing: Array(text.utf8).span)
    #expect(head.checkpoint.origin == "example.com/behind-the-sofa" && head.checkpoint.size == 20_852_163)
    #expect(head.checkpoint.root.hex == "0ac5186a91863e8e1d90c808014aa89bf5da8e3ee1d9f07630f0378f68f1ab62")
  }

  @Test func `Every byte of a head that is changed is found`() throws {
    let bytes = try #require(Hex.decode(Self.heads.first?.note ?? "?"))
    let key = try Self.key()
    func isValid(_ bytes: [UInt8]) -> Bool {
      (try? SignedHead(parsing: bytes.span))?.verdict(of: key) == .valid
    }
    #expect(isValid(bytes), "the control")
    for index in bytes.indices {
      for mask: UInt8 in [1, 0x20, 0x80] {
        var changed = bytes
        changed[index] ^= mask
        #expect(!isValid(changed), "byte \(index)")
      }
    }
  }

  @Test func `Base 64 has one text for each run of bytes`() {
    // RFC 4648 §10.
    let known = ["": "", "f": "Zg==", "fo": "Zm8=", "foo": "Zm9v", "foob": "Zm9vYg==", "fooba": "Zm9vYmE="]
    for (plain, text) in known {
      #expect(Base64.encode(Array(plain.utf8)) == text)
      #expect(Base64.decode(Array(text.utf8).span) == Array(plain.utf8))
    }
    for text in ["Zg=", "Zg", "Zh==", "Zm9=", "Z===", "====", "Zm9v\n", "Zm-_", " Zm9v", "Zg==Zg=="] {
      #expect(Base64.decode(Array(text.utf8).span) == nil, "\(text)")
    }
  }
}
