import ChatelaineTLS
import ChatelaineVocabulary
import Testing

@Suite("List of revoked certificates")
struct RevokedTests {
  static let digest = String(repeating: "0123456789abcdef", count: 4)
  static let other = String(repeating: "fedcba9876543210", count: 4)

  @Test("Fingerprints are read with and without colons, in either case, with comments and blank lines")
  func read() throws {
    let colons = stride(from: 0, to: 64, by: 2).map { Self.other.dropFirst($0).prefix(2).uppercased() }.joined(separator: ":")
    let revoked = try Revoked(Array("# who left\n\n\(Self.digest) # ann's\n  \(colons)\r\n".utf8))
    #expect(revoked.count == 2)
    let digests = try [Self.digest, Self.other].map { try #require(Digest(hex: $0)) }
    #expect(digests.allSatisfy(revoked.contains) && !revoked.contains(.zero))
    #expect(try Revoked([]) == .none)
  }

  @Test("A line that is no fingerprint is refused by its number", arguments: [
    "nonsense", String(digest.dropLast()), digest + "0", "\(digest) \(other)", "sha256 Fingerprint=\(digest)", "é",
  ])
  func refused(_ line: String) {
    #expect(throws: TLSFault.revoked(line: 2)) { try Revoked(Array("# first\n\(line)\n".utf8)) }
  }
}
