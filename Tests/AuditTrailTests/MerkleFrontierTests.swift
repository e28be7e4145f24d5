import ChatelaineAuditTrail
import ChatelainePrimitives
import ChatelaineTestSupport
import ChatelaineVocabulary
import Testing

/// The frontier against RFC 6962 §2.1 as it is written there.
struct MerkleFrontierTests {
  /// MTH(D[n]): split at the largest power of two below n.
  static func root(_ leaves: ArraySlice<Digest>) -> Digest {
    guard let first = leaves.first else { return SHA256.hash([]) }
    guard leaves.count > 1 else { return first }
    var split = 1
    while split * 2 < leaves.count { split *= 2 }
    let (left, right) = (root(leaves.prefix(split)), root(leaves.dropFirst(split)))
    return SHA256.hash([1] + left.bytes + right.bytes)
  }

  static let leaves: [Digest] = {
    var random = SeededRandom(seed: 6962)
    return (0..<300).map { _ in Digest(random.bytes(32).span) }
  }()

  @Test func `The root is that of RFC 6962 for every size from 0 to 300`() {
    var frontier = MerkleFrontier()
    for size in 0...300 {
      #expect(frontier.size == UInt64(size))
      #expect(frontier.root == Self.root(Self.leaves[0..<size]), "size \(size)")
      #expect(frontier.subtrees.count == size.nonzeroBitCount)
      if size < 300 { frontier.append(Self.leaves[size]) }
    }
  }

  @Test func `RFC 6962's own test vectors hold`() {
    // certificate-transparency's merkletree tests: inputs and roots for one to eight leaves.
    let inputs = [
      "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
    ]
    let roots = [
      "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
      "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
      "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
      "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
      "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
      "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
      "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
      "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ]
    var frontier = MerkleFrontier()
    #expect(frontier.root.hex == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    for (input, root) in zip(inputs, roots) {
      let leaf = Hex.decode(input) ?? []
      frontier.append(SHA256.hash(prefix: 0, leaf.span))
      #expect(frontier.root.hex == root)
    }
  }

  @Test func `A tree that was left can be taken up at any size`() throws {
    for size in 0..<Self.leaves.count {
      var whole = MerkleFrontier()
      for leaf in Self.leaves[0..<size] { whole.append(leaf) }
      var resumed = try #require(MerkleFrontier(size: UInt64(size), subtrees: whole.subtrees))
      whole.append(Self.leaves[size])
      resumed.append(Self.leaves[size])
      #expect(resumed == whole)
    }
  }

  @Test func `A tree and a run of leaves behind it, hashed apart, are one tree, whatever the sizes`() {
    var tree = MerkleFrontier()
    for size in 0..<80 {
      var (plain, run) = (tree, TreeRun(first: UInt64(size)))
      for count in 0...(Self.leaves.count - size) {
        var joined = tree
        joined.append(run)
        #expect(joined == plain, "\(count) behind \(size)")
        guard size + count < Self.leaves.count else { break }
        plain.append(Self.leaves[size + count])
        run.append(Self.leaves[size + count])
      }
      tree.append(Self.leaves[size])
    }
  }

  @Test func `Hashes that cannot belong to a size are refused`() {
    #expect(MerkleFrontier(size: 3, subtrees: [.zero]) == nil)
    #expect(MerkleFrontier(size: 0, subtrees: [.zero]) == nil)
    #expect(MerkleFrontier(size: 4, subtrees: []) == nil)
  }
}
