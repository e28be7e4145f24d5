/// Who somebody is by their certificate: a SPIFFE ID or a DNS name among its subject alternative names (RFC 5280
/// §4.2.1.6). Nothing else of a certificate says who anybody is, its common name least of all.
package struct CertificateName: Hashable, Sendable {
  /// Bytes of a name as the policy and the log spell it: `spiffe://acme.example/billing`, `dns:billing.acme.example`.
  package static let lengthMax = 500

  package let text: String

  /// A SPIFFE ID as its own standard has it (SPIFFE-ID §2): no query, no fragment, no port, nothing escaped. nil: it
  /// is none.
  package init?(spiffe text: some Collection<UInt8>) {
    let prefix = Array("spiffe://".utf8)
    guard text.count <= Self.lengthMax, text.starts(with: prefix) else { return nil }
    let parts = text.dropFirst(prefix.count).split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    guard let domain = parts.first, !domain.isEmpty,
      domain.allSatisfy({ Self.isLower($0) || $0 == Self.underscore })
    else { return nil }
    for part in parts.dropFirst() {
      guard !part.isEmpty, !part.elementsEqual(".".utf8), !part.elementsEqual("..".utf8),
        part.allSatisfy({ Self.isLower($0) || Self.isUpper($0) || $0 == Self.underscore })
      else { return nil }
    }
    self.text = String(decoding: Array(text), as: UTF8.self)
  }

  /// A host's name (RFC 1123 §2.1), which has no upper case here; a certificate for many hosts, `*.acme.example`, names
  /// nobody. nil: it is none.
  package init?(dns text: some Collection<UInt8>) {
    guard text.count <= 253 else { return nil }
    let lower = text.map { Self.isUpper($0) ? $0 + 32 : $0 }
    let hyphen = UInt8(ascii: "-")
    for label in lower.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false) {
      guard (1...63).contains(label.count), label.first != hyphen, label.last != hyphen,
        label.allSatisfy(Self.isLower)
      else { return nil }
    }
    self.text = "dns:" + String(decoding: lower, as: UTF8.self)
  }

  /// As a policy spells it; nil where it is neither, or a DNS name in upper case: a name has one spelling there.
  package init?(_ text: String) {
    let bytes = Array(text.utf8)
    if text.utf8.starts(with: "dns:".utf8) { self.init(dns: bytes.dropFirst(4)) } else { self.init(spiffe: bytes) }
    guard self.text.utf8.elementsEqual(bytes) else { return nil }
  }

  private static let underscore = UInt8(ascii: "_")

  private static func isUpper(_ byte: UInt8) -> Bool { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) }

  /// Lower-case letters, digits, and what both kinds of name have between them.
  private static func isLower(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
    case UInt8(ascii: "."), UInt8(ascii: "-"): true
    default: false
    }
  }
}
