package import ChatelaineVocabulary

/// Certificates that are not taken any more, by the SHA-256 of their DER: a client's own, or a CA's between.
package struct Revoked: Sendable, Equatable {
  package static let none = Revoked([] as Set<Digest>)
  package static let countMax = 16_384
  /// Of a file.
  package static let bytesMax = 4 << 20

  private let digests: Set<Digest>

  package init(_ digests: Set<Digest>) { self.digests = digests }

  /// One fingerprint a line, 64 hexadecimal digits with or without the colons that openssl(1) puts between; behind `#` is a
  /// comment.
  package init(_ file: [UInt8]) throws(TLSFault) {
    var digests: Set<Digest> = []
    for (index, line) in file.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
      let text = String(decoding: line.prefix { $0 != UInt8(ascii: "#") }.filter { $0 != UInt8(ascii: ":") }, as: UTF8.self)
      let words = text.split { $0 == " " || $0 == "\t" || $0 == "\r" }
      guard let word = words.first else { continue }
      guard words.count == 1, let digest = Digest(hex: word.lowercased()), digests.count < Self.countMax else {
        throw .revoked(line: index + 1)
      }
      digests.insert(digest)
    }
    self.digests = digests
  }

  package var count: Int { digests.count }

  package func contains(_ digest: Digest) -> Bool { digests.contains(digest) }

  var sortedBytes: [UInt8] { digests.sorted().flatMap(\.bytes) }
}
