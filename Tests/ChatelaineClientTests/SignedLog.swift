import ChatelaineAuditTrail
import ChatelaineClient
import ChatelainePrimitives
import ChatelaineVocabulary
import Foundation
import Synchronization

/// A log of leaf hashes and a key that signs its heads: what a service that lies would have.
struct SignedLog {
  static let logID = String(repeating: "ab", count: 16)
  var leaves: [Digest] = (0..<40).map { Digest(UInt64($0), 1, 2, 3) }
  var seed = [UInt8](repeating: 7, count: 32)
  var epoch = 1

  var key: NoteKey {
    let publicKey = seed.span.withRawSpan { Ed25519.publicKey(of: $0) }
    return NoteKey(name: "vectors/\(Self.logID)/\(epoch)", publicKey: publicKey)
  }

  var keyText: String { key.text }

  func head(_ size: Int) -> [UInt8] {
    let seed = self.seed
    let signer = NoteSigner(key: key) { text in seed.span.withRawSpan { Ed25519.sign(text.span, seed: $0) } }
    return SignedHead(Checkpoint(origin: key.name, size: UInt64(size), root: root(0..<size)), signedBy: signer).note.encoded
  }

  func consistency(_ old: Int, _ new: Int) -> [Digest] {
    TreeProof.consistency(from: UInt64(old), to: UInt64(new), node: node)
  }

  /// A proof of leaf 7 that names the head's log, without the entry.
  func proof(of index: Int, in size: Int) -> [UInt8] {
    let hashes = TreeProof.inclusion(of: UInt64(index), in: UInt64(size), node: node)
    guard let head = try? SignedHead(parsing: head(size).span) else { return [] }
    return EntryProof(entry: nil, index: UInt64(index), hashes: hashes, head: head).encoded
  }

  private func node(_ node: TreeNode) -> Digest {
    let start = Int(node.index) << node.level
    return root(start..<start + 1 << node.level)
  }

  private func root(_ range: Range<Int>) -> Digest {
    var tree = MerkleFrontier()
    for leaf in leaves[range] { tree.append(leaf) }
    return tree.root
  }
}

/// Heads in memory.
final class MemoryHeads: HeadStore {
  private let kept: Mutex<[UInt8]?>
  init(_ head: [UInt8]?) { kept = Mutex(head) }
  var head: [UInt8]? { kept.withLock { $0 } }
  func load() async throws -> [UInt8]? { head }
  func save(_ head: [UInt8]) async throws { kept.withLock { $0 = head } }
}

/// Heads in a file, as a program would keep them.
struct FileHeads: HeadStore {
  let place: URL
  func load() async throws -> [UInt8]? {
    FileManager.default.fileExists(atPath: place.path) ? Array(try Data(contentsOf: place)) : nil
  }
  func save(_ head: [UInt8]) async throws { try Data(head).write(to: place, options: .atomic) }
}

extension Frames {
  /// The reply to a question about the log.
  static func answer(_ stream: UInt32, _ bytes: [UInt8], _ hashes: [Digest] = []) -> [UInt8] {
    let payload = field(1, bytes) + hashes.flatMap { field(2, $0.bytes) }
    return frame(stream, field(1, []) + field(2, payload))
  }
}
