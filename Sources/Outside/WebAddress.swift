/// Where something is asked of another host: `https://HOST[:PORT][/PATH]`; `http` to this host only.
package struct WebAddress: Equatable, Sendable {
  package enum Malformed: Error, Equatable {
    case form
    /// In clear, to another host.
    case clear
    /// A name and password in it: they would be in process lists and logs.
    case credentials
  }

  package let isSecure: Bool
  /// A name, or an address without brackets.
  package let host: String
  package let port: UInt16
  /// Without a slash at its end.
  package let path: String

  package static let byteCountMax = 1024

  package init(parsing text: String) throws(Malformed) {
    guard text.utf8.count <= Self.byteCountMax, text.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else { throw .form }
    guard let mark = text.firstRange(of: "://") else { throw .form }
    switch text[..<mark.lowerBound].lowercased() {
    case "https": isSecure = true
    case "http": isSecure = false
    default: throw .form
    }
    let rest = text[mark.upperBound...]
    let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
    var path = rest[authority.endIndex...]
    guard !path.contains(where: { $0 == "?" || $0 == "#" }) else { throw .form }
    guard !authority.contains("@") else { throw .credentials }
    while path.last == "/" { path.removeLast() }
    self.path = String(path)
    guard let (host, port) = Self.split(authority, defaultPort: isSecure ? 443 : 80) else { throw .form }
    (self.host, self.port) = (host, port)
    guard isSecure || isThisHost else { throw .clear }
  }

  private static func split(_ authority: Substring, defaultPort: UInt16) -> (String, UInt16)? {
    var host = authority
    var port = defaultPort
    if let colon = authority.lastIndex(of: ":"), !authority[colon...].contains("]") {
      guard let number = UInt16(authority[authority.index(after: colon)...]), number > 0 else { return nil }
      port = number
      host = authority[..<colon]
    }
    if host.first == "[", host.last == "]" {
      host = host.dropFirst().dropLast()
      guard host.contains(":"), host.allSatisfy({ $0.isHexDigit || $0 == ":" || $0 == "." }) else { return nil }
    } else {
      guard host.allSatisfy({ $0.isLetter || $0.isNumber || $0 == "." || $0 == "-" || $0 == "_" }) else { return nil }
    }
    return host.isEmpty || host.utf8.count > 253 ? nil : (String(host).lowercased(), port)
  }

  /// By its spelling: what stays on this machine needs no TLS.
  private var isThisHost: Bool {
    if host == "localhost" || host == "::1" { return true }
    let parts = host.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
  }

  /// An address, and no name: it is in no certificate as a name, and not sent as one.
  var isNumeric: Bool {
    host.contains(":") || host.split(separator: ".").count == 4 && host.allSatisfy { $0.isNumber || $0 == "." }
  }

  /// What the header `Host` has.
  package var authority: String {
    let name = host.contains(":") ? "[\(host)]" : host
    return port == (isSecure ? 443 : 80) ? name : "\(name):\(port)"
  }
}

extension WebAddress.Malformed {
  /// In words that follow the address.
  package var words: String {
    switch self {
    case .form: "this is no address of the form https://HOST[:PORT][/PATH]"
    case .clear: "over http everybody on the way could read and change it: only hosts of this machine (127.0.0.1, localhost) may be given so, all others with https"
    case .credentials: "names and passwords do not belong into an address"
    }
  }
}
