import ChatelaineAuditTrail
import ChatelainePrimitives
import ChatelaineTestSupport
import ChatelaineVocabulary
import Testing

/// Proofs made and checked: against the RFC's words, others' vectors, our own, and forgeries.
struct TreeProofTests {
  static let leaves = MerkleFrontierTests.leaves

  /// Hashes of whole subtrees, straight from the leaves.
  static func node(_ leaves: [Digest]) -> (TreeNode) -> Digest {
    { node in
      let count = 1 << node.level
      return MerkleFrontierTests.root(leaves[Int(node.index) * count..<(Int(node.index) + 1) * count])
    }
  }

  static func root(_ size: Int) -> Digest { MerkleFrontierTests.root(leaves[0..<size]) }

  @Test func `Every leaf of every tree up to 70 leaves is proved, and no other leaf with its proof`() {
    for size in 1...70 {
      for index in 0..<size {
        let proof = TreeProof.inclusion(of: UInt64(index), in: UInt64(size), node: Self.node(Self.leaves))
        func holds(_ leaf: Digest, _ index: Int, _ size: Int) -> Bool {
          TreeProof.isIncluded(
            leaf: leaf, index: UInt64(index), size: UInt64(size), root: Self.root(size), proof: proof)
        }
        #expect(holds(Self.leaves[index], index, size), "\(index) of \(size)")
        #expect(!holds(Self.leaves[index + 1], index, size))
        #expect(!holds(Self.leaves[index], index + 1, size))
        #expect(!holds(Self.leaves[index], index, size + 1))
      }
    }
  }

  @Test func `Every tree up to 70 leaves is proved the beginning of every later one, and of no other`() {
    for new in 0...70 {
      for old in 0...new {
        let proof = TreeProof.consistency(from: UInt64(old), to: UInt64(new), node: Self.node(Self.leaves))
        func holds(_ oldRoot: Digest, _ newRoot: Digest, _ proof: [Digest]) -> Bool {
          TreeProof.isConsistent(
            old: UInt64(old), oldRoot: oldRoot, new: UInt64(new), newRoot: newRoot, proof: proof)
        }
        #expect(holds(Self.root(old), Self.root(new), proof), "\(old) of \(new)")
        #expect(!holds(Self.leaves[99], Self.root(new), proof))
        #expect(!holds(Self.root(old), Self.leaves[99], proof) || old == 0 && new > 0)
        #expect(!holds(Self.root(old), Self.root(new), proof + [Self.leaves[0]]))
      }
    }
    #expect(
      !TreeProof.isConsistent(old: 3, oldRoot: Self.root(3), new: 2, newRoot: Self.root(2), proof: []))
  }

  @Test func `The root from subtrees is the root from leaves`() {
    for size in 0...300 {
      #expect(TreeProof.root(size: UInt64(size), node: Self.node(Self.leaves)) == Self.root(size))
    }
  }

  @Test func `The example of RFC 6962 section 2.1.3 comes out node by node`() {
    // Seven leaves a to g; h = (a, b), i = (c, d), j = (e, f), k = (h, i), l = (j, g).
    let names: [TreeNode: Character] = [
      TreeNode(level: 0, index: 0): "a", TreeNode(level: 0, index: 1): "b", TreeNode(level: 0, index: 2): "c",
      TreeNode(level: 0, index: 3): "d", TreeNode(level: 0, index: 4): "e", TreeNode(level: 0, index: 5): "f",
      TreeNode(level: 0, index: 6): "g", TreeNode(level: 1, index: 0): "h", TreeNode(level: 1, index: 1): "i",
      TreeNode(level: 1, index: 2): "j", TreeNode(level: 2, index: 0): "k",
    ]
    let node = Self.node(Self.leaves)
    var named: [Digest: Character] = [:]
    for (place, name) in names { named[node(place)] = name }
    named[MerkleFrontier.node(node(TreeNode(level: 1, index: 2)), Self.leaves[6])] = "l"
    func text(_ proof: [Digest]) -> String { String(proof.map { named[$0] ?? "?" }) }
    func path(_ index: UInt64) -> String { text(TreeProof.inclusion(of: index, in: 7, node: node)) }
    func steps(_ old: UInt64) -> String { text(TreeProof.consistency(from: old, to: 7, node: node)) }
    #expect([path(0), path(3), path(4), path(6)] == ["bil", "chl", "fgk", "jk"])
    #expect([steps(3), steps(4), steps(6)] == ["cdhl", "l", "jgk"])
  }

  @Test func `Certificate Transparency's own consistency proofs hold`() {
    // The reference implementation's tree of eight inputs, as in MerkleFrontierTests.
    let inputs = [
      "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
    ]
    let leaves = inputs.map { input in
      let bytes = Hex.decode(input) ?? []
      return SHA256.hash(prefix: 0, bytes.span)
    }
    func steps(_ old: UInt64, _ new: UInt64) -> [String] {
      TreeProof.consistency(from: old, to: new, node: Self.node(leaves)).map(\.hex)
    }
    #expect(
      steps(6, 8) == [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
      ])
    #expect(
      steps(2, 5) == [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
      ])
  }

  // MUST: PROOF-4, PROOF-5
  @Test func `The vectors' proofs are made and hold`() throws {
    let vectors = ProofVectors.file
    let leaves = vectors.leaves.compactMap { Digest(hex: $0) }
    try #require(leaves.count == 300 && vectors.inclusion.count >= 27 && vectors.consistency.count >= 64)
    func root(_ size: UInt64) -> Digest { MerkleFrontierTests.root(leaves[0..<Int(size)]) }
    for vector in vectors.inclusion {
      let (index, size) = (try #require(UInt64(vector.index)), try #require(UInt64(vector.size)))
      let proof = TreeProof.inclusion(of: index, in: size, node: Self.node(leaves))
      #expect(proof.map(\.hex) == vector.proof, "\(index) of \(size)")
      #expect(TreeProof.isIncluded(leaf: leaves[Int(index)], index: index, size: size, root: root(size), proof: proof))
    }
    for vector in vectors.consistency {
      let (old, new) = (try #require(UInt64(vector.old)), try #require(UInt64(vector.new)))
      let proof = TreeProof.consistency(from: old, to: new, node: Self.node(leaves))
      #expect(proof.map(\.hex) == vector.proof, "\(old) of \(new)")
      #expect(TreeProof.isConsistent(old: old, oldRoot: root(old), new: new, newRoot: root(new), proof: proof))
    }
  }

  @Test func `A proof asks for few hashes, however large the tree`() {
    var asked = 0
    let size: UInt64 = 9_999_999_999
    let node: (TreeNode) -> Digest = { _ in
      asked += 1
      return .zero
    }
    #expect(TreeProof.inclusion(of: 7_654_321, in: size, node: node).count <= 34)
    #expect(TreeProof.consistency(from: 7_654_321, to: size, node: node).count <= 35)
    #expect(asked < 140)
  }
}
