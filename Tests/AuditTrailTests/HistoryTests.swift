import ChatelaineTestSupport
import ChatelaineVocabulary
import Testing

@testable import ChatelaineAuditTrail

/// Tests/Vectors/histories.json.
struct HistoryVectors: Decodable {
  struct Log: Decodable, Sendable, CustomTestStringConvertible {
    let name, wrong: String
    let count: Int
    let entries: [String]
    var testDescription: String { name }
  }

  struct Export: Decodable, Sendable, CustomTestStringConvertible {
    let name, expect, lines, proof, tenant: String
    let missing: [String]
    var testDescription: String { name }
  }

  let verifierKey: String
  let logs: [Log]
  let exports: [Export]

  static let file =
    (try? OwnVectors.load("histories.json", as: HistoryVectors.self))
    ?? HistoryVectors(verifierKey: "", logs: [], exports: [])
}

struct HistoryTests {
  /// What the command does with the two files.
  static func verdict(_ lines: [UInt8], _ proof: [UInt8], _ key: NoteKey, tenant: String = "") -> EvidenceVerdict {
    do {
      var check = try HistoryCheck(HistoryProof(parsing: proof), key: key)
      var parts = lines.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
      let rest = parts.removeLast()
      for (index, line) in parts.enumerated() { check.take(Array(line), number: index + 1) }
      let verdict = check.verdict(isWhole: rest.isEmpty)
      let isOther = !tenant.isEmpty && !tenant.utf8.elementsEqual(check.cover.tenant)
      return verdict == .valid && isOther ? .tampered("of another tenant") : verdict
    } catch let error as ProofMalformed { return error.verdict } catch let error as HistoryFault {
      return error.verdict
    } catch { return .nothing }
  }

  private static func parts(_ name: String) throws -> (lines: [UInt8], proof: [UInt8], key: NoteKey) {
    let vector = try #require(HistoryVectors.file.exports.first { $0.name == name })
    return (
      try #require(Hex.decode(vector.lines)), try #require(Hex.decode(vector.proof)),
      try NoteKey(parsing: HistoryVectors.file.verifierKey)
    )
  }

  @Test func `The vectors are there`() {
    #expect(HistoryVectors.file.exports.count >= 60 && HistoryVectors.file.logs.count >= 13)
  }

  // MUST: HIST-6, HIST-7, HIST-8, HIST-9, HIST-10, HIST-11
  @Test(arguments: HistoryVectors.file.exports.filter(\.missing.isEmpty))
  func `An export is judged as the vectors say`(_ vector: HistoryVectors.Export) throws {
    let (lines, proof) = (try #require(Hex.decode(vector.lines)), try #require(Hex.decode(vector.proof)))
    let key = try NoteKey(parsing: HistoryVectors.file.verifierKey)
    #expect(ProofFileTests.word(Self.verdict(lines, proof, key, tenant: vector.tenant)) == vector.expect)
    if let parsed = try? HistoryProof(parsing: proof) { #expect(parsed.encoded == proof, "one spelling") }
  }

  // MUST: HIST-1, HIST-2, HIST-3, HIST-4, HIST-5
  @Test(arguments: HistoryVectors.file.logs)
  func `The tenant heads of a log are judged as the vectors say`(_ vector: HistoryVectors.Log) throws {
    var check = TenantHeadsCheck()
    for text in vector.entries {
      let entry = try #require(Hex.decode(text))
      check.take(entry.span)
    }
    #expect(check.wrong == UInt64(vector.wrong))
    #expect(check.verdict == .valid || check.wrong != nil)
    if vector.wrong.isEmpty { #expect(check.checked == UInt64(vector.count)) }
  }

  // MUST: HIST-3
  @Test func `Histories that are fed an entry at a time are those that the log commits to`() throws {
    let log = try #require(HistoryVectors.file.logs.first)
    var histories = TenantHistories()
    var committed: [TenantHeads] = []
    var states: [UInt64: TenantHeads] = [:]
    for text in log.entries {
      let entry = try #require(Hex.decode(text))
      histories.take(entry.span)
      states[histories.size] = histories.heads()
      let parsed = try AuditEntry(parsing: entry.span)
      if let heads = TenantHeads(parsed) { committed.append(heads) }
    }
    #expect(committed.count == 3 && histories.count == 5)
    for heads in committed { #expect(states[heads.size] == heads) }
  }

  @Test func `No byte of an export can be changed`() throws {
    let (lines, proof, key) = try Self.parts("of the tenant that is wanted")
    #expect(Self.verdict(lines, proof, key) == .valid, "the control")
    for index in lines.indices {
      var changed = lines
      changed[index] ^= 1
      #expect(Self.verdict(changed, proof, key) != .valid, "byte \(index) of the entries")
    }
    for index in proof.indices {
      var changed = proof
      changed[index] ^= 1
      #expect(Self.verdict(lines, changed, key) != .valid, "byte \(index) of the proof")
    }
  }

  @Test func `An export cut anywhere is not valid`() throws {
    let (lines, proof, key) = try Self.parts("of the tenant that is wanted")
    for count in lines.indices { #expect(Self.verdict(Array(lines.prefix(count)), proof, key) != .valid) }
    for count in proof.indices { #expect(Self.verdict(lines, Array(proof.prefix(count)), key) != .valid) }
  }

  @Test func `What a valid export covers is said`() throws {
    let (lines, proof, key) = try Self.parts("of the tenant that is wanted")
    var check = try HistoryCheck(HistoryProof(parsing: proof), key: key)
    for line in lines.split(separator: UInt8(ascii: "\n")) { check.take(Array(line), number: 1) }
    let cover = check.cover
    #expect(cover.size == 30 && cover.commitment == 31 && cover.head.size == 33)
    #expect(cover.entries == UInt64(lines.count { $0 == UInt8(ascii: "\n") }) && cover.lastSequence < 30)
  }

  // MARK: The tree

  @Test(arguments: [1, 2, 3, 4, 5, 8, 9, 31, 64, 100, 257])
  func `A tree whose leaves change has the root and the paths of one that is made anew`(_ count: Int) {
    var random = SeededRandom(seed: UInt64(count))
    var leaves: [Digest] = []
    var tree = ChangingTree()
    func digest() -> Digest { Digest(random.next(), random.next(), random.next(), random.next()) }
    for step in 0..<300 {
      if leaves.count < count, step % 3 == 0 || leaves.isEmpty {
        leaves.append(digest())
        tree.grow()
      } else {
        let index = Int.random(in: leaves.indices, using: &random)
        leaves[index] = digest()
        tree.note(index)
      }
      guard step % 7 == 0 || step > 280 else { continue }
      var whole = MerkleFrontier()
      for leaf in leaves { whole.append(leaf) }
      let (index, current) = (Int.random(in: leaves.indices, using: &random), leaves)
      #expect(tree.root { current[$0] } == whole.root)
      let path = tree.path(of: index) { current[$0] }
      #expect(
        TreeProof.isIncluded(
          leaf: leaves[index], index: UInt64(index), size: UInt64(leaves.count), root: whole.root, proof: path))
    }
  }

  @Test func `Only what stands above a changed leaf is computed again`() {
    var tree = ChangingTree()
    for _ in 0..<100_000 { tree.grow() }
    var asked = 0
    func leaf(_ index: Int) -> Digest {
      asked += 1
      return Digest(UInt64(index), 0, 0, 0)
    }
    _ = tree.root(leaf: leaf)
    #expect(asked >= 100_000, "the control: the first time, every leaf is")
    asked = 0
    for index in [5, 6, 77_777] { tree.note(index) }
    _ = tree.root(leaf: leaf)
    #expect(asked <= 16)
  }

  @Test func `Names are found by their bytes, in the order in which they came`() {
    var names = TenantNames()
    for number in 0..<5000 { #expect(names.append(Array("tenant-\(number)".utf8).span) == number) }
    for number in 0..<5000 {
      let name = Array("tenant-\(number)".utf8)
      #expect(names.number(of: name.span) == number)
      #expect(names.withName(number) { $0.equals(name) })
    }
    #expect(names.number(of: Array("tenant-5000".utf8).span) == nil)
    #expect(names.number(of: Array("tenant-".utf8).span) == nil)
  }
}
