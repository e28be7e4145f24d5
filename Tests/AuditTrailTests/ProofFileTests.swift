import ChatelaineAuditTrail
import ChatelaineTestSupport
import ChatelaineVocabulary
import Testing

/// Tests/Vectors/proofs.json.
struct ProofVectors: Decodable {
  struct Inclusion: Decodable { let index, size: String, proof: [String] }
  struct Consistency: Decodable { let old, new: String, proof: [String] }
  struct Case: Decodable, Sendable, CustomTestStringConvertible {
    let name, expect, file, leaf: String
    var testDescription: String { name }
  }

  let verifierKey: String
  let leaves: [String]
  let inclusion: [Inclusion]
  let consistency: [Consistency]
  let files: [Case]

  static let file =
    (try? OwnVectors.load("proofs.json", as: ProofVectors.self))
    ?? ProofVectors(verifierKey: "", leaves: [], inclusion: [], consistency: [], files: [])
}

struct ProofFileTests {
  static func verdict(_ file: [UInt8], _ key: NoteKey, _ leaf: Digest? = nil) -> EvidenceVerdict {
    do throws(ProofMalformed) { return try Proof(parsing: file).verdict(of: key, leaf: leaf) } catch {
      return error.verdict
    }
  }

  static func word(_ verdict: EvidenceVerdict) -> String {
    switch verdict {
    case .valid: "valid"
    case .tampered: "tampered"
    case .truncated: "truncated"
    case .forked: "forked"
    case .wrongKey: "wrong-key"
    case .unwitnessed: "unwitnessed"
    case .unsupported: "unsupported"
    case .nothing: "nothing"
    }
  }

  static func file(_ name: String) throws -> [UInt8] {
    try #require(Hex.decode(ProofVectors.file.files.first { $0.name == name }?.file ?? "?"))
  }

  // MUST: PROOF-1, PROOF-2, PROOF-3, PROOF-4, PROOF-5, PROOF-6, PROOF-7, PROOF-8
  @Test(arguments: ProofVectors.file.files) func `A proof is judged as the vectors say`(
    _ vector: ProofVectors.Case
  ) throws {
    let file = try #require(Hex.decode(vector.file))
    let key = try NoteKey(parsing: ProofVectors.file.verifierKey)
    #expect(Self.word(Self.verdict(file, key, Digest(hex: vector.leaf))) == vector.expect)
    switch try? Proof(parsing: file) {
    case .entry(let proof): #expect(proof.encoded == file, "one spelling")
    case .consistency(let proof): #expect(proof.encoded == file, "one spelling")
    case nil: break
    }
  }

  @Test func `The vectors are there`() { #expect(ProofVectors.file.files.count >= 47) }

  @Test(arguments: ["an entry", "a log that grew"]) func `No byte of a proof can be changed`(_ name: String) throws {
    let file = try Self.file(name)
    let key = try NoteKey(parsing: ProofVectors.file.verifierKey)
    #expect(Self.verdict(file, key) == .valid, "the control")
    for index in file.indices {
      var changed = file
      changed[index] ^= 1
      #expect(Self.verdict(changed, key) != .valid, "byte \(index)")
    }
  }

  @Test func `A proof cut anywhere is not valid`() throws {
    let file = try Self.file("an entry")
    let key = try NoteKey(parsing: ProofVectors.file.verifierKey)
    for count in 0..<file.count { #expect(Self.verdict(Array(file.prefix(count)), key) != .valid) }
  }
}
