/// Where a door listens on TCP: `127.0.0.1:7443`, `[::1]:7443`. Numbers only: a start looks up no name.
package struct ListenAddress: Hashable, Sendable {
  /// Without brackets.
  package let host: String
  /// 1 to 65535.
  package let port: UInt16
  package let isIPv6: Bool

  /// nil: it is no such address. A port is in one spelling, without zeros before it.
  package init?(_ text: String) {
    guard text.utf8.count <= 64, let colon = text.lastIndex(of: ":") else { return nil }
    let (before, after) = (text[..<colon], text[text.index(after: colon)...])
    guard let port = UInt16(after), port > 0, String(port) == after else { return nil }
    isIPv6 = before.hasPrefix("[") && before.hasSuffix("]")
    host = isIPv6 ? before.dropFirst().dropLast().lowercased() : String(before)
    self.port = port
    guard isIPv6 ? Self.isIPv6(host) : Self.isIPv4(host) else { return nil }
  }

  package var text: String { isIPv6 ? "[\(host)]:\(port)" : "\(host):\(port)" }

  private static func isIPv4(_ host: String) -> Bool {
    let parts = host.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count == 4 && parts.allSatisfy { part in UInt8(part).map { String($0) == part } ?? false }
  }

  /// RFC 4291 §2.2, forms 1 and 2.
  private static func isIPv6(_ host: String) -> Bool {
    let halves = host.split(separator: "::", omittingEmptySubsequences: false)
    let groups = halves.map { $0.isEmpty ? [] : $0.split(separator: ":", omittingEmptySubsequences: false) }
    let count = groups.reduce(0) { $0 + $1.count }
    guard halves.count == 2 ? count <= 7 : halves.count == 1 && count == 8 else { return false }
    let digits = Set("0123456789abcdef")
    return groups.joined().allSatisfy { (1...4).contains($0.count) && $0.allSatisfy(digits.contains) }
  }
}
