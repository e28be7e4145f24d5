import ChatelaineAuditTrail
import ChatelainePrimitives
import ChatelaineTestSupport
import ChatelaineVocabulary
import Testing

/// Tests/Vectors/witness.json: witnesses' keys, cosignatures and policies; and what is said to and by a witness.
struct WitnessTests {
  struct File: Decodable {
    let witnesses: [String]
    let keys: [Key]
    let cosigned: [Cosigned]
    let policies: [Policy]
  }

  struct Key: Decodable, Sendable, CustomTestStringConvertible {
    let name, text, expect: String
    var testDescription: String { name }
  }

  struct Cosigned: Decodable, Sendable, CustomTestStringConvertible {
    let name, note, expect: String
    var testDescription: String { name }
  }

  struct Policy: Decodable, Sendable, CustomTestStringConvertible {
    let name, policy, expect: String
    let satisfied: [String]
    var testDescription: String { name }
  }

  static let file = (try? OwnVectors.load("witness.json", as: File.self))

  static func witness(_ number: Int = 0) throws -> WitnessKey { try WitnessKey(parsing: file?.witnesses[number] ?? "") }

  static func head(_ name: String) throws -> SignedHead {
    let vector = try #require(file?.cosigned.first { $0.name == name })
    let bytes = try #require(Hex.decode(vector.note))
    return try SignedHead(parsing: bytes.span)
  }

  @Test func `The vectors are there`() {
    #expect(Self.file?.keys.count ?? 0 >= 8 && Self.file?.cosigned.count ?? 0 >= 16 && Self.file?.policies.count ?? 0 >= 32)
  }

  // MUST: HEAD-10
  @Test(arguments: file?.keys ?? []) func `A witness's key is read as the vectors say`(_ vector: Key) throws {
    let expected: NoteKey.Malformed? =
      switch vector.expect {
      case "ok": nil
      case "hash": .hash
      case "algorithm": .algorithm
      default: .text
      }
    if let expected {
      #expect(throws: expected) { try WitnessKey(parsing: vector.text) }
    } else {
      #expect(vector.text.contains(try WitnessKey(parsing: vector.text).text))
    }
  }

  // MUST: HEAD-11, HEAD-12
  @Test(arguments: file?.cosigned ?? []) func `A cosignature is judged as the vectors say`(_ vector: Cosigned) throws {
    let bytes = try #require(Hex.decode(vector.note))
    let head = try SignedHead(parsing: bytes.span)
    let said: String =
      switch head.note.cosigning(by: try Self.witness()) {
      case .none: "none"
      case .invalid: "invalid"
      case .cosigned(let seconds): "\(seconds)"
      }
    #expect(said == vector.expect)
    #expect(head.verdict(of: try SignedHeadTests.key()) == .valid, "the log's own signature holds all the same")
  }

  @Test(arguments: file?.policies ?? []) func `A policy is read as the vectors say`(_ vector: Policy) throws {
    let bytes = try #require(Hex.decode(vector.policy))
    let policy: WitnessPolicy
    do throws(WitnessPolicy.Malformed) { policy = try WitnessPolicy(parsing: bytes) } catch {
      #expect(vector.expect == "line \(error.line)")
      return
    }
    #expect(vector.expect == "ok")
    for bits in 0..<(1 << policy.witnesses.count) {
      let has = policy.witnesses.indices.filter { bits >> $0 & 1 == 1 }
      let text = has.map(String.init).joined()
      #expect(policy.isSatisfied { has.contains($0) } == vector.satisfied.contains(text), "\(text)")
    }
  }

  @Test func `A policy has at most 32 witnesses`() throws {
    func policy(_ count: Int) throws -> [UInt8] {
      let lines = (0..<count).map { index in
        "witness w\(index) \(WitnessKey(name: "w", publicKey: [UInt8](repeating: UInt8(index), count: 32)).text)\n"
      }
      return Array((lines.joined() + "quorum w0\n").utf8)
    }
    #expect(try WitnessPolicy(parsing: policy(32)).witnesses.count == 32)
    let error = #expect(throws: WitnessPolicy.Malformed.self) { try WitnessPolicy(parsing: policy(33)) }
    #expect(error?.reason == .tooMuch && error?.line == 33)
  }

  @Test func `The time of a quorum is the latest at which all that it needs had cosigned`() throws {
    let keys = try (0..<3).map(Self.witness)
    let lines = keys.enumerated().map { "witness \($0) \($1.text)\n" }.joined()
    let policy = try WitnessPolicy(parsing: Array((lines + "group g 2 0 1 2\nquorum g\n").utf8))
    #expect(policy.time([.cosigned(seconds: 5), .cosigned(seconds: 9), .cosigned(seconds: 7)]) == 7)
    #expect(policy.time([.cosigned(seconds: 5), .none, .cosigned(seconds: 7)]) == 5)
    #expect(policy.time([.cosigned(seconds: 5), .none, .invalid]) == nil)
  }

  @Test func `The example of those who wrote the specification has its parts`() throws {
    // C2SP tlog-cosignature, "Example": no public key is published with it.
    let text = """
      example.com/behind-the-sofa
      20852163
      CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

      — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
      — witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==

      """
    let bytes = Array(text.utf8)
    let note = try SignedNote(parsing: bytes.span)
    #expect(note.encoded == bytes)
    let cosignature = try #require(note.signatures.last)
    #expect(cosignature.keyID == 0x8d66_cf3f && cosignature.bytes.count == 72)
    #expect(cosignature.bytes.prefix(8).reduce(0 as UInt64) { $0 << 8 | UInt64($1) } == 1_679_315_147)
  }
}

/// What goes to a witness, and what it answers.
struct WitnessCallTests {
  private func request(_ old: UInt64 = 0, _ proof: [Digest] = []) throws -> WitnessRequest {
    WitnessRequest(old: old, proof: proof, head: try WitnessTests.head("not cosigned"))
  }

  private func answer(_ status: Int, _ body: [UInt8], type: String = "", witness: Int = 0) throws -> WitnessAnswer {
    WitnessAnswer(status: status, contentType: type, body: body, to: try request(), of: try WitnessTests.witness(witness))
  }

  /// The signature lines of a vector behind the log's own.
  private func lines(_ name: String) throws -> [UInt8] {
    let vector = try #require(WitnessTests.file?.cosigned.first { $0.name == name })
    let bytes = try #require(Hex.decode(vector.note))
    return Array(bytes.dropFirst(try WitnessTests.head("not cosigned").note.encoded.count))
  }

  @Test func `A request has the old size, the proof, an empty line and the head`() throws {
    let head = try WitnessTests.head("not cosigned").note.encoded
    #expect(try request().encoded == Array("old 0\n\n".utf8) + head)
    let proof = [SHA256.hash([1]), SHA256.hash([2])]
    let lines = proof.map { Base64.encode($0.bytes) + "\n" }.joined()
    #expect(try request(299, proof).encoded == Array("old 299\n\(lines)\n".utf8) + head)
  }

  @Test func `A cosignature is taken from an answer, whatever else is in it`() throws {
    let time: UInt64 = 1_790_000_000
    guard case .cosigned(let head, let seconds) = try answer(200, lines("by three")) else {
      Issue.record("no cosignature")
      return
    }
    #expect(seconds == time && head.note.signatures.count == 2, "the log's, and this witness's only")
    #expect(head.verdict(of: try SignedHeadTests.key()) == .valid)
    let kept = head.note.encoded
    #expect(try SignedHead(parsing: kept.span) == head)
    #expect(head.note.cosigning(by: try WitnessTests.witness()) == .cosigned(seconds: time))
    #expect(head.note.cosigning(by: try WitnessTests.witness(1)) == .none)
  }

  @Test func `An answer without a cosignature that holds is none`() throws {
    #expect(try answer(200, lines("by another witness")) == .noCosignature)
    for name in ["a byte of the signature changed", "over another text", "one good and one bad", "at 2^63"] {
      #expect(try answer(200, lines(name)) == .badCosignature, "\(name)")
    }
    #expect(try answer(200, []) == .noCosignature)
    for body in ["hello", "\n", "— a b", "— a AAAAAAA=\n\n"] {
      #expect(try answer(200, Array(body.utf8)) == .malformed(status: 200), "\(body)")
    }
    let many = (0..<64).flatMap { _ in (try? lines("cosigned")) ?? [] }
    #expect(try answer(200, many) == .malformed(status: 200), "more signatures than a note has")
  }

  @Test func `Every other answer says what it is`() throws {
    let type = "text/x.tlog.size"
    #expect(try answer(409, Array("299\n".utf8), type: type) == .conflict(size: 299))
    for body in ["299", "0299\n", "-1\n", "18446744073709551616\n", "", "\n", "299\n\n"] {
      #expect(try answer(409, Array(body.utf8), type: type) == .malformed(status: 409), "\(body)")
    }
    #expect(try answer(409, Array("299\n".utf8), type: "text/plain") == .malformed(status: 409))
    #expect(try answer(422, []) == .inconsistent)
    #expect(try answer(404, []) == .unknownLog)
    #expect(try answer(403, []) == .otherKey)
    for status in [503, 429] { #expect(try answer(status, []) == .later(status: status)) }
    for status in [302, 400] { #expect(try answer(status, []) == .malformed(status: status)) }
  }

  @Test func `Cosignatures of several copies of a head come together`() throws {
    let first = try WitnessTests.head("cosigned")
    let second = try WitnessTests.head("by another witness")
    let both = try #require(first.adding(cosignaturesOf: WitnessTests.witness(1), from: second))
    for number in 0..<2 {
      #expect(both.note.cosigning(by: try WitnessTests.witness(number)) == .cosigned(seconds: 1_790_000_000))
    }
    #expect(try first.adding(cosignaturesOf: WitnessTests.witness(2), from: second) == nil)
    let newer = try #require(first.adding(cosignaturesOf: WitnessTests.witness(), from: WitnessTests.head("cosigned twice")))
    #expect(newer.note.signatures.count == 3)
    #expect(newer.note.cosigning(by: try WitnessTests.witness()) == .cosigned(seconds: 1_790_000_060))
  }
}
